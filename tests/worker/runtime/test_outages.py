"""A child whose supervisor's database is away, does not answer, or knows somebody else for the row."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DataError, OperationalError

from service.errors import LeaseLost
from tests.live import gone, until
from tests.worker.runtime import children
from tests.worker.runtime.supervised import WATCH, pids_in, supervise
from worker.runtime.messages import Crashed, Done, Ending, GaveUp, Report
from worker.runtime.outages import insist
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
        supervise(children.wait_for_stop, str(marker), watch=replace(WATCH, patience=lambda: 0.5), beat=beat)
    assert all(gone(pid) for pid in pids_in(marker))


@pytest.mark.parametrize("limit", ["stall", "drain", "patience"])
def test_a_database_that_does_not_answer_keeps_nobody_from_watching(tmp_path: Path, limit: str) -> None:
    """A line gone silent fails no query: limits, drains and the patience hold all the same."""
    marker = tmp_path / "pids"
    died: list[bool] = []
    limits: dict[str, Any] = {"stall": {"stall_seconds": 6.0}, "patience": {"patience": lambda: 1.0}}
    watch = replace(WATCH, grace_seconds=0.3, **limits.get(limit, {}))

    def beat() -> Wish:
        if marker.exists():
            died.extend(gone(pid) for pid in pids_in(marker))
            time.sleep(1.0)  # it answers long after the death was noticed
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

    assert supervise(children.say_and_return, 15, watch=replace(WATCH, patience=lambda: 1.5), record=record) == Done(30)
    assert len(kept) == 15


def test_reports_are_recorded_however_slow_beats_are() -> None:
    """When one has ended, the next is due."""
    kept: list[str] = []

    def beat() -> Wish:
        time.sleep(2 * WATCH.heartbeat_seconds)
        return "go_on"

    assert supervise(children.say_and_return, 5, beat=beat, record=lambda report: kept.append(report.message)) == Done(
        10
    )
    assert len(kept) == 5


def test_a_stop_is_heard_however_much_there_is_to_record(tmp_path: Path) -> None:
    """Epochs come faster than they can be recorded: the backlog never ends."""
    many = 5000

    def record(report: Report) -> None:
        time.sleep(0.005)

    ending = supervise(children.run_epochs, many, record=record, beat=lambda: "stop")
    assert isinstance(ending, Done)
    assert ending.result < many


def test_of_progress_that_waits_only_the_last_is_recorded(tmp_path: Path) -> None:
    marker = tmp_path / "counted"
    kept: list[float] = []

    def record(report: Report) -> None:
        until(marker.exists)
        kept.append(report.payload["fraction"])

    assert supervise(children.count_to_a_hundred, str(marker), record=record) == Done(None)
    assert kept[-1] == 1.0
    assert len(kept) < 50


def test_a_report_that_is_never_taken_is_not_waited_for_longer_than_patience() -> None:
    """Though the database answers everything else."""

    def record(report: Report) -> None:
        raise OperationalError("INSERT", {}, Exception("the disk is full"))

    with pytest.raises(LeaseLost, match="away for too long"):
        supervise(children.say_and_return, 1, watch=replace(WATCH, patience=lambda: 1.0), record=record)


def test_a_worker_that_drains_waits_for_no_database(tmp_path: Path) -> None:
    """Its work has ended, but cannot be recorded; it would have waited for a minute otherwise."""
    draining: list[bool] = []

    def record(report: Report) -> None:
        draining.append(True)
        raise OperationalError("UPDATE", {}, Exception("the database is away"))

    watch = replace(WATCH, patience=lambda: 0.5 if draining else 60.0)
    with pytest.raises(LeaseLost, match="away for too long"):
        supervise(children.say_and_return, 1, watch=watch, record=record)


def test_a_result_waits_for_a_database_that_is_away(tmp_path: Path) -> None:
    """There is nothing to record any more, but the lease could not be renewed: what follows could not be written."""
    marker = tmp_path / "marker"
    answers: list[bool] = []

    def beat() -> Wish:
        marker.touch()
        answers.append(len(answers) >= 3)
        if not answers[-1]:
            raise OperationalError("UPDATE", {}, Exception("the database is away"))
        return "go_on"

    assert supervise(children.return_once_there_is, str(marker), beat=beat) == Done(str(marker))
    assert answers[-1]


def test_what_cannot_be_written_at_all_is_told_at_once() -> None:
    def record(report: Report) -> None:
        raise DataError("UPDATE", {}, Exception("a number is too large"))

    with pytest.raises(DataError):
        supervise(children.say_and_return, 1, record=record)


def test_ends_are_written_once_the_database_is_back() -> None:
    failures = iter([True] * 2)
    written: list[str] = []

    def write() -> None:
        if next(failures, False):
            raise OperationalError("UPDATE", {}, Exception("the database is away"))
        written.append("end")

    insist(write, lambda: 60.0)
    assert written == ["end"]


def test_ends_are_given_up_when_the_patience_is_over() -> None:
    def write() -> None:
        raise OperationalError("UPDATE", {}, Exception("the database is away"))

    with pytest.raises(LeaseLost, match="away for too long"):
        insist(write, lambda: 0.0)
