"""LIME for images: a linear surrogate over superpixels (Ribeiro et al. 2016, arXiv:1602.04938)."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.segmentation import slic
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from service.specs.backbones import Backbone
from service.specs.explanations import MethodParameters
from worker.explaining.folded import AT_ONCE
from worker.explaining.masked_images import MaskedAnswers, MaskedImages
from worker.explaining.meter import Meter
from worker.explaining.results import Attribution
from worker.explaining.surrogate import Floats, exponential_proximity, fit_surrogate

SAMPLES = 1000
SEGMENTS = 64
KERNEL_WIDTH = 0.25
"""On cosine distances, as LIME's image code has it."""
COMPACTNESS = 10.0
SMOOTHING = 1.0
MOST_CELLS = 64
"""A side: the map has one value for each of so many squared, which shows superpixels of the default size well."""
SKETCH_SAMPLES = 500
"""Of a map that is only compared: with 300, a slightly noisy image of a planted patch ranked the regions with 0.74
instead of 0.82 of agreement, only because of what the samples happened to hide."""

Segments = NDArray[np.int64]


class LimeImages(MaskedImages):
    """The method `lime` for images: how each superpixel's presence moves the probability, as a weighted ridge sees it.

    Superpixels are SLIC's (Achanta et al. 2012), found on the image as the network sees it, so that the same image
    always has the same ones. Each perturbation hides every superpixel with probability one half; row 0 is the image
    itself. All targets come from the same forwards. The budget: `samples` forwards, and the serving answer.
    """

    name = "lime"

    def __init__(self, asked: MethodParameters, seed: int) -> None:
        super().__init__(asked.baseline, asked.batch_size)
        self._asked = asked
        self._seed = seed
        self.samples = asked.samples or SAMPLES
        self.segments = asked.segments or SEGMENTS
        self.kernel_width = asked.kernel_width or KERNEL_WIDTH

    @property
    def parameters(self) -> dict[str, Any]:
        """As used; SLIC may find a few superpixels more or less than `segments`."""
        return {
            "samples": self.samples,
            "segments": self.segments,
            "features": self._asked.features,
            "kernel_width": self.kernel_width,
            "baseline": self._baseline,
            "batch_size": self._masked_at_once,
        }

    def cost(self, targets: int) -> int:
        """Evaluations for one image, however many `targets`."""
        del targets
        return self.samples + 1

    def sketch(self) -> "LimeImages":
        """The same method on fewer samples, for maps that are compared rather than shown."""
        if self.samples <= SKETCH_SAMPLES:
            return self
        return LimeImages(self._asked.model_copy(update={"samples": SKETCH_SAMPLES}), self._seed)

    def _maps(self, answers: MaskedAnswers, full: Floats, meter: Meter) -> list[Attribution]:
        """The superpixels' weights."""
        segments = superpixels(answers.image, answers.trained.entry, self.segments)
        present = perturbations(self.samples, int(segments.max()) + 1, self._seed)
        found = np.concatenate([full[None], self._answers(answers, present[1:], segments, meter)])
        distances = 1 - np.sqrt(present.mean(axis=1))  # the cosine distance to all ones
        proximity = exponential_proximity(distances, self.kernel_width)
        components = present.astype(np.float64)
        maps = []
        for slot, index in enumerate(answers.targets.tolist()):
            fit = fit_surrogate(components, found[:, slot], proximity, features=self._asked.features)
            maps.append(Attribution(index, fit.weights[segments], fit=fit.to_fit()))
        return maps

    def _answers(self, answers: MaskedAnswers, present: NDArray[np.bool_], segments: Segments, meter: Meter) -> Floats:
        with self._answering(answers, meter) as (answered, count):
            rounds = np.array_split(present, range(AT_ONCE * count, len(present), AT_ONCE * count))
            return np.concatenate([answered(round_[:, segments]) for round_ in rounds])


def superpixels(image: Tensor, entry: Backbone, segments: int) -> Segments:
    """About `segments` connected regions of similar colour, numbered from 0.

    Args:
        image: [3, s, s], normalised.
        entry: says how the pixels were normalised.
        segments: how many to aim at.

    Returns:
        [g, g], g = s but at most `MOST_CELLS`: the region of each cell. Deterministic.
    """
    side = min(image.shape[-1], MOST_CELLS)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (entry.mean, entry.std))
    pixels = adaptive_avg_pool2d(image.float().cpu() * std + mean, side).clamp(0, 1).permute(1, 2, 0)
    labels = slic(pixels.double().numpy(), n_segments=segments, compactness=COMPACTNESS, sigma=SMOOTHING, start_label=0)
    _, numbers = np.unique(labels, return_inverse=True)
    return np.asarray(numbers, dtype=np.int64).reshape(side, side)


def perturbations(samples: int, components: int, seed: int) -> NDArray[np.bool_]:
    """[samples, components]: what is present; everything in row 0, half of it by chance in the others."""
    present = np.random.default_rng(seed).random((samples, components)) < 0.5
    present[0] = True
    return present
