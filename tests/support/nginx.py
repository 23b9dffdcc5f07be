"""A real nginx over a folder, with its access log read back as values."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_CONFIG = """\
daemon off;
# One worker, so that the access log is in the order of what happened.
worker_processes 1;
{user}
pid {prefix}/nginx.pid;
error_log {prefix}/error.log warn;
events {{ worker_connections 512; }}
http {{
    default_type application/octet-stream;
    log_format records escape=json '{{"method":"$request_method","path":"$uri","status":"$status",'
        '"body_bytes":"$body_bytes_sent","range":"$http_range","if_range":"$http_if_range",'
        '"accept_encoding":"$http_accept_encoding","connection":"$connection"}}';
    access_log {prefix}/access.log records;
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/fastcgi;
    uwsgi_temp_path {prefix}/uwsgi;
    scgi_temp_path {prefix}/scgi;
    sendfile on;
    # Small steps, so that a capped response flows instead of coming in bursts.
    sendfile_max_chunk {chunk_bytes};
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port};
        location /{token}/ {{
            alias {root}/;
            {options}
        }}
        location = /connections {{ stub_status; access_log off; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A line of the access log; it is written when the response has ended."""

    method: str
    path: str
    """Relative to the served folder, percent-decoded."""
    status: int
    body_bytes: int
    """Handed to the kernel; a client that left may not have received the last of them."""
    range: str | None
    if_range: str | None
    accept_encoding: str | None
    connection: int

    @property
    def asked_bytes(self) -> int | None:
        """How many bytes the Range header names; None where there is none or it is open."""
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.range or "")
        return None if match is None else int(match[2]) - int(match[1]) + 1


class Nginx:
    """A running nginx; made by `run_nginx`."""

    def __init__(self, port: int, token: str, prefix: Path, process_id: int) -> None:
        self.port = port
        self.token = token
        self._prefix = prefix
        self._process_id = process_id

    @property
    def url(self) -> str:
        """The base URL, with a secret segment as the real one has."""
        return f"http://127.0.0.1:{self.port}/{self.token}"

    @property
    def error_log(self) -> str:
        """What nginx complained about."""
        return (self._prefix / "error.log").read_text("utf-8")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Within, nginx sends nothing, and everything that it had sent has reached its clients."""
        workers = f"/proc/{self._process_id}/task/{self._process_id}/children"
        processes = [self._process_id, *map(int, Path(workers).read_text("ascii").split())]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            while self._bytes_on_the_way():
                pass
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)

    def _bytes_on_the_way(self) -> int:
        """In the kernel's receive queues of connections to this server."""
        total = 0
        for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]:
            _, _, remote, _, queues, *_ = line.split()
            if int(remote.partition(":")[2], 16) == self.port:
                total += int(queues.partition(":")[2], 16)
        return total

    def settle(self) -> None:
        """Return when no request is in progress any more: then all are in the log."""
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            try:
                connection.request("GET", "/connections", headers={"Connection": "close"})
                text = connection.getresponse().read().decode()
            finally:
                connection.close()
            reading, writing = map(int, re.findall(r"(?:Reading|Writing): (\d+)", text))
            if reading == 0 and writing == 1:  # this very question
                return

    def requests(self) -> list[LoggedRequest]:
        """Every request that has ended, in that order; waits for those in progress."""
        self.settle()
        lines = (self._prefix / "access.log").read_text("utf-8").splitlines()
        return [self._parse(json.loads(line)) for line in lines]

    def _parse(self, fields: dict[str, str]) -> LoggedRequest:
        return LoggedRequest(
            method=fields["method"],
            path=fields["path"].removeprefix(f"/{self.token}/"),
            status=int(fields["status"]),
            body_bytes=int(fields["body_bytes"]),
            range=fields["range"] or None,
            if_range=fields["if_range"] or None,
            accept_encoding=fields["accept_encoding"] or None,
            connection=int(fields["connection"]),
        )

    def gets(self) -> Counter[str]:
        """How many GETs each path saw."""
        return Counter(r.path for r in self.requests() if r.method == "GET")


def find_nginx() -> str:
    """The program; where it is missing the test is skipped, in CI it fails."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("nginx is missing (apt-get install nginx-light)")
        pytest.skip("nginx is not installed")
    return program


@contextmanager
def run_nginx(
    root: Path,
    prefix: Path,
    *,
    ranges: bool = True,
    etag: bool = True,
    gzip: bool = False,
    bytes_per_second: int | None = None,
    extra: str = "",
) -> Iterator[Nginx]:
    """Serve ``root``; logs and temporary files go below ``prefix``, which is created.

    Args:
        root: the folder.
        prefix: nginx's own folder.
        ranges: False answers every request with the whole file.
        etag: False leaves Last-Modified as the only validator.
        gzip: compress for clients that accept it (which weakens the ETag).
        bytes_per_second: cap of each response.
        extra: more directives for the location.
    """
    program = find_nginx()
    prefix.mkdir(parents=True)
    token = secrets.token_urlsafe(16)
    options = [
        f"etag {'on' if etag else 'off'};",
        "" if ranges else "max_ranges 0;",
        "gzip on; gzip_types *; gzip_min_length 0;" if gzip else "",
        "" if bytes_per_second is None else f"limit_rate {bytes_per_second};",
        extra,
    ]
    # nginx takes over a socket that listens already (its way to upgrade itself): no port to
    # guess, and no start to wait for, since connections queue until it accepts them.
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        port: int = listener.getsockname()[1]
        (prefix / "nginx.conf").write_text(
            _CONFIG.format(
                prefix=prefix,
                port=port,
                token=token,
                root=root.resolve(),
                options=" ".join(options),
                # As root it would give up its rights, and could not read a test's folder.
                user="user root root;" if os.getuid() == 0 else "",
                chunk_bytes=min(max(4096, (bytes_per_second or 20_000_000) // 20), 128 * 1024),
            )
        )
        process = subprocess.Popen(
            [program, "-p", str(prefix), "-c", str(prefix / "nginx.conf"), "-e", "stderr"],
            env={**os.environ, "NGINX": f"{listener.fileno()};"},
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
    server = Nginx(port, token, prefix, process.pid)
    try:
        yield server
    finally:
        process.terminate()
        _, complaints = process.communicate(timeout=20)
        assert process.returncode == 0, complaints.decode()
