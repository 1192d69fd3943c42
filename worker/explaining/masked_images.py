"""What methods share that show a network an image with some of its cells hidden."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from worker.backbones.trained import TrainedNetwork
from worker.explaining.baselines import Baseline, baseline_images, describe_baseline
from worker.explaining.folded import UNMASKED, images_at_once, quickened
from worker.explaining.lanes import lanes
from worker.explaining.meter import Meter
from worker.explaining.partition_tree import FloatArray, Mask
from worker.explaining.results import Attributed, Attribution, ChooseTargets


class MaskedImages(ABC):
    """A method that asks for the probabilities of masked versions of an image, all targets from the same forwards.

    Hidden cells show a baseline, at the network's resolution. What is counted beside the masks are the two answers to
    the whole image.
    """

    name: str
    fallback: str | None = None
    batch_size: ClassVar[int] = 8
    """Images prepared at once; each is then explained by itself."""

    def __init__(self, baseline: Baseline | None, masked_at_once: int | None) -> None:
        self._baseline: Baseline = baseline or "blur"
        self._masked_at_once = masked_at_once
        self._image_size = 0

    @property
    def baseline(self) -> dict[str, Any]:
        """What hidden regions showed."""
        return describe_baseline(self._baseline, self._image_size)

    def attribute(
        self, trained: TrainedNetwork, batch: Tensor, choose: ChooseTargets, meter: Meter
    ) -> list[Attributed]:
        """The maps of each image of a batch [n, 3, s, s].

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
            answers = MaskedAnswers(quick, batch[i], hidden[i], targets[i])
            maps = self._maps(answers, full[i][targets[i]].double().cpu().numpy(), meter)
            attributed.append(
                Attributed(logits[i].double().cpu().numpy(), probabilities[i].double().cpu().numpy(), maps)
            )
        return attributed

    @abstractmethod
    def _maps(self, answers: "MaskedAnswers", full: FloatArray, meter: Meter) -> list[Attribution]:
        """One map for each of the answers' targets; `full` [t] are the probabilities of the whole image."""

    @contextmanager
    def _answering(self, answers: "MaskedAnswers", meter: Meter) -> Iterator[tuple[Callable[[Mask], FloatArray], int]]:
        """What answers a round of masks [b, g, g] with [b, t], counted; and how many go through side by side."""
        size = self._masked_at_once
        assert size is not None
        with lanes(answers.targets.device) as (count, side_by_side):

            def answered(masks: Mask) -> FloatArray:
                step = min(size, math.ceil(len(masks) / count))
                parts = side_by_side(answers, [masks[i : i + step] for i in range(0, len(masks), step)])
                meter.count(forward=len(masks))
                return np.concatenate(parts)

            yield answered, count


class MaskedAnswers:
    """The probabilities of the targets [t] for one image [3, s, s] of which only some cells are shown."""

    def __init__(self, trained: TrainedNetwork, image: Tensor, hidden: Tensor, targets: Tensor) -> None:
        self.trained, self.image, self.targets = trained, image, targets
        self._hidden = hidden

    def __call__(self, masks: Mask) -> FloatArray:
        """[b, g, g] bool to [b, t]."""
        with torch.inference_mode():
            shown = to_pixels(torch.from_numpy(masks).to(self.image.device), self.image.shape[-1])
            composed = torch.where(shown[:, None], self.image, self._hidden)
            logits = self.trained.logits(composed).float()
            probabilities = self.trained.probabilities(logits)[:, self.targets]
        answers: FloatArray = probabilities.double().cpu().numpy()
        return answers


def to_pixels(cells: Tensor, side: int) -> Tensor:
    """[b, g, g] to [b, side, side]: each pixel takes the cell that its centre lies in."""
    count = cells.shape[-1]
    cell_of = ((torch.arange(side, device=cells.device) + 0.5) * (count / side)).long()
    return cells[:, cell_of][:, :, cell_of]
