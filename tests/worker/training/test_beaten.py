"""A trial that another one has beaten writes nothing; its scores are those of any trial."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from service.specs.tuning import Monitor
from tests.worker.training.orders import order, run, scored, spec
from worker.training.order import ToBeat, TrialOutcome


@dataclass(frozen=True)
class Unbeaten:
    """A trial with nothing to beat, and where it was run."""

    folder: Path
    outcome: TrialOutcome


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Unbeaten:
    folder = tmp_path_factory.mktemp("beaten")
    return Unbeaten(folder, run(order(folder, spec(), scratch="first", draws=True))[0])


@pytest.mark.parametrize(
    ("metric", "share", "is_beaten"),
    [
        ("validation_loss", 0.99, True),
        ("validation_loss", 1.0, False),
        ("validation_loss", 1.01, False),
        ("validation_accuracy", 0.99, False),
        ("validation_accuracy", 1.0, False),
        ("validation_accuracy", 1.01, True),
        # A database may round a number in its last digits: what is the same trial again must not be beaten by it.
        ("validation_loss", 1.0 - 4e-16, False),
        ("validation_accuracy", 1.0 + 4e-16, False),
        ("validation_loss", 1.0 - 1e-11, True),
        ("validation_accuracy", 1.0 + 1e-11, True),
    ],
)
def test_only_what_is_worse_is_left_out(first: Unbeaten, metric: Monitor, share: float, is_beaten: bool) -> None:
    mine = scored(first.outcome, "validation", metric.removeprefix("validation_"))
    made = order(first.folder, spec(), scratch=f"{metric}-{share}", draws=True)
    again, _ = run(replace(made, to_beat=ToBeat(metric, mine * share)))

    assert (mine * share == mine) == (share == 1.0)
    assert again.metrics == first.outcome.metrics
    names = [file.name for file in again.files]
    assert names == ([] if is_beaten else [file.name for file in first.outcome.files])
    assert again.trained_with == first.outcome.trained_with
