"""Occlusion for texts: what the answer loses when words are left out (Zeiler and Fergus 2014; Li et al. 2016)."""

from typing import Any

import numpy as np

from service.specs.explanations import MethodParameters
from worker.backbones.trained_text import TrainedText
from worker.explaining.meter import Meter
from worker.explaining.results import Attribution, Space
from worker.explaining.text.subject import HiddenWords, Present, Subject, hidden_shows


class TextOcclusion:
    """The method `occlusion`: the serving probability minus that of the text without `window` neighbouring words.

    A word gets the mean over the windows that it lies in.
    """

    name = "occlusion"
    space: Space = "probability"

    def __init__(self, asked: MethodParameters, most_tokens: int) -> None:
        self._asked = asked
        self._most_tokens = most_tokens
        self.window = asked.window or 1

    @property
    def parameters(self) -> dict[str, Any]:
        """As used; `batch_size` null: as many as go through quickly."""
        return {"window": self.window, "batch_size": self._asked.batch_size}

    def baseline(self, trained: TrainedText) -> dict[str, Any]:
        """Hidden words were removed."""
        return hidden_shows(trained, removed=True)

    def cost(self, targets: int) -> int:
        """Evaluations for one text at most, however many `targets`: one for each word, and the serving answer."""
        del targets
        return self._most_tokens + 1

    def sketch(self) -> "TextOcclusion":
        """The same: it is as cheap as it gets."""
        return self

    def attribute(self, trained: TrainedText, subject: Subject, targets: list[int], meter: Meter) -> list[Attribution]:
        """The losses for each target.

        Raises:
            Stopped: the work was asked to end.
        """
        hidden = windows(len(subject.words), self.window)
        answers = HiddenWords(trained, subject, targets, meter, removed=True, batch_size=self._asked.batch_size)
        losses = subject.probabilities[targets] - answers(~hidden)
        values = hidden.T.astype(np.float64) @ losses / hidden.sum(axis=0)[:, None]
        return [Attribution(index, values[:, slot]) for slot, index in enumerate(targets)]


def windows(words: int, window: int) -> Present:
    """[b, words]: every run of `window` words; a single row if there are no more words than that."""
    first = np.arange(max(1, words - window + 1))[:, None]
    place = np.arange(words)
    inside: Present = (place >= first) & (place < first + window)
    return inside
