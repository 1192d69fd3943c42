"""Traces of errors for a log: where, of which kind, and what the system or the database said.

The message of any other error may quote what a client has sent (`could not convert string to float: '…'`), and is left
out.
"""

import traceback
from collections.abc import Iterator

from sqlalchemy.exc import DataError, DBAPIError

from service.errors import ServiceError

SPEAKING = (ServiceError, OSError, RuntimeError, ImportError, MemoryError)
"""Whose messages are ours, or the system's, or those of a library about shapes and devices."""
BECAUSE = "\nThe above exception was the direct cause of the following exception:\n"
DURING = "\nDuring handling of the above exception, another exception occurred:\n"


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
        yield BECAUSE if error.__cause__ else DURING
        yield "\n"
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{told_by(error)}\n"
    for part in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from _lines(part, seen)
