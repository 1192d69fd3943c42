"""Permutation importance: what a model loses when a column is shuffled (Breiman 2001; Fisher et al. 2019)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.estimators.losses import cross_entropy
from worker.estimators.trained_table import TrainedTable
from worker.explaining.meter import Meter
from worker.explaining.tabular.question import Floats

REPEATS = 10


@dataclass(frozen=True)
class PermutationImportance:
    """The method `permutation`: how much worse the answers are when one of the user's columns is shuffled among rows.

    Every column is shuffled `repeats` times, by orders that follow from the seed and the column's place.
    """

    repeats: int
    seed: int

    def cost(self, columns: int, rows: int) -> int:
        """Rows sent through the model."""
        return rows * (1 + columns * self.repeats)

    def measure(
        self, trained: TrainedTable, encoded: Floats, truth: NDArray[Any], meter: Meter
    ) -> list[dict[str, Any]]:
        """The loss by each column, the most important first.

        Args:
            trained: the serving model.
            encoded: [n, d], n >= 2.
            truth: [n] class indices, or values that are not all the same.
            meter: counts what is sent through the model.

        Returns:
            For each column `{"feature", "metric", "importance", "standard_deviation"}`: the mean drop of accuracy or
            R², and its standard deviation over the repeats (null if there is one). Of classes also
            `log_loss_importance` and `log_loss_standard_deviation`: the rise of the calibrated log loss, in nats.

        Raises:
            Stopped: the work was asked to end.
        """
        intact = _scores(trained, trained.outputs(encoded), truth)
        meter.count(forward=len(encoded))
        metric = next(iter(intact))
        found = []
        for place, column in enumerate(trained.schema):
            generator = np.random.default_rng((self.seed, place))
            group = trained.encoding.groups[place]
            shuffled = encoded.copy()
            scores = []
            for _ in range(self.repeats):
                shuffled[:, group] = encoded[generator.permutation(len(encoded)), group]
                scores.append(_scores(trained, trained.outputs(shuffled), truth))
                meter.count(forward=len(encoded))
            entry: dict[str, Any] = {"feature": column.name, "metric": metric}
            for name in intact:
                prefix = "" if name == metric else f"{name}_"
                entry |= _described([intact[name] - one[name] for one in scores], prefix)
            found.append(entry)
        return sorted(found, key=lambda entry: -entry["importance"])


def _scores(trained: TrainedTable, outputs: Floats, truth: NDArray[Any]) -> Mapping[str, float]:
    """What a good model has much of, the metric of the importance first."""
    if trained.problem == "tabular_regression":
        unexplained = ((truth - outputs[:, 0]) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
        return {"r2": 1.0 - float(unexplained)}
    return {
        "accuracy": float((outputs.argmax(axis=1) == truth).mean()),
        "log_loss": -cross_entropy(outputs / trained.temperature, truth),
    }


def _described(drops: list[float], prefix: str) -> dict[str, float | None]:
    spread = float(np.std(drops, ddof=1)) if len(drops) > 1 else None
    return {f"{prefix}importance": float(np.mean(drops)), f"{prefix}standard_deviation": spread}
