import pytest

from service.errors import Stopped
from tests.worker.training.orders import RecordingSink
from worker.training.reporting import Reporter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_long_preparations_are_not_silent() -> None:
    """The supervisor ends a trial that says nothing for long, be it busy with decoding or waiting for a cache."""
    sink, clock = RecordingSink(), Clock()
    reporter = Reporter(sink, 10, clock)
    for _ in range(600):
        clock.now += 1.0
        reporter.check()
    assert 10 <= len(sink.fractions) <= 30
    assert set(sink.fractions) == {0.0}


def test_a_sign_of_life_does_not_take_progress_back() -> None:
    sink, clock = RecordingSink(), Clock()
    reporter = Reporter(sink, 10, clock)
    reporter.batch(4, 0.5)
    clock.now += 100.0
    reporter.check()
    assert sink.fractions == [0.35, 0.35]


def test_batches_are_told_about_once_a_second() -> None:
    sink, clock = RecordingSink(), Clock()
    reporter = Reporter(sink, 2, clock)
    for number in range(100):
        reporter.batch(1, number / 100)
        clock.now += 0.1
    assert len(sink.fractions) == pytest.approx(10, abs=1)


def test_a_wish_to_stop_is_heard_at_every_check() -> None:
    with pytest.raises(Stopped):
        Reporter(RecordingSink(stop_after=0), 1).check()
