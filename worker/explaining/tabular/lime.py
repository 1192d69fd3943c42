"""LIME for rows (Ribeiro et al. 2016, "Why should I trust you?", arXiv:1602.04938)."""

from typing import Any

import numpy as np

from worker.explaining.meter import Meter
from worker.explaining.results import Space
from worker.explaining.surrogate import exponential_proximity, fit_surrogate
from worker.explaining.tabular.background import Background
from worker.explaining.tabular.parameters import RowParameters
from worker.explaining.tabular.perturbed import perturbed
from worker.explaining.tabular.question import Flags, Floats, Question, RowAttribution, answer_space, in_space

SAMPLES = 1000
KERNEL_WIDTH = 0.75
"""Of the square root of the number of columns: LIME's own for tables."""


class Lime:
    """The method `lime` for rows: weights of a linear surrogate around the row, in probabilities or values.

    The weight of a number is what one standard deviation of the background adds; of a category, a boolean or a
    missing value, what being the row's value adds over being another. The same seed draws the same rows, whatever
    the batch.
    """

    name = "lime"
    sampled = True

    def __init__(self, background: Background, asked: RowParameters, seed: int) -> None:
        self._background = background
        self._asked = asked
        self._seed = seed
        self._width = asked.kernel_width
        self._samples = asked.samples or SAMPLES

    @property
    def parameters(self) -> dict[str, Any]:
        """As used."""
        return {"samples": self._samples, "features": self._asked.features, "kernel_width": self._width}

    @property
    def baseline(self) -> dict[str, Any]:
        """Whose statistics the perturbations follow."""
        return self._background.to_json()

    def space(self, question: Question) -> Space:
        """What the surrogate follows."""
        return answer_space(question.trained)

    def cost(self, columns: int, targets: int) -> int:
        """Rows sent through the model for one row."""
        del columns, targets
        return self._samples

    def reseeded(self, seed: int) -> "Lime":
        """The same with other perturbations."""
        return Lime(self._background, self._asked, seed)

    def attribute(self, question: Question, meter: Meter) -> list[list[RowAttribution]]:
        """The surrogate's weights for each row's targets; 0 for columns that the model does not see.

        Raises:
            Stopped: the work was asked to end.
        """
        trained = question.trained
        seen = np.array([group.stop > group.start for group in trained.encoding.groups])
        self._width = self._asked.kernel_width or KERNEL_WIDTH * float(np.sqrt(seen.sum()))
        found = []
        for index, targets in enumerate(question.targets):
            near = perturbed(question.table, index, self._background.table, samples=self._samples, seed=self._seed)
            outputs = trained.outputs(trained.encode(near.table))
            answers = in_space(trained, outputs, self.space(question))
            meter.count(forward=len(answers))
            found.append([self._fitted(near.components, seen, answers, target) for target in targets])
        return found

    def _fitted(self, components: Floats, seen: Flags, answers: Floats, target: int) -> RowAttribution:
        shown = components[:, seen]
        assert self._width is not None
        distances = np.linalg.norm(shown - shown[0], axis=1)
        proximity = exponential_proximity(distances, self._width)
        surrogate = fit_surrogate(shown, answers[:, target], proximity, features=self._asked.features)
        values = np.zeros(len(seen))
        values[seen] = surrogate.weights
        effects = values * (components[0] - components.mean(axis=0))
        near = float(proximity.sum() ** 2 / (proximity**2).sum())
        return RowAttribution(target, values, fit=surrogate.to_fit(), effects=effects, neighbours=near)
