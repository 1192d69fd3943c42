from dataclasses import replace

import pytest

from service.specs.jobs import EarlyStoppingSpec, Monitor
from worker.training.early_stopping import EarlyStopping, best_epoch
from worker.training.order import EpochRecord

BLANK = EpochRecord(1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def curve(values: list[float], monitor: Monitor = "validation_loss") -> list[EpochRecord]:
    return [replace(BLANK, epoch=number, **{monitor: value}) for number, value in enumerate(values, start=1)]


def stops_after(values: list[float], spec: EarlyStoppingSpec) -> int | None:
    stopping = EarlyStopping(spec)
    for record in curve(values, spec.monitor):
        stopping.see(record)
        if stopping.exhausted:
            return record.epoch
    return None


@pytest.mark.parametrize(
    ("values", "patience", "min_delta", "expected"),
    [
        ([3, 2, 2.5, 2.5, 2.5], 3, 0.0, 5),
        ([3, 2, 2.5, 2.5, 1.9, 2, 2], 3, 0.0, None),
        ([3, 2, 2, 2], 2, 0.0, 4),
        ([3, 2.95, 2.91, 2.8], 2, 0.1, 3),
        ([3, 2.95, 2.85, 2.84], 2, 0.1, None),
        ([1, 2], 1, 0.0, 2),
    ],
)
def test_patience_counts_evaluations_without_improvement(
    values: list[float], patience: int, min_delta: float, expected: int | None
) -> None:
    assert stops_after(values, EarlyStoppingSpec(patience=patience, min_delta=min_delta)) == expected


def test_accuracy_is_made_large() -> None:
    spec = EarlyStoppingSpec(monitor="validation_accuracy", patience=2)
    assert stops_after([0.5, 0.6, 0.7, 0.7, 0.6], spec) == 5
    assert best_epoch(curve([0.5, 0.7, 0.7, 0.6], "validation_accuracy"), "validation_accuracy") == 2


def test_best_is_the_least_loss_and_the_first_of_equals() -> None:
    assert best_epoch(curve([3, 2, 1.95, 2, 1.95]), "validation_loss") == 3


def test_without_a_spec_nothing_stops_and_loss_decides() -> None:
    stopping = EarlyStopping(None)
    for record in curve([1.0] * 50):
        stopping.see(record)
    assert not stopping.exhausted
    assert stopping.monitor == "validation_loss"


def test_counting_can_start_again() -> None:
    stopping = EarlyStopping(EarlyStoppingSpec(patience=2))
    first, *others = curve([1, 2, 2])
    for record in (first, others[0]):
        stopping.see(record)
    stopping.restart_counting()
    stopping.see(others[1])
    assert not stopping.exhausted
