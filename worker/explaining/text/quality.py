"""How far attributions of words can be trusted: what `worker.explaining.quality` measures of maps, over words."""

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from worker.backbones.trained_text import TrainedText
from worker.explaining.meter import Meter
from worker.explaining.quality import NOISY_COPIES, Quality, spearman
from worker.explaining.randomised import redrawn
from worker.explaining.results import Attribution, FloatArray
from worker.explaining.text.subject import HiddenWords, Subject, answered_by

STEPS = 16
LEAST_WORDS = 5
"""Of fewer, an order says nothing: with three words, one order in three agrees with any other by 0.9 or more."""
RANDOM_PAIRS = 2
"""Random orders, each with its reverse: where one word decides, a single order is good or bad by chance alone."""
LEFT_OUT = 0.1
"""Share of the words that a noisy copy of a text is without, one at least; drawn from the half that matters less."""
LEAST_SHARE = 0.05
"""Of the strongest word's attribution: what is weaker counts as 0, or chance would rank what does not matter."""


class Attributes(Protocol):
    """The part of a text explainer that is judged."""

    def cost(self, targets: int) -> int:
        """Evaluations for one text, its serving answer included."""
        ...

    def sketch(self) -> "Attributes":
        """A cheaper way to attributions that can be compared with each other."""
        ...

    def attribute(self, trained: TrainedText, subject: Subject, targets: list[int], meter: Meter) -> list[Attribution]:
        """Attributions [m] of the words, for each target."""
        ...


class TextJudge:
    """Measures the attributions of one request; the first target of each text.

    - insertion, deletion: the class's probability as the most attributed words appear, or are hidden, in at most
      `STEPS` steps; against random orders and their reverses.
    - stability: mean rank correlation with the attributions of the text without some of its weaker words, on the
      others.
    - randomisation: absolute rank correlation with the attributions by a network with weights drawn anew.

    Everything random comes from the seed alone, so a text is judged the same in any company.
    """

    def __init__(self, explainer: Attributes, seed: int) -> None:
        self._explainer = explainer
        self._sketch = explainer.sketch()
        self._seed = seed
        self._untrained: TrainedText | None = None

    @property
    def cost(self) -> int:
        """Evaluations for one text, at most."""
        sketches = NOISY_COPIES + 1 + (self._sketch is not self._explainer)
        return 1 + (1 + 2 * RANDOM_PAIRS) * 2 * (STEPS - 1) + sketches * self._sketch.cost(1)

    def judge(self, trained: TrainedText, subject: Subject, target: Attribution, meter: Meter) -> dict[str, Any] | None:
        """The quality of one target's attributions; null where there are fewer than `LEAST_WORDS` words.

        Raises:
            Stopped: the work was asked to end.
        """
        if len(subject.words) < LEAST_WORDS:
            return None
        generator = np.random.default_rng(self._seed)
        curves = _Curves(trained, subject, target.class_index, meter)
        insertion, deletion = curves.areas(target.values, generator)
        orders = generator.normal(size=(RANDOM_PAIRS, len(subject.words)))
        chance = [curves.areas(order, generator) for order in (*orders, *-orders)]
        same = self._sketch is self._explainer
        clean = target.values if same else self._values(trained, subject, target.class_index, meter)
        kept = [_some_words(clean, generator) for _ in range(NOISY_COPIES)]
        shorter = [self._values(trained, subject.only(words), target.class_index, meter) for words in kept]
        untrained = self._values(self._drawn_anew(trained), subject, target.class_index, meter)
        agreement = [_agreement(clean[words], values) for words, values in zip(kept, shorter, strict=True)]
        return Quality(
            insertion_auc=insertion,
            deletion_auc=deletion,
            random_control=float(np.mean([appearing - vanishing for appearing, vanishing in chance])),
            stability=float(np.mean(agreement)),
            randomisation=abs(_agreement(clean, untrained)),
            answer_range=abs(float(subject.probabilities[target.class_index]) - curves.hidden_answer),
            degenerate=target.degenerate,
        ).to_json()

    def _values(self, trained: TrainedText, subject: Subject, class_index: int, meter: Meter) -> FloatArray:
        """[m] by the sketch."""
        answered = answered_by(trained, subject)
        meter.count(forward=1)
        (found,) = self._sketch.attribute(trained, answered, [class_index], meter)
        return found.values

    def _drawn_anew(self, trained: TrainedText) -> TrainedText:
        if self._untrained is None:
            network = redrawn(trained.network, torch.Generator().manual_seed(self._seed))
            self._untrained = replace(trained, network=network)
        return self._untrained


def without_noise(values: FloatArray) -> FloatArray:
    """[m] with 0 for what is below `LEAST_SHARE` of the strongest."""
    weak = np.abs(values) < LEAST_SHARE * np.abs(values).max(initial=0.0)
    return np.where(weak, 0.0, values)


def _agreement(one: FloatArray, other: FloatArray) -> float:
    return spearman(without_noise(one), without_noise(other))


def _some_words(values: FloatArray, generator: np.random.Generator) -> NDArray[np.int64]:
    """The places of the words that stay in a noisy copy, in order."""
    weaker = np.argsort(np.abs(values), kind="stable")[: len(values) // 2]
    count = max(1, round(LEFT_OUT * len(values)))
    return np.setdiff1d(np.arange(len(values)), generator.permutation(weaker)[:count])


class _Curves:
    """Insertion and deletion of one text's words for one class (Petsiuk et al. 2018, arXiv:1806.07421)."""

    def __init__(self, trained: TrainedText, subject: Subject, class_index: int, meter: Meter) -> None:
        self._answers = HiddenWords(trained, subject, [class_index], meter)
        self._words = len(subject.words)
        self._shown_answer = float(subject.probabilities[class_index])
        self.hidden_answer = float(self._answers(np.zeros((1, self._words), dtype=bool))[0, 0])

    def areas(self, values: FloatArray, generator: np.random.Generator) -> tuple[float, float]:
        """Under the probability as words appear, and as they are hidden, the most attributed first; ties by chance."""
        m, steps = self._words, min(STEPS, self._words)
        order = np.lexsort((generator.random(m), -values))
        rank = np.empty(m, dtype=np.int64)
        rank[order] = np.arange(m)
        counts = np.arange(1, steps) * m // steps
        first = rank[None] < counts[:, None]
        answers = self._answers(np.concatenate([first, ~first]))[:, 0]
        shares = np.concatenate([[0], counts, [m]]) / m
        appearing = [self.hidden_answer, *answers[: steps - 1], self._shown_answer]
        vanishing = [self._shown_answer, *answers[steps - 1 :], self.hidden_answer]
        return float(np.trapezoid(appearing, shares)), float(np.trapezoid(vanishing, shares))
