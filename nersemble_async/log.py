"""structlog, silent until the host asks.

The package logs events (snake_case names plus fields) to the stdlib logger
``nersemble_async``, which has only a NullHandler: as a library it prints nothing.
`configure_logging` is what the command line calls. No event ever carries a URL.
"""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog

LogFormat = Literal["console", "json", "off"]

_LOGGER_NAME = "nersemble_async"
logging.getLogger(_LOGGER_NAME).addHandler(logging.NullHandler())

_SHARED_PROCESSORS: list[structlog.typing.Processor] = [
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def get_logger(module: str) -> structlog.stdlib.BoundLogger:
    """A logger for ``module`` (pass ``__name__``), independent of the host's structlog config."""
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(module),
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED_PROCESSORS,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return logger


def configure_logging(log_format: LogFormat, level: int = logging.INFO) -> None:
    """Send the package's events to stderr as ``console`` lines or ``json`` objects.

    Tracebacks are rendered plainly: structlog's rich ones would print local variables, and a
    local variable may be the base URL.
    """
    logger = logging.getLogger(_LOGGER_NAME)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    if log_format == "off":
        logger.addHandler(logging.NullHandler())
        return
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    final: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta
    ]
    if log_format == "json":
        final.append(structlog.processors.format_exc_info)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=[*final, renderer]))
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
