"""The pruners decide from rows as Optuna's own would have, had every trial reported to them as it went."""

import random
from typing import Any

import optuna
import pytest

from tests.searches import search_spec
from worker.tuning.pruning import epochs_that_matter, make_pruner, should_prune
from worker.tuning.records import Record
from worker.tuning.study import STUDY_NAME

EPOCHS = 27


def curve(generator: random.Random, sign: float) -> list[float]:
    """Falls towards a level of its own, with noise."""
    level, pace = generator.random(), generator.uniform(0.6, 0.95)
    return [sign * (level + 2.0 * pace**epoch + 0.1 * generator.random()) for epoch in range(1, EPOCHS + 1)]


@pytest.mark.parametrize("pruner", ["median", "percentile", "hyperband"])
@pytest.mark.parametrize("metric", ["validation_loss", "validation_accuracy"])
def test_a_whole_search_side_by_side(pruner: str, metric: str) -> None:
    """Four trials at a time, epoch by epoch; a live study is told the same, and must decide the same each time."""
    spec = search_spec(pruner=pruner, metric=metric, trials=100)
    assert spec.tuning is not None
    live = optuna.create_study(
        direction=spec.tuning.better, pruner=make_pruner(pruner, EPOCHS), study_name=STUDY_NAME,
        sampler=optuna.samplers.RandomSampler(seed=0),
    )  # fmt: skip
    generator, sign = random.Random(11), 1.0 if metric == "validation_loss" else -1.0
    records: list[Record] = []
    running: dict[int, tuple[Any, list[float]]] = {}
    pruned = 0
    while len(records) < 60 or running:
        while len(running) < 4 and len(records) < 60:
            trial = live.ask()
            running[trial.number] = (trial, curve(generator, sign))
            records.append(Record(trial.number, "running"))
        for number, (trial, values) in list(running.items()):
            epoch = len(records[number].curve) + 1
            trial.report(values[epoch - 1], epoch)
            records[number] = Record(number, "running", curve={**records[number].curve, epoch: values[epoch - 1]})
            matter = epochs_that_matter(pruner, epoch)
            seen = [
                record if record.number == number else
                Record(record.number, record.state, value=record.value,
                       curve={step: value for step, value in record.curve.items() if step in matter})
                for record in records
            ]  # fmt: skip
            decision = should_prune(spec.tuning, seen, number, epochs=EPOCHS)
            wanted = trial.should_prune()
            spared = number == 0 or epoch == EPOCHS or not any(record.state == "succeeded" for record in records)
            assert decision == (wanted and not spared), (number, epoch)
            if decision:
                live.tell(trial, state=optuna.trial.TrialState.PRUNED)
                records[number] = Record(number, "pruned", curve=records[number].curve)
            elif epoch == EPOCHS:
                value = (min if sign > 0 else max)(values)
                live.tell(trial, value)
                records[number] = Record(number, "succeeded", value=value, curve=records[number].curve)
            if records[number].state != "running":
                pruned += records[number].state == "pruned"
                del running[number]
    assert 10 < pruned < 60


def done(number: int, level: float) -> Record:
    return Record(number, "succeeded", value=level, curve=dict.fromkeys(range(1, 5), level))


BAD = Record(9, "running", curve=dict.fromkeys(range(1, 4), 9.0))
OTHERS = [done(number, number / 10) for number in range(9)]


@pytest.mark.parametrize(
    ("records", "number", "pruner", "decision"),
    [
        ([*OTHERS, BAD], 9, "median", True),
        ([*OTHERS, BAD], 9, "percentile", True),
        ([*OTHERS, BAD], 9, "none", False),
        ([Record(0, "running", curve=BAD.curve), *OTHERS[1:]], 0, "median", False),
        ([Record(n, "failed", curve=other.curve) for n, other in enumerate(OTHERS)] + [BAD], 9, "hyperband", False),
        ([*OTHERS, Record(9, "running", curve={1: 9.0})], 9, "median", False),
        ([*OTHERS, Record(9, "running", curve={1: 9.0, 2: 9.0})], 9, "median", True),
        ([*OTHERS, Record(9, "running", curve=dict.fromkeys(range(1, 21), 9.0))], 9, "median", False),
        ([*OTHERS, Record(9, "running", curve={1: 0.1, 2: 9.0, 3: 9.0})], 9, "median", False),
    ],
    ids=["worse", "not-among-the-best", "no-pruner", "the-baseline", "the-only-candidate", "first-epoch",
         "second-epoch", "its-last-epoch", "its-best-counts"],
)  # fmt: skip
def test_who_is_spared(records: list[Record], number: int, pruner: str, decision: bool) -> None:
    tuning = search_spec(pruner=pruner).tuning
    assert tuning is not None
    assert should_prune(tuning, records, number, epochs=20) is decision


@pytest.mark.parametrize(("epochs", "first"), [(1, 1), (5, 1), (18, 1), (19, 2), (99, 10)])
@pytest.mark.parametrize("pruner", ["median", "percentile"])
def test_the_first_tenth_is_not_judged(pruner: str, epochs: int, first: int) -> None:
    tuning = search_spec(pruner=pruner).tuning
    assert tuning is not None
    others = [Record(number, "succeeded", value=0.1, curve=dict.fromkeys(range(1, 101), 0.1)) for number in range(9)]
    judged = [
        epoch
        for epoch in range(1, epochs + 1)
        if should_prune(
            tuning, [*others, Record(9, "running", curve=dict.fromkeys(range(1, epoch + 1), 9.0))], 9, epochs=epochs + 1
        )
    ]
    assert judged == [*range(first, epochs + 1)]
