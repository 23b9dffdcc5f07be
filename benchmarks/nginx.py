"""A real nginx on loopback that serves a corpus and counts the bytes it sent."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_CONFIG = """\
# Written by benchmarks/nginx.py.
daemon off;
{user_line}
worker_processes {workers};
pid "{work}/nginx.pid";
error_log "{work}/error.log" warn;
events {{ worker_connections 1024; }}
http {{
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 65;
    keepalive_requests 100000;
    log_format sent '$status $body_bytes_sent $uri';
    client_body_temp_path "{work}/temp_body";
    proxy_temp_path "{work}/temp_proxy";
    fastcgi_temp_path "{work}/temp_fastcgi";
    uwsgi_temp_path "{work}/temp_uwsgi";
    scgi_temp_path "{work}/temp_scgi";
    server {{
        listen 127.0.0.1:{port};
        root "{root}";
        access_log "{work}/access.log" sent;
        {limit_line}
        location = /benchmark_status {{ stub_status; access_log off; }}
    }}
}}
"""

_START_SECONDS = 10.0
_SETTLE_SECONDS = 30.0
_POLL_SECONDS = 0.01


class NginxMissingError(RuntimeError):
    """There is no nginx to measure against."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the access log says of one run."""

    body_bytes: int
    """Handed to the kernel as 200 or 206 bodies of corpus files, also where the client died."""
    requests: int
    """Of any path and with any answer."""


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running server; made by `serve`, which also stops it."""

    port: int
    access_log: Path

    @property
    def url(self) -> str:
        """The base URL that a tool is given."""
        return f"http://127.0.0.1:{self.port}"

    def take_sent(self) -> Sent:
        """What was sent since the last call; waits until every client's connection is closed.

        nginx logs a request when it has ended, and that of a killed client when it notices.
        """
        deadline = time.monotonic() + _SETTLE_SECONDS
        while self._open_connections() > 1:
            if time.monotonic() > deadline:
                raise TimeoutError("a client's connection to nginx stays open")
            time.sleep(_POLL_SECONDS)
        text = self.access_log.read_text("utf-8") if self.access_log.exists() else ""
        # nginx opens the log with O_APPEND: it goes on at the new end.
        os.truncate(self.access_log, 0)
        return parse_access_log(text)

    def _open_connections(self) -> int:
        """Connections that nginx holds, this question's own included."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_SETTLE_SECONDS)
        try:
            connection.request("GET", "/benchmark_status", headers={"Connection": "close"})
            match = re.search(rb"Active connections: (\d+)", connection.getresponse().read())
        finally:
            connection.close()
        if match is None:
            raise RuntimeError("nginx answered without its status")
        return int(match[1])


def parse_access_log(text: str) -> Sent:
    """Sum the log of one run; metadata.json and the like are requests, not corpus bytes."""
    body_bytes = requests = 0
    for line in text.splitlines():
        status, count, uri = line.split(" ", 2)
        requests += 1
        if status in ("200", "206") and uri.endswith(".pcd"):
            body_bytes += int(count)
    return Sent(body_bytes, requests)


def version() -> str | None:
    """``nginx/1.22.1``, or None where it is not installed."""
    program = _program()
    if program is None:
        return None
    answer = subprocess.run([program, "-v"], capture_output=True, text=True, check=True)
    return answer.stderr.strip().removeprefix("nginx version: ")


@contextmanager
def serve(
    root: Path, work: Path, *, connection_rate_bytes: int | None = None, workers: int = 1
) -> Iterator[Nginx]:
    """Serve ``root`` until the block is left.

    Args:
        root: what is served.
        work: an existing folder for configuration, logs and temporary files.
        connection_rate_bytes: bytes a second that one request gets at most; None is unlimited.
        workers: nginx processes.

    Raises:
        NginxMissingError: nginx is not installed.
    """
    program = _program()
    if program is None:
        raise NginxMissingError("nginx is not installed (Debian: apt-get install nginx-light)")
    port = _free_port()
    config = work / "nginx.conf"
    config.write_text(
        _CONFIG.format(
            # Started as root, the workers would become nobody, who cannot read a private folder.
            user_line="user root;" if os.geteuid() == 0 else "",
            workers=workers,
            work=work,
            port=port,
            root=root,
            limit_line=f"limit_rate {connection_rate_bytes};" if connection_rate_bytes else "",
        ),
        "utf-8",
    )
    command = [program, "-p", str(work), "-c", str(config), "-e", str(work / "error.log")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        _wait_until_open(process, port, work / "error.log")
        yield Nginx(port, work / "access.log")
    finally:
        process.terminate()
        process.wait()


def _wait_until_open(process: subprocess.Popen[bytes], port: int, error_log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(_POLL_SECONDS)
    said = error_log.read_text("utf-8") if error_log.exists() else ""
    raise RuntimeError(f"nginx does not start: {said}")


def _program() -> str | None:
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
