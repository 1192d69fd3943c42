"""Scores of predicted values, in the target's units; r2 is None where it is undefined.

Shapes: n samples.
"""

import numpy as np

from worker.training.bootstrap import Interval, interval, resamples
from worker.training.metrics import Floats


def value_scores(predicted: Floats, actual: Floats) -> dict[str, float | None]:
    """Of [n] values: `loss` (mean squared error), `rmse`, `mae`, and `r2` as scikit-learn defines it.

    r2 is None where the actual values do not vary.
    """
    squared = (predicted - actual) ** 2
    loss = float(squared.mean())
    spread = float(((actual - actual.mean()) ** 2).mean())
    return {
        "loss": loss,
        "rmse": float(np.sqrt(loss)),
        "mae": float(np.abs(predicted - actual).mean()),
        "r2": 1.0 - loss / spread if spread > 0 else None,
    }


def mean_scores(train_targets: Floats, actual: Floats) -> dict[str, float | None]:
    """Scores of always answering the mean of the train targets."""
    return value_scores(np.full(len(actual), train_targets.mean()), actual)


def value_intervals(predicted: Floats, actual: Floats, seed: int) -> dict[str, Interval | None]:
    """The 95 % interval of each score from 1,000 resamples, the same for the same seed; see `bootstrap`.

    The r2 of a resample is about its own mean.
    """
    centred = actual - actual.mean()
    squared, absolute = (predicted - actual) ** 2, np.abs(predicted - actual)
    found: dict[str, list[Floats]] = {"loss": [], "rmse": [], "mae": [], "r2": []}
    for counts in resamples(len(actual), seed):
        weights = counts.astype(np.float64) / len(actual)
        loss = squared @ weights
        spread = (centred**2) @ weights - (centred @ weights) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            determined = np.where(spread > 0, 1.0 - loss / spread, np.nan)
        scores = {"loss": loss, "rmse": np.sqrt(loss), "mae": absolute @ weights, "r2": determined}
        for name, values in scores.items():
            found[name].append(values)
    return {name: interval(np.concatenate(values)) for name, values in found.items()}
