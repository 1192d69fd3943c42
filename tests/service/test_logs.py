"""Lines of a log: whole objects, with the ids of what the process was at."""

import gc
import json
import logging
import sys
import threading
import warnings
from asyncio import new_event_loop
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Literal

import pytest
import uvicorn
from sqlalchemy.exc import DataError, IntegrityError

from service.logs import ACCESS, UVICORN, JsonLines, Lines, current_ids, log_ids, set_up_logging, trace_of


def line(message: str, **extra: object) -> dict[str, object]:
    record = logging.LogRecord("worker.x", logging.WARNING, "", 0, message, ("it",), None)
    vars(record).update(extra)
    parsed: dict[str, object] = json.loads(JsonLines().format(record))
    return parsed


def test_a_line_is_one_object_with_ids_and_figures() -> None:
    with log_ids(job_id="job_1"), log_ids(trial=3):
        told = line('say "%s"\nagain', figures={"seconds": 1.5})
    assert told.pop("at")
    assert told == {
        "level": "warning",
        "logger": "worker.x",
        "message": 'say "it"\nagain',
        "job_id": "job_1",
        "trial": 3,
        "seconds": 1.5,
    }
    assert current_ids() == {}


def test_an_error_brings_its_trace_along() -> None:
    try:
        raise KeyError("missing")
    except KeyError as error:
        told = line("failed: %s", exc_info=(type(error), error, error.__traceback__))
    assert "test_logs.py" in str(told["error"])
    assert str(told["error"]).endswith("\nKeyError"), "the key may be a client's"


def test_s11_what_another_handler_wrote_of_an_error_is_not_taken() -> None:
    error = ValueError("c4n4ry")
    record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", None, (ValueError, error, None))
    assert "c4n4ry" in logging.Formatter().format(record)
    assert Lines("%(message)s").format(record).splitlines() == [
        "failed",
        "Traceback (most recent call last):",
        "ValueError",
    ]


def raised(error: BaseException, cause: BaseException | None = None) -> str:
    def fail() -> None:
        try:
            if cause is not None:
                raise cause
        finally:
            raise error

    with pytest.raises(type(error)) as caught:
        fail()
    return trace_of(caught.value)


class Said(Exception):
    """As psycopg says that a name is taken."""

    def __str__(self) -> str:
        return 'duplicate key value violates unique constraint "uq"\nDETAIL:  Key (name)=(c4n4ry) already exists.'


def test_s11_traces_quote_nobody() -> None:
    """What may hold a client's words is told by its kind; what the system or the database says is told."""
    statement, values = "INSERT INTO jobs", {"name": "c4n4ry"}
    taken = IntegrityError(statement, values, Said(), hide_parameters=True)
    wrong = DataError(statement, values, Exception("invalid input syntax: c4n4ry"), hide_parameters=True)
    told = {
        raised(ValueError("could not convert string to float: 'c4n4ry'")): "ValueError",
        raised(KeyError("c4n4ry"), ValueError("c4n4ry")): "During handling of the above exception",
        raised(OSError(28, "No space left on device")): "OSError: [Errno 28] No space left on device",
        raised(RuntimeError("CUDA error")): "RuntimeError: CUDA error",
        raised(taken): 'IntegrityError: duplicate key value violates unique constraint "uq" [SQL: INSERT INTO jobs]',
        raised(wrong): "DataError: [SQL: INSERT INTO jobs]",
        raised(ExceptionGroup("c4n4ry", [ValueError("c4n4ry")])): "ExceptionGroup",
    }
    for trace, words in told.items():
        assert "c4n4ry" not in trace
        assert words in trace
        assert "test_logs.py" in trace


def test_ids_stay_with_their_request() -> None:
    def at(name: str) -> dict[str, object]:
        with log_ids(request_id=name):
            return dict(current_ids())

    with log_ids(queue="train"), ThreadPoolExecutor(4) as pool:
        told = [pool.submit(copy_context().run, at, str(number)) for number in range(20)]
        assert [future.result() for future in told] == [
            {"queue": "train", "request_id": str(number)} for number in range(20)
        ]


@pytest.fixture
def logging_restored() -> Iterator[None]:
    root, others = logging.getLogger(), [logging.getLogger(name) for name in (*UVICORN, ACCESS)]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in (root, *others)]
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(False)
    for logger, handlers, level, propagate in before:
        logger.handlers[:], logger.level, logger.propagate = handlers, level, propagate


@pytest.mark.usefixtures("logging_restored")
def test_servers_and_libraries_write_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    uvicorn.Config("service.app:from_environment", access_log=False)  # as the server does before it loads us
    logging.getLogger("uvicorn.error").addHandler(logging.StreamHandler())
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    set_up_logging("json")
    logging.getLogger("uvicorn.error").info("started on %d", 8000)
    logging.getLogger("uvicorn.access").info("GET /?secret=1")
    logging.getLogger("celery.worker").warning("lost the broker")
    told = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert [(one["logger"], one["message"]) for one in told] == [
        ("uvicorn.error", "started on 8000"),
        ("celery.worker", "lost the broker"),
    ]


WORDS = "c4" + "n4ry"
"""A trace shows the lines of a program as they are written; these words are written nowhere."""


class Clumsy:
    def __del__(self) -> None:
        raise ValueError(WORDS)


def fail() -> None:
    raise ValueError(WORDS)


def fail_in_a_thread() -> None:
    thread = threading.Thread(target=fail, name="sweeper")
    thread.start()
    thread.join()


def fail_at_the_top() -> None:
    try:
        fail()
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)


def fail_where_nobody_awaits() -> None:
    loop = new_event_loop()
    future: Any = loop.create_future()
    future.set_exception(ValueError(WORDS))
    del future
    loop.close()


def warn() -> None:
    warnings.warn(WORDS, UserWarning, stacklevel=1)


@pytest.mark.usefixtures("logging_restored")
@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("act", [fail_in_a_thread, fail_at_the_top, fail_where_nobody_awaits, Clumsy, warn])
@pytest.mark.filterwarnings("always")
def test_s11_what_nobody_catches_is_logged_as_other_errors_are(
    capsys: pytest.CaptureFixture[str], log_format: Literal["text", "json"], act: Callable[[], object]
) -> None:
    set_up_logging(log_format)
    act()
    gc.collect()
    written = capsys.readouterr().err
    assert WORDS not in written
    assert ("UserWarning" if act is warn else "ValueError") in written
    if log_format == "json":
        (line,) = map(json.loads, written.splitlines())
        assert line["level"] in ("warning", "error", "critical")


@pytest.mark.usefixtures("logging_restored")
def test_threads_that_end_themselves_are_no_errors(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("json")
    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()
    assert capsys.readouterr().err == ""
