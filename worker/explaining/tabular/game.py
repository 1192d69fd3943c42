"""The game that Shapley values share out: what is answered when only some columns of a row are known."""

import numpy as np

from worker.estimators.trained_table import TrainedTable
from worker.explaining.meter import Meter
from worker.explaining.results import Space
from worker.explaining.tabular.question import Flags, Floats, in_space

NUMBERS_AT_ONCE = 1 << 21
"""Encoded numbers in one call of the model: 16 MiB as float64."""


class Game:
    """Answers [m, c] for masks [m, q] of one row's players; a hidden player shows the background.

    Columns that equal every background row are no players: hiding them changes nothing, their share is 0.

    Attributes:
        players: [q] indices of the user's columns.
    """

    def __init__(self, trained: TrainedTable, row: Floats, background: Floats, space: Space) -> None:
        self._trained = trained
        self._row = row
        self._background = background
        self._space = space
        same = (background == row) | (np.isnan(background) & np.isnan(row))
        differs = ~same.all(axis=0)
        groups = trained.encoding.groups
        self.players = np.array([i for i, group in enumerate(groups) if differs[group].any()], dtype=np.int64)
        self._members = np.zeros((len(self.players), len(row)), dtype=bool)
        for place, player in enumerate(self.players):
            self._members[place, groups[player]] = True

    def __call__(self, masks: Flags, meter: Meter) -> Floats:
        """The mean answer over the background rows, for each mask (true: shown).

        Raises:
            Stopped: the work was asked to end.
        """
        background = self._background
        step = max(1, NUMBERS_AT_ONCE // background.size)
        answers = []
        for start in range(0, len(masks), step):
            shown = masks[start : start + step] @ self._members
            composed = np.where(shown[:, None, :], self._row, background)
            outputs = self._trained.outputs(composed.reshape(-1, background.shape[1]))
            answer = in_space(self._trained, outputs, self._space)
            answers.append(answer.reshape(len(shown), len(background), -1).mean(axis=1))
            meter.count(forward=len(outputs))
        return np.concatenate(answers)

    def spread(self, shares: Floats) -> Floats:
        """[q, c] of the players to [p, c] of all columns."""
        values: Floats = np.zeros((len(self._trained.schema), shares.shape[1]))
        values[self.players] = shares
        return values
