"""SHAP for images: Owen values of image regions, computed in batches inside torch."""

from typing import Any

from worker.explaining.baselines import Baseline
from worker.explaining.folded import AT_ONCE, UNMASKED
from worker.explaining.masked_images import MaskedAnswers, MaskedImages
from worker.explaining.meter import Meter
from worker.explaining.partition_tree import FloatArray, owen_values
from worker.explaining.results import Attribution

EVALUATIONS = 500
MOST_CELLS = 32
SKETCH_EVALUATIONS = 128


class Partition(MaskedImages):
    """The method `shap` for images: Owen values over a tree of regions, in probabilities.

    Hidden regions show a baseline, at the network's resolution. All targets of an image come from the same forwards.
    The budget holds the two answers to the whole image and the one to the hidden image as well. Regions are chosen in
    rounds of `AT_ONCE` masks, however many are sent through at once: the map does not depend on the machine.
    """

    name = "partition"

    def __init__(self, evaluations: int | None, baseline: Baseline | None, batch_size: int | None) -> None:
        super().__init__(baseline, batch_size)
        self.evaluations = evaluations or EVALUATIONS

    @property
    def parameters(self) -> dict[str, Any]:
        """As used."""
        return {
            "explainer": self.name,
            "evaluations": self.evaluations,
            "baseline": self._baseline,
            "batch_size": self._masked_at_once,
        }

    def cost(self, targets: int) -> int:
        """Evaluations for one image at most: the budget, however many `targets`."""
        del targets
        return self.evaluations

    def sketch(self) -> "Partition":
        """The same method on a small budget, for maps that are compared rather than shown."""
        if self.evaluations <= SKETCH_EVALUATIONS:
            return self
        return Partition(SKETCH_EVALUATIONS, self._baseline, self._masked_at_once)

    def _maps(self, answers: MaskedAnswers, full: FloatArray, meter: Meter) -> list[Attribution]:
        """Owen values; what of the budget is not needed counts as done."""
        assert self._masked_at_once is not None
        budget = self.evaluations - UNMASKED
        end = meter.done + budget
        at_once, cells = max(AT_ONCE, self._masked_at_once), grid_cells(self._image_size)
        with self._answering(answers, meter) as (game, _):
            owen = owen_values(game, cells=cells, evaluations=budget, batch_size=at_once, full=full)
        meter.advance(end)
        return owen.of(answers.targets.tolist())


def grid_cells(image_size: int) -> int:
    """Cells per side: a power of two, at most `MOST_CELLS`, none smaller than a pixel."""
    return 1 << min(image_size.bit_length() - 1, MOST_CELLS.bit_length() - 1)
