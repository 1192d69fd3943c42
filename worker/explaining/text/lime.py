"""LIME for texts: a linear surrogate over the presence of words (Ribeiro et al. 2016, arXiv:1602.04938)."""

from typing import Any

import numpy as np

from service.specs.explanations import MethodParameters
from worker.backbones.trained_text import TrainedText
from worker.explaining.meter import Meter
from worker.explaining.results import Attribution, Space
from worker.explaining.surrogate import exponential_proximity, fit_surrogate
from worker.explaining.text.subject import HiddenWords, Present, Subject, hidden_shows

SAMPLES = 1000
KERNEL_WIDTH = 25.0
"""On cosine distances times 100, as LIME's text code has it."""
SKETCH_SAMPLES = 500


class TextLime:
    """The method `lime` for texts: how each word's presence moves the probability, as a weighted ridge sees it.

    As in LIME's own code, a perturbation removes a number of words drawn evenly from one to all; but each occurrence
    of a word is a word of its own here. Sample 0 is the text itself. What was drawn twice is asked once.
    """

    name = "lime"
    space: Space = "probability"

    def __init__(self, asked: MethodParameters, seed: int) -> None:
        self._asked = asked
        self._seed = seed
        self.samples = asked.samples or SAMPLES
        self.kernel_width = asked.kernel_width or KERNEL_WIDTH

    @property
    def parameters(self) -> dict[str, Any]:
        """As used; `batch_size` null: as many as go through quickly."""
        return {
            "samples": self.samples,
            "features": self._asked.features,
            "kernel_width": self.kernel_width,
            "batch_size": self._asked.batch_size,
        }

    def baseline(self, trained: TrainedText) -> dict[str, Any]:
        """Hidden words were removed."""
        return hidden_shows(trained, removed=True)

    def cost(self, targets: int) -> int:
        """Evaluations for one text at most, however many `targets`; the serving answer is sample 0."""
        del targets
        return self.samples

    def sketch(self) -> "TextLime":
        """The same method on fewer samples, for attributions that are compared rather than shown."""
        if self.samples <= SKETCH_SAMPLES:
            return self
        return TextLime(self._asked.model_copy(update={"samples": SKETCH_SAMPLES}), self._seed)

    def attribute(self, trained: TrainedText, subject: Subject, targets: list[int], meter: Meter) -> list[Attribution]:
        """The words' weights for each target, and how well the surrogate fits.

        Raises:
            Stopped: the work was asked to end.
        """
        answers = HiddenWords(trained, subject, targets, meter, removed=True, batch_size=self._asked.batch_size)
        present = perturbations(self.samples, len(subject.words), self._seed)
        distinct, drawn = np.unique(present[1:], axis=0, return_inverse=True)
        found = np.concatenate([subject.probabilities[None, targets], answers(distinct)[drawn.reshape(-1)]])
        distances = 100 * (1 - np.sqrt(present.mean(axis=1)))  # the cosine distance to all ones
        proximity = exponential_proximity(distances, self.kernel_width)
        components = present.astype(np.float64)
        fits = [
            fit_surrogate(components, found[:, slot], proximity, features=self._asked.features)
            for slot in range(len(targets))
        ]
        return [Attribution(index, fit.weights, fit=fit.to_fit()) for index, fit in zip(targets, fits, strict=True)]


def perturbations(samples: int, words: int, seed: int) -> Present:
    """[samples, words]: all in row 0; from the others a number of words is removed, one to all, each as likely."""
    generator = np.random.default_rng(seed)
    removed = generator.integers(1, words + 1, samples)
    rank = generator.random((samples, words)).argsort(axis=1).argsort(axis=1)
    present: Present = rank >= removed[:, None]
    present[0] = True
    return present
