"""What every command does around its work: settings, the URL, Ctrl-C, errors → exit codes."""

from __future__ import annotations

import contextlib
import errno
import getpass
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import anyio
import typer

from nersemble_async.cli.interruption import stopping_on_signals
from nersemble_async.cli.output import OutputFormat, open_output, print_error
from nersemble_async.cli.report import document_head
from nersemble_async.cli.secrecy import SCRUBBER
from nersemble_async.errors import (
    AccessDeniedError,
    CacheError,
    ConfigurationError,
    DiskFullError,
    IntegrityError,
    MissingBenchmarkUrlError,
    NersembleError,
    SelectionError,
)
from nersemble_async.fetch.progress import ExitCode
from nersemble_async.log import configure_logging
from nersemble_async.settings import Settings, store_benchmark_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from nersemble_async.cli.options import LogFormat
    from nersemble_async.cli.output import Output

_ASKED_TIMES = 3
INTERRUPTED_MESSAGE = "interrupted; run the same command again to go on"

_EXIT_CODES: tuple[tuple[type[NersembleError], ExitCode], ...] = (
    (MissingBenchmarkUrlError, ExitCode.NO_ACCESS),
    (AccessDeniedError, ExitCode.NO_ACCESS),
    (ConfigurationError, ExitCode.USAGE),
    (SelectionError, ExitCode.USAGE),
    (DiskFullError, ExitCode.DISK_FULL),
    (IntegrityError, ExitCode.INTEGRITY),
)


@dataclass(frozen=True, slots=True)
class Session:
    """What a command's work needs."""

    command: str
    settings: Settings
    output: Output


def exit_code_of(error: NersembleError) -> ExitCode:
    """The exit code of a command that ended with ``error``."""
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), ExitCode(1))


def run_command(
    command: str,
    work: Callable[[Session], Awaitable[ExitCode]],
    *,
    output_format: OutputFormat,
    log_format: LogFormat | None = None,
    given: Mapping[str, object] | None = None,
    on_interrupt: Callable[[Session], None] | None = None,
    interrupted_message: str = INTERRUPTED_MESSAGE,
    root_told: bool = True,
) -> NoReturn:
    """Do ``work`` in an event loop and leave through `typer.Exit` with its exit code.

    Args:
        command: its name, for the JSON report.
        work: called with the session; called a second time where the URL had to be asked for.
        output_format: of the results.
        log_format: of the events; None takes the setting's.
        given: settings from options; a None is not given.
        on_interrupt: reports what was done until a Ctrl-C; without it the report says no more
            than that.
        interrupted_message: how to go on, on stderr.
        root_told: say on stderr which folder is used.
    """
    session: Session | None = None
    output: Output = open_output(output_format, logs_shown=False)
    try:
        settings = Settings.load(**dict(given or {}), log_format=log_format)
        _keep_secret(settings)
        configure_logging(settings.log_format)
        output = open_output(output_format, logs_shown=settings.log_format != "off")
        session = Session(command, settings, output)
        if root_told and output_format is not OutputFormat.QUIET:
            print_error(_root_in_words(settings))
        code = _drive(session, work, on_interrupt, interrupted_message)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
        _tell_interrupted(command, session, output, interrupted_message)
    except BrokenPipeError:  # `| head` has enough: typer leaves quietly
        raise
    except (NersembleError, OSError, ExceptionGroup) as error:
        errors = _own_errors(error)
        for one in errors:
            print_error(f"Error: {one}")
        code = max(map(exit_code_of, errors))
        root = session.settings.root if session is not None else None
        with contextlib.suppress(OSError):  # where stdout is what is full; stderr has told it
            output.document(document_head(command, root, code, errors[0]))
    raise typer.Exit(int(code))


def _own_errors(
    error: NersembleError | OSError | ExceptionGroup[Exception],
) -> list[NersembleError]:
    """The errors that ``error`` is or holds, the system's as ours; raises it for any other."""
    if isinstance(error, NersembleError):
        return [error]
    if isinstance(error, OSError):
        return [_system_error(error)]
    own: list[NersembleError] = []
    for one in error.exceptions:
        if not isinstance(one, (NersembleError, OSError, ExceptionGroup)):
            raise error
        own += _own_errors(one)
    return own


def _system_error(error: OSError) -> NersembleError:
    """Ours for one of the system's: full, or whatever else the system says of which file."""
    why = error.strerror or str(error) or type(error).__name__
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    told = why if error.filename is None else f"{error.filename}: {why}"
    return DiskFullError(told) if full else CacheError(told)


def _drive(
    session: Session,
    work: Callable[[Session], Awaitable[ExitCode]],
    on_interrupt: Callable[[Session], None] | None,
    interrupted_message: str,
) -> ExitCode:
    """``work`` in an event loop; asks for the URL once where it turns out to be missing."""
    try:
        code = anyio.run(_until_interrupted, partial(work, session))
    except MissingBenchmarkUrlError:
        if not _somebody_is_there():
            raise
        session = Session(session.command, _ask_for_url(session.settings), session.output)
        code = anyio.run(_until_interrupted, partial(work, session))
    if code is not None:
        return code
    if on_interrupt is None:
        _tell_interrupted(session.command, session, session.output, interrupted_message)
    else:
        on_interrupt(session)
        print_error(interrupted_message)
    return ExitCode.INTERRUPTED


async def _until_interrupted(work: Callable[[], Awaitable[ExitCode]]) -> ExitCode | None:
    async with stopping_on_signals():
        return await work()
    return None


def _tell_interrupted(command: str, session: Session | None, output: Output, message: str) -> None:
    print_error(message)
    root = session.settings.root if session is not None else None
    output.document(document_head(command, root, ExitCode.INTERRUPTED))


def _keep_secret(settings: Settings) -> None:
    if settings.benchmark_url is not None:
        SCRUBBER.add(settings.benchmark_url.get_secret_value())


def _root_in_words(settings: Settings) -> str:
    why = (
        "  (the platform's cache folder; --root or NERSEMBLE_BENCHMARK_FOLDER choose another)"
        if settings.benchmark_folder is None
        else ""
    )
    return f"data folder: {settings.root}{why}"


def _somebody_is_there() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _ask_for_url(settings: Settings) -> Settings:
    """Ask on the terminal, without echo; store the answer for the next time.

    Raises:
        MissingBenchmarkUrlError: no usable answer.
    """
    print_error(str(MissingBenchmarkUrlError()))
    for _ in range(_ASKED_TIMES):
        answer = _answer()
        if not answer:
            break
        # model_dump gives what is already known, so that nothing is read anew.
        known = settings.model_dump(exclude={"benchmark_url"})
        try:
            asked = Settings.load(**known, benchmark_url=answer)
            asked.require_url()
        except ConfigurationError as error:
            print_error(f"That cannot be it: {error}")
            continue
        _keep_secret(asked)  # not before: an answer such as "y" would be replaced everywhere
        try:
            print_error(f"stored in {store_benchmark_url(answer)}")
        except ConfigurationError as error:
            print_error(f"It holds for this run only, it could not be stored: {error}")
        return asked
    raise MissingBenchmarkUrlError


def _answer() -> str:
    """What is typed, without white space around it; nothing where Ctrl-D is."""
    try:
        return getpass.getpass("The URL (it is not shown, and stored for the next time): ").strip()
    except EOFError:
        print_error("")  # the cursor still stands behind the question
        return ""
