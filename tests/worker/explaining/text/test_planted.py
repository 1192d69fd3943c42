"""Attributions point at what decides the class: planted words (design: explain.md §3, tests 11, 12, 14 and 15)."""

import numpy as np
import pytest

from tests.worker.explaining.text.asking import METHODS, explained, values
from tests.worker.explaining.text.planted import CLASSES, planted
from worker.backbones.trained_text import TrainedText
from worker.explaining.quality import spearman

CASES = [planted(20_000 + i, CLASSES[i % 2]) for i in range(60)]
TEXTS = [text for text, _ in CASES]


@pytest.mark.parametrize("method", METHODS)
def test_the_deciding_word_is_on_top(either: TrainedText, method: str) -> None:
    """The third class has no word of its own, so leaving the word out leaves another answer."""
    found = explained(either, TEXTS, method)
    assert [item.prediction["label"] for item in found.items] == [CLASSES[i % 2] for i in range(60)]
    tops = [int(values(item.targets[0]).argmax()) for item in found.items]
    assert np.mean([top == place for top, (_, place) in zip(tops, CASES, strict=True)]) >= 0.95


@pytest.mark.parametrize("method", ["shap", "lime", "occlusion"])
def test_each_class_has_its_own_word(trained: TrainedText, method: str) -> None:
    """Of two deciding words in one text, each speaks more for its own class. The network never saw both together, so
    that gradients, which look along one path, are not asked.
    """
    texts = ["the film of song was awful and great with sound", "great player but of actor is page by awful story"]
    for text in texts:
        found = explained(trained, [text], method, targets=["bad", "good"])
        bad, good = found.items[0].targets
        words = text.split()
        awful, great = words.index("awful"), words.index("great")
        assert values(bad)[awful] > values(bad)[great]
        assert values(good)[great] > values(good)[awful]


@pytest.mark.parametrize("method", ["shap", "integrated_gradients"])
def test_an_untrained_network_gives_another_order(trained: TrainedText, untrained: TrainedText, method: str) -> None:
    correlations = []
    for k in range(2):
        one = explained(trained, TEXTS[k:40:2], method, targets=[CLASSES[k]])
        other = explained(untrained, TEXTS[k:40:2], method, targets=[CLASSES[k]])
        correlations += [
            spearman(values(a.targets[0]), values(b.targets[0])) for a, b in zip(one.items, other.items, strict=True)
        ]
    assert len(correlations) == 40
    assert abs(float(np.mean(correlations))) <= 0.2


@pytest.mark.parametrize("method", METHODS)
def test_quality_tells_good_attributions(trained: TrainedText, method: str) -> None:
    found = explained(trained, TEXTS[:12], method, evaluate=True)
    quality = [item.quality for item in found.items if item.quality]
    assert len(quality) == 12
    gains = [one["insertion_auc"] - one["deletion_auc"] for one in quality]
    assert np.mean(gains) >= 0.25
    assert np.mean(gains) - np.mean([one["random_control"] for one in quality]) >= 0.2
    assert np.mean([one["reliable"] for one in quality]) >= 0.7


@pytest.mark.parametrize("steps", [32, 64])
def test_integrated_gradients_are_complete(either: TrainedText, steps: int) -> None:
    found = explained(either, TEXTS, "integrated_gradients", parameters={"steps": steps})
    for item in found.items:
        (target,) = item.targets
        assert target.base_value is not None
        change = target.output_value - target.base_value
        assert abs(change) >= 0.5
        assert abs(values(target).sum() - change) <= 0.01 * abs(change)
        assert target.additivity is not None
        assert target.additivity["passed"]
        assert target.additivity["tolerance"] == pytest.approx(0.01 * abs(change))
