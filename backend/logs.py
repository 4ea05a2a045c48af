"""Logging: one line per event, readable or JSON, with the job it belongs to.

    log = get_logger(__name__)
    with about(job_id="3f..."):
        log.info("training", runs=240)

Standard-library loggers (uvicorn, alembic, the job engine) come out in the same form.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

__all__ = ["about", "configure", "get_logger"]

#: Loggers that say more than a reader wants.
_QUIET = {
    "alembic": logging.WARNING,
    "dbos": logging.ERROR,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "uvicorn.access": logging.WARNING,
    "uvicorn.error": logging.WARNING,
}


def configure(level: str = "INFO", *, json: bool = False) -> None:
    """Sets up this process's log on standard error. Calling it again replaces what was set up."""
    wanted = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if json else "%H:%M:%S", utc=json),
    ]
    if json:
        ending: list[Any] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        plain = structlog.dev.plain_traceback
        ending = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(wanted)
    for name, floor in _QUIET.items():
        logging.getLogger(name).setLevel(max(wanted, floor) if wanted > logging.DEBUG else wanted)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose keyword arguments become fields."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


@contextmanager
def about(**fields: Any) -> Iterator[None]:
    """Every line logged inside, by whichever module, carries these fields."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield
