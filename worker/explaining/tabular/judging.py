"""How far attributions of columns can be trusted; the words are those of `worker.explaining.quality`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.explaining.curves import STEPS
from worker.explaining.meter import Meter
from worker.explaining.quality import LEAST_GAIN, LEAST_STABILITY, RANDOM_MAPS
from worker.explaining.results import Space
from worker.explaining.tabular.background import Background
from worker.explaining.tabular.choosing import RowExplainer
from worker.explaining.tabular.game import Game
from worker.explaining.tabular.question import Flags, Floats, Question, RowAttribution

OTHER_SEEDS = 2


@dataclass(frozen=True)
class RowQuality:
    """What was measured of one row's attributions.

    Attributes:
        insertion_auc, deletion_auc: mean of the answer as columns are shown, or hidden behind the background, the
            most attributed first; in what the attributions sum to.
        random_control: insertion - deletion in random orders, their mean.
        stability: mean correlation with the attributions under other seeds, in [-1, 1]; null where nothing is random.
        answer_range: between the highest and the lowest answer on the way.
        degenerate: there are no attributions to speak of.
    """

    insertion_auc: float
    deletion_auc: float
    random_control: float
    stability: float | None
    answer_range: float
    degenerate: bool

    @property
    def reliable(self) -> bool:
        """Not degenerate, stable, and better than random orders by `LEAST_GAIN` of the answer's range."""
        gain = self.insertion_auc - self.deletion_auc - self.random_control
        stable = self.stability is None or self.stability >= LEAST_STABILITY
        return not self.degenerate and stable and gain >= LEAST_GAIN * self.answer_range

    def to_json(self) -> dict[str, Any]:
        """As an explanation reports it. `randomisation` is null: trees and linear models have no untrained twin."""
        return {
            "deletion_auc": self.deletion_auc,
            "insertion_auc": self.insertion_auc,
            "random_control": self.random_control,
            "stability": self.stability,
            "randomisation": None,
            "reliable": self.reliable,
        }


class RowJudge:
    """Measures the attributions of the first target of each row; what is random comes from the seed alone.

    Columns are ranked by what they add at the row: of LIME, whose weights are slopes, by weight times distance.
    """

    def __init__(self, explainer: RowExplainer, background: Background, seed: int) -> None:
        seeds = range(seed + 1, seed + 1 + OTHER_SEEDS) if explainer.sampled else range(0)
        self._others = [explainer.reseeded(other) for other in seeds]
        self._background = background
        self._seed = seed

    def cost(self, columns: int) -> int:
        """Evaluations for one row."""
        curves = (1 + RANDOM_MAPS) * 2 * (min(columns, STEPS) + 1) * self._background.rows
        return curves + sum(other.cost(columns, 1) for other in self._others)

    def judge(
        self, question: Question, found: list[list[RowAttribution]], meter: Meter, *, space: Space
    ) -> list[dict[str, Any]]:
        """The quality of each row's first target.

        Raises:
            Stopped: the work was asked to end.
        """
        first = [row[0] for row in found]
        again = Question(
            question.trained, question.table, question.encoded, question.outputs, [row[:1] for row in question.targets]
        )
        twins = [[row[0].values for row in other.attribute(again, meter)] for other in self._others]
        judged = []
        for place, attribution in enumerate(first):
            game = Game(question.trained, question.encoded[place], self._background.encoded, space)
            insertion, deletion, control, answer_range = self._follows(game, attribution, meter)
            stability = [correlation(attribution.values, twin[place]) for twin in twins]
            quality = RowQuality(
                insertion_auc=insertion,
                deletion_auc=deletion,
                random_control=control,
                stability=float(np.mean(stability)) if stability else None,
                answer_range=answer_range,
                degenerate=attribution.degenerate or answer_range == 0,
            )
            judged.append(quality.to_json())
        return judged

    def _follows(self, game: Game, attribution: RowAttribution, meter: Meter) -> tuple[float, float, float, float]:
        """Insertion, deletion, the mean difference of random orders, and the range of all answers."""
        generator = np.random.default_rng(self._seed)
        players = len(game.players)
        effects = attribution.values if attribution.effects is None else attribution.effects
        orders = [np.lexsort((generator.random(players), -effects[game.players]))]
        orders += [generator.permutation(players) for _ in range(RANDOM_MAPS)]
        masks = np.stack([_shown(order) for order in orders])
        both = np.stack([masks, ~masks], axis=1)
        answers = game(both.reshape(-1, players), meter)[:, attribution.class_index]
        curves = answers.reshape(*both.shape[:3])
        areas = np.trapezoid(curves, dx=1 / (curves.shape[-1] - 1), axis=-1)
        control = float((areas[1:, 0] - areas[1:, 1]).mean())
        return float(areas[0, 0]), float(areas[0, 1]), control, float(np.ptp(answers))


def correlation(one: Floats, other: Floats) -> float:
    """Pearson's, so that columns that hardly count do not decide by their order; 0 where one is constant."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _shown(order: NDArray[np.int64]) -> Flags:
    """[s, q]: none, then more and more in that order, then all; at most `STEPS` steps."""
    players = len(order)
    counts = np.unique(np.linspace(0, players, min(players, STEPS) + 1).round().astype(np.int64))
    counts = counts if len(counts) > 1 else np.array([0, 0])
    places = np.argsort(order)
    shown: Flags = places < counts[:, None]
    return shown
