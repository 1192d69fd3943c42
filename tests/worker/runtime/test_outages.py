"""A child whose supervisor's database is away, does not answer, or knows somebody else for the row."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from service.errors import LeaseLost
from tests.live import gone, until
from tests.worker.runtime import children
from tests.worker.runtime.supervised import WATCH, pids_in, supervise
from worker.runtime.messages import Crashed, Done, Ending, GaveUp, Report
from worker.runtime.scribe import Wish


def test_a_lost_lease_ends_the_child_at_once(tmp_path: Path) -> None:
    marker = tmp_path / "pids"

    def beat() -> Wish:
        if marker.exists():
            raise LeaseLost("replaced")
        return "go_on"

    with pytest.raises(LeaseLost):
        supervise(children.ignore_everything, str(marker), beat=beat)
    assert all(gone(pid) for pid in pids_in(marker))


def test_reports_outlive_a_database_outage() -> None:
    kept: list[str] = []
    failures = iter([True] * 4)

    def record(report: Report) -> None:
        if next(failures, False):
            raise OperationalError("UPDATE", {}, Exception("the database is away"))
        kept.append(report.message)

    assert supervise(children.say_and_return, 5, record=record) == Done(10)
    assert kept == [f"step {step}" for step in range(5)]


def test_a_database_away_for_too_long_stops_the_work(tmp_path: Path) -> None:
    """By then somebody else may hold the row: nothing more is written."""
    marker = tmp_path / "pids"

    def beat() -> Wish:
        raise OperationalError("UPDATE", {}, Exception("the database is away"))

    with pytest.raises(LeaseLost, match="away for too long"):
        supervise(children.wait_for_stop, str(marker), watch=replace(WATCH, patience_seconds=0.5), beat=beat)
    assert all(gone(pid) for pid in pids_in(marker))


@pytest.mark.parametrize("limit", ["stall", "drain", "patience"])
def test_a_database_that_does_not_answer_keeps_nobody_from_watching(tmp_path: Path, limit: str) -> None:
    """A line gone silent fails no query: limits, drains and the patience hold all the same."""
    marker = tmp_path / "pids"
    died: list[bool] = []
    watch = replace(WATCH, grace_seconds=0.3, **{f"{limit}_seconds": 1.0} if limit != "drain" else {})

    def beat() -> Wish:
        died.extend(gone(pid) for pid in pids_in(marker))
        return "go_on"

    def watched() -> Ending:
        wish: Callable[[], Wish] = lambda: "stop" if limit == "drain" and marker.exists() else "go_on"  # noqa: E731
        work = children.fall_silent if limit == "stall" else children.ignore_everything
        return supervise(work, str(marker), watch=watch, beat=beat, wish=wish)

    if limit == "patience":
        with pytest.raises(LeaseLost, match="away for too long"):
            watched()
    else:
        assert isinstance(watched(), Crashed if limit == "stall" else GaveUp)
    until(lambda: died)
    assert all(died), "before the database has answered"


def test_a_slow_database_is_not_away() -> None:
    """Each answer counts, however long all of them take together."""
    kept: list[str] = []

    def record(report: Report) -> None:
        time.sleep(0.15)
        kept.append(report.message)

    assert supervise(children.say_and_return, 15, watch=replace(WATCH, patience_seconds=1.5), record=record) == Done(30)
    assert len(kept) == 15
