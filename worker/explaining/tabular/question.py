"""What is asked: rows, as a trained table sees them, and in which terms its answers are taken apart."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.data.table import Table
from worker.estimators.trained_table import TrainedTable
from worker.explaining.results import Space

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Question:
    """Rows to be explained, with the answers that serving gives to them.

    Attributes:
        encoded: [n, d].
        outputs: [n, c] of the trained table, uncalibrated.
        targets: the outputs to be explained of each row; only 0 for a regression.
    """

    trained: TrainedTable
    table: Table
    encoded: Floats
    outputs: Floats
    targets: list[list[int]]


@dataclass(frozen=True)
class RowAttribution:
    """One target of one row, as a method computed it.

    Attributes:
        values: [p].
        base_value: the answer with everything hidden; null where a method has none.
        summed_value: base + sum as computed; null where a method does not promise it to be the output.
        tolerance: how far `summed_value` may be from the output.
        standard_error: of the attributions that are sampled, the largest; null where nothing is, or it is not known.
        fit: how well LIME's surrogate fits.
        effects: [p] what each column adds at this very row, where `values` are slopes and do not say so.
        neighbours: how many perturbations LIME's surrogate rests on, by their weights (Kish's effective sample size).
    """

    class_index: int
    values: Floats
    base_value: float | None = None
    summed_value: float | None = None
    tolerance: float = 0.0
    standard_error: float | None = None
    fit: dict[str, float] | None = None
    effects: Floats | None = None
    neighbours: float | None = None

    @property
    def degenerate(self) -> bool:
        """No column counts, or not finitely: unlike pixels, columns that all count the same say something."""
        return not bool(np.isfinite(self.values).all()) or not bool(self.values.any())


def in_space(trained: TrainedTable, outputs: Floats, space: Space) -> Floats:
    """[n, c] outputs as what is taken apart, [n, c].

    - value: as they are, in the target's units.
    - probability: calibrated.
    - logit: divided by the temperature: the probabilities are their softmax.
    - log_odds: of each of two classes against the other, calibrated.
    """
    if space == "value":
        return outputs
    if space == "probability":
        return trained.probabilities(outputs)
    scaled: Floats = outputs / trained.temperature
    return scaled - scaled[:, ::-1] if space == "log_odds" else scaled


def margin_space(trained: TrainedTable) -> Space:
    """Where linear models and trees are sums."""
    if trained.problem == "tabular_regression":
        return "value"
    return "log_odds" if len(trained.classes) == 2 else "logit"


def answer_space(trained: TrainedTable) -> Space:
    """What a client reads: the probability, or the value."""
    return "value" if trained.problem == "tabular_regression" else "probability"


def magnitude(base: float, values: Floats) -> float:
    """What a sum's rounding error is measured against: 1, or what is summed if that is more."""
    return max(1.0, abs(base) + float(np.abs(values).sum()))
