"""Whether an exported graph answers what the served network answers."""

from dataclasses import dataclass

import torch
from torch import Tensor

from service.errors import ExportFailed
from worker.backbones.trained import TrainedNetwork

CHECKED_IMAGES = 3
"""Another number than the graph was traced with."""
PROBABILITY_TOLERANCE = 1e-4
LOGIT_TOLERANCE = 1e-3
"""Of the largest logit."""


@dataclass(frozen=True)
class Answers:
    """Logits and probabilities, both [n, c] float32."""

    logits: Tensor
    probabilities: Tensor


def random_pixels(trained: TrainedNetwork) -> Tensor:
    """[n, 3, s, s] uint8, the same at every call."""
    shape = (CHECKED_IMAGES, 3, trained.image_size, trained.image_size)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def served(trained: TrainedNetwork, pixels: Tensor) -> Answers:
    """What predictions answer to [n, 3, s, s] uint8."""
    with torch.inference_mode():
        logits = trained.logits(trained.normalise(pixels)).float()
        return Answers(logits, trained.probabilities(logits))


def check_same(expected: Answers, found: Answers) -> None:
    """Compares probabilities and, so that certain answers hide nothing, logits beside the largest of them.

    Raises:
        ExportFailed: they differ by more than rounding does.
    """
    scale = max(1.0, float(expected.logits.abs().max()))
    probabilities = _distance(expected.probabilities, found.probabilities)
    logits = _distance(expected.logits, found.logits) / scale
    if not (probabilities <= PROBABILITY_TOLERANCE and logits <= LOGIT_TOLERANCE):
        off = max(probabilities, logits)
        raise ExportFailed(f"The exported graph answers otherwise than the model: it is off by {off:.1e}.")


def _distance(expected: Tensor, found: Tensor) -> float:
    """The largest difference; infinite for other shapes."""
    return float((expected - found).abs().max()) if expected.shape == found.shape else float("inf")
