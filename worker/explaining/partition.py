"""SHAP for images: Owen values of image regions, computed in batches inside torch."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worker.backbones.trained import TrainedNetwork
from worker.explaining.baselines import Baseline, baseline_images, describe_baseline
from worker.explaining.folded import AT_ONCE, UNMASKED, images_at_once, quickened
from worker.explaining.lanes import lanes
from worker.explaining.meter import Meter
from worker.explaining.partition_tree import FloatArray, Mask, owen_values
from worker.explaining.results import Attributed, Attribution, ChooseTargets

EVALUATIONS = 500
BATCH_SIZE = 8
MOST_CELLS = 32
SKETCH_EVALUATIONS = 128


class Partition:
    """The method `shap` for images: Owen values over a tree of regions, in probabilities.

    Hidden regions show a baseline, at the network's resolution. All targets of an image come from the same forwards.
    The budget holds the two answers to the whole image and the one to the hidden image as well. Regions are chosen in
    rounds of `AT_ONCE` masks, however many are sent through at once: the map does not depend on the machine.
    """

    name = "partition"
    fallback: str | None = None

    def __init__(self, evaluations: int | None, baseline: Baseline | None, batch_size: int | None) -> None:
        self.evaluations = evaluations or EVALUATIONS
        self._baseline: Baseline = baseline or "blur"
        self._masked_at_once = batch_size
        self._image_size = 0

    @property
    def parameters(self) -> dict[str, Any]:
        """As used."""
        return {
            "explainer": self.name,
            "evaluations": self.evaluations,
            "baseline": self._baseline,
            "batch_size": self._masked_at_once,
        }

    @property
    def baseline(self) -> dict[str, Any]:
        """What hidden regions showed."""
        return describe_baseline(self._baseline, self._image_size)

    @property
    def batch_size(self) -> int:
        """Images prepared at once; each is then explained by itself."""
        return BATCH_SIZE

    def cost(self, targets: int) -> int:
        """Evaluations for one image at most: the budget, however many `targets`."""
        del targets
        return self.evaluations

    def sketch(self) -> "Partition":
        """The same method on a small budget, for maps that are compared rather than shown."""
        if self.evaluations <= SKETCH_EVALUATIONS:
            return self
        return Partition(SKETCH_EVALUATIONS, self._baseline, self._masked_at_once)

    def attribute(
        self, trained: TrainedNetwork, batch: Tensor, choose: ChooseTargets, meter: Meter
    ) -> list[Attributed]:
        """The Owen values of each image of a batch [n, 3, s, s].

        Raises:
            Stopped: the work was asked to end.
        """
        self._image_size = batch.shape[-1]
        self._masked_at_once = self._masked_at_once or images_at_once(batch)
        quick, logits, full = quickened(trained, batch)
        meter.count(forward=UNMASKED * len(batch))
        probabilities = trained.probabilities(logits)
        with torch.inference_mode():
            targets = choose(probabilities)
            hidden = baseline_images(self._baseline, batch, trained.entry)
        attributed = []
        for i in range(len(batch)):
            end = meter.done + self.evaluations - UNMASKED
            answers = MaskedAnswers(quick, batch[i], hidden[i], targets[i])
            maps = self._one(answers, full[i][targets[i]].double().cpu().numpy(), meter)
            meter.advance(end)
            attributed.append(
                Attributed(logits[i].double().cpu().numpy(), probabilities[i].double().cpu().numpy(), maps)
            )
        return attributed

    def _one(self, answers: "MaskedAnswers", full: FloatArray, meter: Meter) -> list[Attribution]:
        size = self._masked_at_once
        assert size is not None
        budget = self.evaluations - UNMASKED
        cells = grid_cells(self._image_size)
        with lanes(answers.targets.device) as (count, side_by_side):

            def game(masks: Mask) -> FloatArray:
                step = min(size, math.ceil(len(masks) / count))
                parts = side_by_side(answers, [masks[i : i + step] for i in range(0, len(masks), step)])
                meter.count(forward=len(masks))
                return np.concatenate(parts)

            owen = owen_values(game, cells=cells, evaluations=budget, batch_size=max(AT_ONCE, size), full=full)
        return [
            Attribution(
                index,
                owen.attributions[slot],
                base_value=float(owen.base[slot]),
                summed_value=float(owen.base[slot] + owen.attributions[slot].sum()),
            )
            for slot, index in enumerate(answers.targets.tolist())
        ]


class MaskedAnswers:
    """The probabilities of the targets [t] for one image [3, s, s] of which only some cells are shown."""

    def __init__(self, trained: TrainedNetwork, image: Tensor, hidden: Tensor, targets: Tensor) -> None:
        self.targets = targets
        self._trained = trained
        self._image = image
        self._hidden = hidden

    def __call__(self, masks: Mask) -> FloatArray:
        """[b, g, g] bool to [b, t]."""
        with torch.inference_mode():
            shown = to_pixels(torch.from_numpy(masks).to(self._image.device), self._image.shape[-1])
            composed = torch.where(shown[:, None], self._image, self._hidden)
            logits = self._trained.logits(composed).float()
            probabilities = self._trained.probabilities(logits)[:, self.targets]
        answers: FloatArray = probabilities.double().cpu().numpy()
        return answers


def grid_cells(image_size: int) -> int:
    """Cells per side: a power of two, at most `MOST_CELLS`, none smaller than a pixel."""
    return 1 << min(image_size.bit_length() - 1, MOST_CELLS.bit_length() - 1)


def to_pixels(cells: Tensor, side: int) -> Tensor:
    """[b, g, g] to [b, side, side]: each pixel takes the cell that its centre lies in."""
    count = cells.shape[-1]
    cell_of = ((torch.arange(side, device=cells.device) + 0.5) * (count / side)).long()
    return cells[:, cell_of][:, :, cell_of]
