"""Logs of a process: lines for people, or one JSON object a line, with the ids of what it was at.

What clients send stays out of them: requests are named by their route, never by their path or query, and errors by
their kind: the message of one may quote them (`could not convert string to float: '…'`).
"""

import json
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal

from sqlalchemy.exc import DataError, DBAPIError

from service.errors import ServiceError

Format = Literal["text", "json"]
TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"
UVICORN = ("uvicorn", "uvicorn.error")
ACCESS = "uvicorn.access"
"""Uvicorn's lines of requests, with paths and queries; ours name routes (`service.traffic`)."""
WARNINGS, LOOPS = "py.warnings", "asyncio"
"""Loggers of others that put the words of errors and warnings into their lines."""
SPEAKING = (ServiceError, OSError, RuntimeError, ImportError, MemoryError)
"""Whose messages are ours, or the system's, or those of a library about shapes and devices."""
_BECAUSE = "\nThe above exception was the direct cause of the following exception:\n"
_DURING = "\nDuring handling of the above exception, another exception occurred:\n"

log = logging.getLogger(__name__)
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

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line without the trace."""
        record.message = message_of(record)
        return super().formatMessage(record)

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
            "message": message_of(record),
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
    warnings.showwarning = _log_warning
    sys.excepthook, threading.excepthook = _log_uncaught, _log_uncaught_of_thread
    sys.unraisablehook = _log_unraisable


def message_of(record: logging.LogRecord) -> str:
    """What a line says; asyncio repeats an error in the lines after the first."""
    message = record.getMessage()
    return message.partition("\n")[0] if record.name == LOOPS and record.exc_info else message


def _log_warning(
    message: Warning | str,  # noqa: ARG001 - it may quote what a client sent
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    logging.getLogger(WARNINGS).warning("%s at %s:%d", category.__name__, filename, lineno)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    log.critical("uncaught error", exc_info=(kind, error, trace))


def _log_uncaught_of_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is None or issubclass(args.exc_type, SystemExit):
        return
    name = args.thread.name if args.thread else "that is gone"
    log.error("uncaught error in thread %s", name, exc_info=(args.exc_type, args.exc_value, args.exc_traceback))


def _log_unraisable(args: "sys.UnraisableHookArgs") -> None:
    """Of a destructor or a callback, which nobody can catch; what it was of may hold anything."""
    log.error("ignored error", exc_info=args.exc_value)


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
