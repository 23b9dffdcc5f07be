"""Log events: snake_case names plus fields, rendered by structlog, silent until the host asks.

Events go to the stdlib logger ``nersemble_async``, which has only a NullHandler: as a library
the package prints nothing. `configure_logging` is what the command line calls; structlog, whose
import is slow, is loaded there. No event ever carries a URL.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import Literal

LogFormat = Literal["console", "json", "off"]

_LOGGER_NAME = "nersemble_async"
logging.getLogger(_LOGGER_NAME).addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class EventLogger:
    """Hands events to a stdlib logger; their fields become attributes of the log record."""

    logger: logging.Logger

    def debug(self, event: str, **fields: object) -> None:
        """An event for finding faults."""
        self.logger.debug(event, extra=fields)

    def info(self, event: str, **fields: object) -> None:
        """An event of the ordinary course."""
        self.logger.info(event, extra=fields)

    def warning(self, event: str, **fields: object) -> None:
        """Something that a user should look at, but that did not stop the work."""
        self.logger.warning(event, extra=fields)


def get_logger(module: str) -> EventLogger:
    """The logger of a module; pass ``__name__``."""
    return EventLogger(logging.getLogger(module))


def configure_logging(log_format: LogFormat, level: int = logging.INFO) -> None:
    """Send the package's events to stderr as ``console`` lines or ``json`` objects.

    Tracebacks are rendered plainly: structlog's rich ones would print local variables, and a
    local variable may be the base URL.
    """
    logger = logging.getLogger(_LOGGER_NAME)
    for old in list(logger.handlers):
        logger.removeHandler(old)
    if log_format == "off":
        logger.addHandler(logging.NullHandler())
        return
    import structlog  # noqa: PLC0415 - a third of a second, only where something is logged

    prepare: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    finish: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta
    ]
    if log_format == "json":
        finish += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        plain = structlog.dev.plain_traceback
        colors = sys.stderr.isatty()
        finish.append(structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=prepare, processors=finish)
    )
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
