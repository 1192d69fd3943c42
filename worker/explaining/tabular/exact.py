"""Shapley values by all coalitions (Shapley 1953)."""

import math
from typing import Any

import numpy as np

from worker.explaining.meter import Meter
from worker.explaining.results import Space
from worker.explaining.tabular.background import Background
from worker.explaining.tabular.game import Game
from worker.explaining.tabular.question import Floats, Question, RowAttribution, answer_space, magnitude

TOLERANCE = 1e-4


class Exact:
    """The method `shap` without sampling: every coalition of columns, against every background row.

    In probabilities or values.
    """

    name = "exact"
    sampled = False

    def __init__(self, background: Background) -> None:
        self._background = background

    @property
    def parameters(self) -> dict[str, Any]:
        """As used."""
        return {"explainer": self.name, "background_rows": self._background.rows}

    @property
    def baseline(self) -> dict[str, Any]:
        """What hidden columns showed."""
        return self._background.to_json()

    def space(self, question: Question) -> Space:
        """What is taken apart."""
        return answer_space(question.trained)

    def cost(self, columns: int, targets: int) -> int:
        """Rows sent through the model for one row, at most, however many `targets`."""
        del targets
        return int(2**columns) * self._background.rows

    def reseeded(self, seed: int) -> "Exact":
        """The same: nothing is random."""
        del seed
        return self

    def attribute(self, question: Question, meter: Meter) -> list[list[RowAttribution]]:
        """The Shapley values of each row's targets.

        Raises:
            Stopped: the work was asked to end.
        """
        encoded, space = self._background.encoded, self.space(question)
        found = []
        for row, targets in zip(question.encoded, question.targets, strict=True):
            game = Game(question.trained, row, encoded, space)
            players = len(game.players)
            coalitions = (np.arange(1 << players)[:, None] >> np.arange(players)) & 1
            answers = game(coalitions.astype(bool), meter)
            values, base = game.spread(shapley_values(answers)), answers[0]
            found.append([shared(target, values[:, target], float(base[target]), TOLERANCE) for target in targets])
        return found


def shared(target: int, values: Floats, base: float, tolerance: float, error: float | None = None) -> RowAttribution:
    """Attributions [p] that promise to sum to the answer, within `tolerance` of what is summed."""
    limit = tolerance * magnitude(base, values)
    return RowAttribution(target, values, base, base + float(values.sum()), limit, error)


def shapley_values(answers: Floats) -> Floats:
    """The Shapley value of each player.

    Args:
        answers: [2^q, c] to every coalition; bit i of its index says whether player i takes part.

    Returns:
        [q, c].
    """
    players = len(answers).bit_length() - 1
    coalitions = np.arange(len(answers))
    sizes = sum(((coalitions >> player) & 1 for player in range(players)), np.zeros_like(coalitions))
    chance = np.array([1 / (players * math.comb(players - 1, size)) for size in range(players)])
    values: Floats = np.empty((players, answers.shape[1]))
    for player in range(players):
        without = coalitions[(coalitions >> player) & 1 == 0]
        values[player] = chance[sizes[without]] @ (answers[without | (1 << player)] - answers[without])
    return values
