"""The judge of words judged: right orders pass, random and reversed ones do not."""

import numpy as np
import pytest

from tests.worker.explaining.text.planted import CLASSES, planted
from worker.backbones.trained_text import TrainedText
from worker.explaining.meter import Meter
from worker.explaining.results import Attribution
from worker.explaining.text.quality import TextJudge, without_noise
from worker.explaining.text.subject import Subject, subject_of


class Told:
    """An explainer whose answers are given: the place of the deciding word times a factor, or chance."""

    def __init__(self, factor: float | None) -> None:
        self._factor = factor
        self._generator = np.random.default_rng(0)

    def cost(self, targets: int) -> int:
        return targets

    def sketch(self) -> "Told":
        return self

    def attribute(
        self, _trained: TrainedText, subject: Subject, targets: list[int], _meter: Meter
    ) -> list[Attribution]:
        words = [subject.text[word.start : word.end] for word in subject.words]
        values = self._generator.normal(size=len(words))
        if self._factor is not None:
            values = self._factor * np.array([1.0 if word in ("awful", "great") else 0.0 for word in words])
        return [Attribution(target, values) for target in targets]


def judged(trained: TrainedText, explainer: Told) -> list[dict[str, float]]:
    found = []
    for i in range(8):
        subject = subject_of(trained, planted(40_000 + i, CLASSES[i % 2])[0])
        meter = Meter(1, lambda _done, _total: None)
        (attribution,) = explainer.attribute(trained, subject, [i % 2], meter)
        quality = TextJudge(explainer, seed=0).judge(trained, subject, attribution, meter)
        assert quality is not None
        found.append(quality)
    return found


def test_curves_follow_the_deciding_word(either: TrainedText) -> None:
    for quality in judged(either, Told(1.0)):
        assert quality["insertion_auc"] > 0.9
        assert quality["deletion_auc"] < 0.1
        assert quality["stability"] == pytest.approx(1.0)
        assert quality["randomisation"] == pytest.approx(1.0)  # it never looked at the network
        assert quality["reliable"] is False


def test_the_reverse_and_chance_are_unreliable(either: TrainedText) -> None:
    for quality in judged(either, Told(-1.0)):
        assert quality["insertion_auc"] < 0.2
        assert quality["deletion_auc"] > 0.8
        assert quality["reliable"] is False
    chance = judged(either, Told(None))
    assert np.mean([quality["stability"] for quality in chance]) < 0.5
    assert sum(bool(quality["reliable"]) for quality in chance) <= 1


def test_what_is_small_counts_as_nothing() -> None:
    assert without_noise(np.array([1.0, -0.5, 0.04, -0.04, 0.06])).tolist() == [1.0, -0.5, 0.0, 0.0, 0.06]
    assert without_noise(np.zeros(3)).tolist() == [0.0, 0.0, 0.0]
