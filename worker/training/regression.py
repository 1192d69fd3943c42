"""Values: squared errors of standardised outputs in training, errors in the target's units in all that is reported."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from worker.training.card_scores import regression_sections
from worker.training.metrics import Floats
from worker.training.objective import Answered, Scored
from worker.training.regression_metrics import mean_scores, value_intervals, value_scores
from worker.training.reporting import Reporter

MOST_POINTS = 2000
BINS = 30


@dataclass(frozen=True)
class Regression:
    """Outputs are [n, 1]: (value - mean) / scale. Targets are [n] float64 in their own units.

    Attributes:
        mean, scale: of the train targets, so that outputs are of order one; 0 and 1 where outputs are values already.
    """

    mean: float = 0.0
    scale: float = 1.0

    @classmethod
    def of(cls, train_targets: Tensor) -> "Regression":
        """With the mean and the standard deviation of the train targets, which may all be the same."""
        scale = float(train_targets.std(correction=0))
        return cls(float(train_targets.mean()), scale if scale > 0 else 1.0)

    @property
    def classes(self) -> list[str]:
        """None."""
        return []

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean squared error of standardised values."""
        return mse_loss(outputs[:, 0], ((targets - self.mean) / self.scale).to(outputs.dtype))

    def weight(self, targets: Tensor) -> float:
        """Samples."""
        return float(len(targets))

    def sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """[squared errors]."""
        return (self.values(outputs) - targets).square().sum()[None]

    def evaluation(self, outputs: Tensor, targets: Tensor) -> dict[str, float | None]:
        """Loss, rmse, mae, r2."""
        scores = value_scores(self.values(outputs).numpy(), targets.numpy())
        return {f"validation_{name}": value for name, value in scores.items()}

    def values(self, outputs: Tensor) -> Tensor:
        """[n, 1] → [n] float64 in the target's units."""
        return outputs[:, 0].double() * self.scale + self.mean

    def score(self, parts: Mapping[str, Answered], train_targets: Tensor, *, seed: int) -> Scored:
        """Errors, with intervals of those on test."""
        values = {name: self.values(part.outputs).numpy() for name, part in parts.items()}
        actual = {name: part.targets.numpy() for name, part in parts.items()}
        metrics: dict[str, Any] = {
            name: value_scores(values[name], actual[name]) | {"samples": len(actual[name])} for name in parts
        }
        metrics["test"]["intervals"] = value_intervals(values["test"], actual["test"], seed)
        metrics["baseline"] = mean_scores(train_targets.numpy(), actual["test"]) | {"samples": len(actual["test"])}
        return Scored(metrics, _documents(values["test"], actual["test"]))

    def warn(self, targets: Mapping[str, Tensor], reporter: Reporter) -> None:
        """Of values that are all the same."""
        for name, values in targets.items():
            if len(torch.unique(values)) == 1:
                text = f"All targets of the {name} split have the same value."
                reporter.warn(f"{text} Its r2 is undefined.", split=name)

    def card(self, metrics: Mapping[str, Any], samples: str) -> list[str]:
        """Scores, limits."""
        return regression_sections(metrics, samples)


def _documents(predicted: Floats, actual: Floats) -> dict[str, dict[str, Any]]:
    """Points of at most 2,000 evenly spaced samples, and how the residuals (actual - predicted) of all spread."""
    every = -(-len(actual) // MOST_POINTS)
    residuals = actual - predicted
    counts, edges = np.histogram(residuals, bins=BINS)
    bins = [
        {"low": float(low), "high": float(high), "samples": int(count)}
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    said = predicted[::every].tolist()
    return {
        "predicted_against_actual": {"split": "test", "actual": actual[::every].tolist(), "predicted": said},
        "residuals": {"split": "test", "predicted": said, "residuals": residuals[::every].tolist(), "bins": bins},
    }
