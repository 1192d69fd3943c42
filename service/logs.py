"""Logs of a process: lines for people, or one JSON object a line, with the ids of what it was at.

What clients send stays out of them: requests are named by their route, never by their path or query, and errors by
their kind: the message of one may quote them (`could not convert string to float: '…'`).
"""

import json
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy.exc import DataError, DBAPIError

from service.errors import ServiceError

Format = Literal["text", "json"]
TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"
UVICORN = ("uvicorn", "uvicorn.error")
ACCESS = "uvicorn.access"
"""Uvicorn's lines of requests, with paths and queries; ours name routes (`service.traffic`)."""
SPEAKING = (ServiceError, OSError, RuntimeError, ImportError, MemoryError)
"""Whose messages are ours, or the system's, or those of a library about shapes and devices."""
_BECAUSE = "\nThe above exception was the direct cause of the following exception:\n"
_DURING = "\nDuring handling of the above exception, another exception occurred:\n"

_ids: ContextVar[Mapping[str, str | int]] = ContextVar("log_ids", default={})  # noqa: B039 - never changed in place


def current_ids() -> dict[str, str | int]:
    """What this thread or request is at: `request_id`, `job_id`, `trial`, …"""
    return dict(_ids.get())


@contextmanager
def log_ids(**ids: str | int) -> Iterator[None]:
    """Within, every line carries these ids beside those of around."""
    token = _ids.set({**_ids.get(), **ids})
    try:
        yield
    finally:
        _ids.reset(token)


class Lines(logging.Formatter):
    """A line for people, and the trace of an error below it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; another handler's trace of the error, kept in the record with all its words, is not taken."""
        record.exc_text = None
        return super().format(record)

    def formatException(self, ei: Any) -> str:
        """The trace, with what may be told of it."""
        return trace_of(ei[1])


class JsonLines(Lines):
    """One object a line: `at`, `level`, `logger`, `message`, the ids, and of errors `error`, their trace."""

    def format(self, record: logging.LogRecord) -> str:
        """The line without its end."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **current_ids(),
            **getattr(record, "figures", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up_logging(log_format: Format) -> None:
    """Replaces whatever handlers there are; a program calls it once, at its start."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else Lines(TEXT))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in UVICORN:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True
    access = logging.getLogger(ACCESS)
    access.handlers.clear()
    access.propagate = False
    logging.captureWarnings(True)


def trace_of(error: BaseException | None) -> str:
    """The error's trace after those of what it came from, as Python writes them."""
    return "".join(_lines(error, set())).rstrip("\n") if error else ""


def told_by(error: BaseException) -> str:
    """The error's kind, with its message where that quotes nobody."""
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    message = _message(error)
    return f"{kind}: {message}" if message else kind


def _message(error: BaseException) -> str:
    if isinstance(error, DBAPIError):
        # The server's further lines and those of wrong values have what was to be stored.
        said = "" if isinstance(error, DataError) else str(error.orig).partition("\n")[0]
        return f"{said} [SQL: {error.statement}]".strip()
    return str(error) if isinstance(error, SPEAKING) else ""


def _lines(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _lines(before, seen)
        yield _BECAUSE if error.__cause__ else _DURING
        yield "\n"
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{told_by(error)}\n"
    for part in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from _lines(part, seen)
