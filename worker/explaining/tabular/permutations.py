"""Shapley values by sampled permutations (Castro et al. 2009), each with its reverse (Mitchell et al. 2022, 4.2)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, Invalid
from worker.explaining.meter import Meter
from worker.explaining.results import Space
from worker.explaining.tabular.background import Background
from worker.explaining.tabular.exact import shared
from worker.explaining.tabular.game import Game
from worker.explaining.tabular.question import Flags, Floats, Question, RowAttribution, answer_space

EVALUATIONS = 1000
TOLERANCE = 1e-4
REUSE = 4
"""Times as many orders as the budget pays for if no two of them shared a coalition: the most that are used."""
Orders = NDArray[np.int64]


class Permutations:
    """The method `shap` by sampling, for more columns than can be enumerated. In probabilities or values.

    An evaluation is the answer to one coalition, taken over all background rows; none is asked for twice. Columns
    are shown one by one in a random order, then in the reverse of it; what a column adds to the answer, on average,
    is its share. Each order leads from the base to the output, so the shares always add up; how far they are from the
    Shapley values is told by their standard error over the pairs of orders.
    """

    name = "permutation"
    sampled = True

    def __init__(self, background: Background, evaluations: int | None, seed: int) -> None:
        self._background = background
        self._evaluations = evaluations
        self._seed = seed
        self._budget = evaluations or EVALUATIONS

    @property
    def parameters(self) -> dict[str, Any]:
        """As used."""
        return {
            "explainer": self.name,
            "background_rows": self._background.rows,
            "evaluations": self._budget,
        }

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
        return self._evaluations_for(columns) * self._background.rows

    def reseeded(self, seed: int) -> "Permutations":
        """The same with other orders."""
        return Permutations(self._background, self._evaluations, seed)

    def attribute(self, question: Question, meter: Meter) -> list[list[RowAttribution]]:
        """The sampled Shapley values of each row's targets; every row gets the same orders, whatever the batch.

        Raises:
            Invalid: the budget does not suffice for one order and its reverse.
            Stopped: the work was asked to end.
        """
        self._afford(sum(group.stop > group.start for group in question.trained.encoding.groups))
        space = self.space(question)
        found = []
        for row, targets in zip(question.encoded, question.targets, strict=True):
            game = Game(question.trained, row, self._background.encoded, space)
            base, values, error = self._sampled(game, meter)
            found.append(
                [
                    shared(t, values[:, t], float(base[t]), TOLERANCE, None if error is None else error[t])
                    for t in targets
                ]
            )
        return found

    def _afford(self, columns: int) -> None:
        least = least_evaluations(columns)
        self._budget = self._evaluations_for(columns)
        if self._budget < least:
            message = f"One order of {columns} columns and its reverse take {least} evaluations."
            raise Invalid(
                "The budget is too small for this model's columns.",
                errors=[Fault(("parameters", "evaluations"), "too-few-evaluations", message)],
            )

    def _evaluations_for(self, columns: int) -> int:
        return self._evaluations or max(EVALUATIONS, 2 * least_evaluations(columns))

    def _sampled(self, game: Game, meter: Meter) -> tuple[Floats, Floats, Floats | None]:
        """Base [c], attributions [p, c] and the largest standard error [c]."""
        players = len(game.players)
        whole = game(np.array([[False] * players, [True] * players]), meter)
        if players < 2:
            return whole[0], game.spread(np.repeat(whole[1:] - whole[:1], players, axis=0)), np.zeros(whole.shape[1])
        orders, masks, places = self._affordable(players)
        answers = game(masks, meter)[places]
        ends = [np.broadcast_to(end, (len(orders), 1, answers.shape[-1])) for end in whole]
        steps = np.diff(np.concatenate([ends[0], answers, ends[1]], axis=1), axis=1)
        gains = np.empty_like(steps)
        np.put_along_axis(gains, orders[:, :, None], steps, axis=1)
        pairs = len(orders) // 2
        of_pairs = gains.reshape(pairs, 2, players, -1).mean(axis=1)
        error = of_pairs.std(axis=0, ddof=1).max(axis=0) / np.sqrt(pairs) if pairs > 1 else None
        return whole[0], game.spread(of_pairs.mean(axis=0)), error

    def _affordable(self, players: int) -> tuple[Orders, Flags, NDArray[np.int64]]:
        """As many orders as the budget pays for, a coalition that several of them need being answered once.

        Returns:
            Orders [r, q], each followed by its reverse; the coalitions [m, q] between none and all that they need;
            which of these each order needs in turn [r, q - 1].
        """
        nominal = (self._budget - 2) // (2 * (players - 1))
        generator = np.random.default_rng(self._seed)
        orders = np.stack([generator.permutation(players) for _ in range(REUSE * nominal)])
        both = np.stack([orders, orders[:, ::-1]], axis=1).reshape(-1, players)
        masks = shown_one_by_one(both).reshape(-1, players)
        _, first, same = np.unique(np.packbits(masks, axis=1), axis=0, return_index=True, return_inverse=True)
        per_pair = 2 * (players - 1)
        needed = np.bincount(first // per_pair, minlength=len(orders)).cumsum()
        pairs = int(np.searchsorted(needed, self._budget - 2, side="right"))
        used = np.flatnonzero(first < pairs * per_pair)
        renumbered = np.zeros(len(first), dtype=np.int64)
        renumbered[used] = np.arange(len(used))
        places = renumbered[same.reshape(-1)[: pairs * per_pair]].reshape(2 * pairs, players - 1)
        return both[: 2 * pairs], masks[first[used]], places


def least_evaluations(columns: int) -> int:
    """For one order and its reverse: the two ends, and what lies between."""
    return 2 + 2 * max(0, columns - 1)


def shown_one_by_one(orders: Orders) -> Flags:
    """[r, q] orders to the coalitions between none and all, [r, q - 1, q]."""
    places = np.argsort(orders, axis=1)
    shown: Flags = places[:, None, :] <= np.arange(orders.shape[1] - 1)[None, :, None]
    return shown
