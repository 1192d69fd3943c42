"""Insertion and deletion: does the answer follow the map? (Petsiuk et al. 2018, RISE, arXiv:1806.07421)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from worker.backbones.trained import TrainedNetwork
from worker.explaining.folded import images_at_once
from worker.explaining.lanes import lanes
from worker.explaining.results import FloatArray

STEPS = 16
EVALUATIONS = 2 * (STEPS - 1)


@dataclass(frozen=True)
class Subject:
    """One image [3, s, s], what hides it, one class, and the answers to the whole image and to the hidden one."""

    image: Tensor
    hidden: Tensor
    class_index: int
    shown_answer: float
    hidden_answer: float


def insertion_deletion(
    trained: TrainedNetwork, subject: Subject, attributions: FloatArray, generator: np.random.Generator
) -> tuple[float, float]:
    """Areas under the class's probability as pixels appear, and as they vanish, the most attributed first.

    Args:
        trained: the serving network.
        subject: what is looked at.
        attributions: [h, w], upsampled to the image.
        generator: decides between pixels of equal attribution.

    Returns:
        insertion (higher is better) and deletion (lower is better), each in [0, 1], from `STEPS` steps of equal area.
    """
    side = subject.image.shape[-1]
    rank = torch.from_numpy(_ranks(attributions, side, generator)).to(subject.image.device)
    counts = torch.arange(1, STEPS, device=rank.device) * rank.numel() // STEPS
    first = rank[None] < counts[:, None, None]
    answers = _answers(trained, subject, torch.cat([first, ~first]))
    inserted = [subject.hidden_answer, *answers[: STEPS - 1], subject.shown_answer]
    deleted = [subject.shown_answer, *answers[STEPS - 1 :], subject.hidden_answer]
    return _area(inserted), _area(deleted)


def _ranks(attributions: FloatArray, side: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """[side, side]: 0 for the pixel attributed most."""
    small = torch.from_numpy(np.ascontiguousarray(attributions))[None, None]
    values = interpolate(small, size=(side, side), mode="bilinear", align_corners=False).flatten().numpy()
    order = np.lexsort((generator.random(side * side), -values))
    ranks = np.empty(side * side, dtype=np.int64)
    ranks[order] = np.arange(side * side)
    return ranks.reshape(side, side)


def _answers(trained: TrainedNetwork, subject: Subject, shown: Tensor) -> list[float]:
    """The probability of the class where only the pixels in [b, s, s] are shown."""

    def answer(part: Tensor) -> list[float]:
        with torch.inference_mode():
            composed = torch.where(part[:, None], subject.image, subject.hidden)
            probabilities = trained.probabilities(trained.logits(composed).float())
            found: list[float] = probabilities[:, subject.class_index].tolist()
        return found

    with lanes(shown.device) as (_, side_by_side):
        parts = side_by_side(answer, torch.split(shown, images_at_once(shown)))
    return [one for part in parts for one in part]


def _area(curve: list[float]) -> float:
    return float(np.trapezoid(curve, dx=1 / STEPS))
