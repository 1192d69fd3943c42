"""Scores of values against scikit-learn and scipy, and the objective in the target's units."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as reference

from tests.worker.training.orders import RecordingSink
from worker.training.objective import Answered
from worker.training.regression import BINS, MOST_POINTS, Regression
from worker.training.regression_metrics import mean_scores, value_intervals, value_scores
from worker.training.reporting import Reporter


def answers(samples: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    actual = generator.gamma(2.0, 30.0, samples) + 1e4
    return actual + generator.normal(0.0, 10.0, samples), actual


def test_scores_are_scikit_learns() -> None:
    predicted, actual = answers(50)
    assert value_scores(predicted, actual) == pytest.approx(
        {
            "loss": reference.mean_squared_error(actual, predicted),
            "rmse": reference.root_mean_squared_error(actual, predicted),
            "mae": reference.mean_absolute_error(actual, predicted),
            "r2": reference.r2_score(actual, predicted),
        },
        rel=1e-12,
    )
    assert value_scores(np.array([1.0, 3.0]), np.array([2.0, 2.0])) == {
        "loss": 1.0,
        "rmse": 1.0,
        "mae": 1.0,
        "r2": None,
    }


def test_the_baseline_says_the_mean_of_train() -> None:
    found = mean_scores(np.array([0.0, 2.0, 4.0]), np.array([1.0, 3.0]))
    assert found == {"loss": 1.0, "rmse": 1.0, "mae": 1.0, "r2": 0.0}


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("rmse", reference.root_mean_squared_error),
        ("mae", reference.mean_absolute_error),
        ("r2", reference.r2_score),
        ("loss", reference.mean_squared_error),
    ],
)
def test_intervals_are_scipys(name: str, score: Any) -> None:
    predicted, actual = answers(200)
    theirs = stats.bootstrap(
        (actual, predicted), score, paired=True, vectorized=False, n_resamples=1000,
        method="percentile", rng=np.random.default_rng(1),
    )  # fmt: skip
    ours = np.mean([value_intervals(predicted, actual, seed)[name] for seed in range(8)], axis=0)
    # The 2.5th percentile of b normal draws has a standard error of about 2.7 spreads / √b.
    assert ours == pytest.approx(
        list(theirs.confidence_interval), abs=4 * 2.7 * float(theirs.standard_error) / 1000**0.5
    )
    assert value_intervals(predicted, actual, 3) == value_intervals(predicted, actual, 3)


def test_intervals_of_what_does_not_vary_are_none() -> None:
    assert value_intervals(np.array([1.0, 2.0, 3.0]), np.full(3, 7.0), 0)["r2"] is None


def test_training_sees_standardised_values_and_reports_are_in_units() -> None:
    targets = torch.tensor([100.0, 300.0, 500.0], dtype=torch.float64)
    objective = Regression.of(targets)
    outputs = torch.tensor([[-1.0], [0.0], [2.0]])
    deviation = float(np.std([100, 300, 500]))
    values = [300 - deviation, 300.0, 300 + 2 * deviation]
    standardised = [(value - 300) / deviation for value in (100, 300, 500)]
    expected = np.mean([(a - b) ** 2 for a, b in zip((-1, 0, 2), standardised, strict=True)])

    assert objective.loss(outputs, targets).item() == pytest.approx(expected, rel=1e-6)
    assert objective.values(outputs).tolist() == pytest.approx(values)
    squares = sum((a - b) ** 2 for a, b in zip(values, (100, 300, 500), strict=True))
    assert objective.sums(outputs, targets).tolist() == pytest.approx([squares])
    assert objective.evaluation(outputs, targets)["validation_loss"] == pytest.approx(squares / 3)


def test_large_means_do_not_cost_precision() -> None:
    """float32 has no numbers between 1e9 and 1e9 + 64."""
    targets = 1e9 + torch.tensor([0.0, 1.0, 2.0, 3.0], dtype=torch.float64)
    objective = Regression.of(targets)
    perfect = ((targets - objective.mean) / objective.scale).float()[:, None]
    assert objective.evaluation(perfect, targets)["validation_rmse"] == pytest.approx(0.0, abs=1e-6)


def test_targets_that_are_all_the_same_can_be_learned_and_are_told() -> None:
    targets, sink = torch.full((4,), 5.0, dtype=torch.float64), RecordingSink()
    objective = Regression.of(targets)
    assert objective.loss(torch.zeros(4, 1), targets).item() == 0.0
    objective.warn({"train": targets, "test": torch.tensor([1.0, 2.0])}, Reporter(sink, 1))
    assert [message for _, message in sink.events] == [
        "All targets of the train split have the same value. Its r2 is undefined."
    ]


def test_pictures_hold_few_points_and_the_spread_of_all() -> None:
    predicted, actual = answers(3 * MOST_POINTS)
    part = Answered(torch.from_numpy(predicted)[:, None], torch.from_numpy(actual))
    scored = Regression().score({"train": part, "validation": part, "test": part}, part.targets, seed=0)
    points, residuals = scored.documents["predicted_against_actual"], scored.documents["residuals"]
    assert len(points["actual"]) == len(points["predicted"]) == len(residuals["residuals"]) == MOST_POINTS
    assert residuals["residuals"] == pytest.approx(np.subtract(points["actual"], points["predicted"]))
    assert len(residuals["bins"]) == BINS
    assert sum(one["samples"] for one in residuals["bins"]) == 3 * MOST_POINTS
    assert scored.metrics["test"]["samples"] == 3 * MOST_POINTS
    assert scored.metrics["test"]["intervals"].keys() == {"loss", "rmse", "mae", "r2"}
