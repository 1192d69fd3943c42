"""Shapley values of a linear model in closed form (Lundberg and Lee 2017, corollary 1)."""

from typing import Any

import numpy as np

from worker.estimators.predictors import Linear
from worker.explaining.meter import Meter
from worker.explaining.results import Space
from worker.explaining.tabular.exact import shared
from worker.explaining.tabular.question import Question, RowAttribution, in_space, margin_space

TOLERANCE = 1e-6


class LinearShap:
    """The method `shap` for linear models: coefficient x (value - mean of the train split), summed per column.

    In log-odds, logits or values. The mean is of the whole train split, not of a sample of it; the pieces that a
    category or a datetime is encoded into are summed, which is the Shapley value of the group as the model is a sum.
    """

    name = "linear"
    sampled = False
    parameters: dict[str, Any] = {"explainer": name}  # noqa: RUF012
    baseline: dict[str, Any] = {"kind": "training_mean"}  # noqa: RUF012

    def space(self, question: Question) -> Space:
        """What is taken apart."""
        return margin_space(question.trained)

    def cost(self, columns: int, targets: int) -> int:
        """Rows sent through the model for one row."""
        del columns, targets
        return 1

    def reseeded(self, seed: int) -> "LinearShap":
        """The same: nothing is random."""
        del seed
        return self

    def attribute(self, question: Question, meter: Meter) -> list[list[RowAttribution]]:
        """The Shapley values of each row's targets."""
        trained, space = question.trained, self.space(question)
        assert isinstance(trained.predictor, Linear)
        base = in_space(trained, trained.outputs(trained.center[None]), space)[0]
        meter.count(forward=1)
        slopes = in_space(trained, trained.predictor.coef.T, space)
        moved = question.encoded - trained.center
        values = np.stack([moved[:, group] @ slopes[group] for group in trained.encoding.groups], axis=1)
        return [
            [shared(target, row[:, target], float(base[target]), TOLERANCE) for target in targets]
            for row, targets in zip(values, question.targets, strict=True)
        ]
