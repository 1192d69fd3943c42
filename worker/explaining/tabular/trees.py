"""Shapley values of trees by XGBoost itself: path-dependent TreeSHAP (Lundberg et al. 2020, algorithm 2)."""

from typing import Any

import numpy as np
import xgboost

from worker.estimators.boosted import Boosted
from worker.explaining.meter import Meter
from worker.explaining.results import Space
from worker.explaining.tabular.question import Floats, Question, RowAttribution, in_space, magnitude, margin_space

TOLERANCE = 1e-5
"""Of what is summed. XGBoost adds up leaves and contributions in float32, in different orders: with 500 rounds the two
sums were seen 1.5e-5 apart at a margin of 12.5, which is 1.4e-6 of what is summed."""


class TreeShap:
    """The method `shap` for trees: exact for the value function that hides a column by following both branches.

    In log-odds, logits or values: a probability is no sum of trees. The base is the mean answer over the samples that
    the trees have seen, by the counts in their nodes; no background rows are needed.

    Serving's answer and the contributions are float32 sums that differ in their last digits. That difference is
    shared out over the columns by the size of their contributions, so that what is returned adds up to what serving
    answers; `summed_value` is the sum before, and is what is checked.
    """

    name = "tree"
    sampled = False
    parameters: dict[str, Any] = {"explainer": name}  # noqa: RUF012
    baseline: dict[str, Any] = {"kind": "tree_cover"}  # noqa: RUF012

    def space(self, question: Question) -> Space:
        """What is taken apart."""
        return margin_space(question.trained)

    def cost(self, columns: int, targets: int) -> int:
        """Rows sent through the model for one row."""
        del columns, targets
        return 1

    def reseeded(self, seed: int) -> "TreeShap":
        """The same: nothing is random."""
        del seed
        return self

    def attribute(self, question: Question, meter: Meter) -> list[list[RowAttribution]]:
        """The Shapley values of each row's targets."""
        trained, space = question.trained, self.space(question)
        predictor = trained.predictor
        assert isinstance(predictor, Boosted)
        answers = in_space(trained, question.outputs, space)
        pieces = np.moveaxis(contributions(predictor, question.encoded), -1, 1)
        meter.count(forward=len(pieces))
        parts = in_space(trained, pieces.reshape(-1, pieces.shape[-1]), space).reshape(pieces.shape)
        values = np.stack([parts[:, group].sum(axis=1) for group in trained.encoding.groups], axis=1)
        return [
            [_rounded(target, row[:, target], float(base[target]), float(answer[target])) for target in targets]
            for row, base, answer, targets in zip(values, parts[:, -1], answers, question.targets, strict=True)
        ]


def contributions(predictor: Boosted, encoded: Floats) -> Floats:
    """[n, c, d + 1]: what each encoded column adds to each output, the base last; of two classes the first has 0."""
    matrix = xgboost.DMatrix(encoded.astype(np.float32), nthread=1)
    found = predictor.booster.predict(matrix, pred_contribs=True).astype(np.float64)
    found = found.reshape(len(encoded), -1, encoded.shape[1] + 1)
    return np.concatenate([np.zeros_like(found), found], axis=1) if predictor.classes == 2 else found


def _rounded(target: int, values: Floats, base: float, answer: float) -> RowAttribution:
    total = base + float(values.sum())
    limit = TOLERANCE * magnitude(base, values)
    sizes = np.abs(values)
    shares = values
    if 0 < abs(answer - total) <= limit and sizes.sum() > 0:
        shares = values + (answer - total) * sizes / sizes.sum()
    return RowAttribution(target, shares, base, total, limit)
