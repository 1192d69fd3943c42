"""Maps point at what decides the class: planted patches (design: explain.md §3, tests 9 to 12 and 20)."""

import numpy as np
import pytest
from PIL import Image

from service.specs.explanations import ExplanationSpec
from tests.worker.explaining.planted import CLASSES, COLOURS, ground, place, planted
from worker.backbones.trained import TrainedNetwork
from worker.explaining.explainer import Explanation, explain_images
from worker.explaining.quality import rank_correlation
from worker.explaining.results import FloatArray

SIDE, MARGIN, SIZE = 12, 8, 64
METHODS = ["grad_cam", "shap", "lime"]
Spot = tuple[int, int]


def explained(trained: TrainedNetwork, pictures: list[Image.Image], method: str, **more: object) -> Explanation:
    spec = ExplanationSpec.model_validate({"method": method, **more})
    return explain_images(trained, pictures, spec, progress=lambda _done, _total: None)


def positive(values: FloatArray, size: tuple[int, int]) -> FloatArray:
    """What speaks for the class, at (width, height) of the picture."""
    rows = Image.fromarray(np.maximum(values, 0).astype(np.float32))
    return np.maximum(np.asarray(rows.resize(size, Image.Resampling.BICUBIC), dtype=np.float64), 0)


def near(values: FloatArray, spot: Spot) -> float:
    """Share of the map on the patch and `MARGIN` around it."""
    top, left = spot
    box = values[max(0, top - MARGIN) : top + SIDE + MARGIN, max(0, left - MARGIN) : left + SIDE + MARGIN]
    return float(box.sum() / max(values.sum(), 1e-12))


def points_at(values: FloatArray, spot: Spot) -> bool:
    y, x = np.unravel_index(values.argmax(), values.shape)
    top, left = spot
    return bool(-MARGIN <= y - top < SIDE + MARGIN and -MARGIN <= x - left < SIDE + MARGIN)


@pytest.mark.parametrize(
    ("method", "share", "pointing"), [("grad_cam", 0.50, 0.85), ("shap", 0.60, 0.95), ("lime", 0.65, 0.95)]
)
def test_the_patch_is_found(trained: TrainedNetwork, method: str, share: float, pointing: float) -> None:
    cases = [planted(20_000 + i, i % 3) for i in range(42)]
    found = explained(trained, [picture for picture, _ in cases], method)
    assert [item.prediction["label"] for item in found.items] == [CLASSES[i % 3] for i in range(42)]
    maps = [positive(item.targets[0].attributions, (SIZE, SIZE)) for item in found.items]
    spots = [spot for _, spot in cases]
    assert np.mean([near(values, spot) for values, spot in zip(maps, spots, strict=True)]) >= share
    assert np.mean([points_at(values, spot) for values, spot in zip(maps, spots, strict=True)]) >= pointing


@pytest.mark.parametrize("method", METHODS)
def test_each_class_has_its_own_patch(trained: TrainedNetwork, method: str) -> None:
    right = total = 0
    for i in range(20):
        rng = np.random.default_rng([9, i])
        pixels = ground(rng, SIZE, SIZE)
        spots = [
            place(pixels, rng, COLOURS[0], SIDE, within=(0, 28)),
            place(pixels, rng, COLOURS[1], SIDE, within=(36, 64)),
        ]
        found = explained(trained, [Image.fromarray(pixels)], method, targets=["red", "green"])
        for k, target in enumerate(found.items[0].targets):
            values = positive(target.attributions, (SIZE, SIZE))
            right += near(values, spots[k]) > near(values, spots[1 - k])
            total += 1
    assert right >= 0.95 * total


@pytest.mark.parametrize(("method", "most"), [("grad_cam", 0.5), ("shap", 0.2), ("lime", 0.2)])
def test_an_untrained_network_gives_another_map(
    trained: TrainedNetwork, untrained: TrainedNetwork, method: str, most: float
) -> None:
    pictures = [planted(30_000 + i, i % 3)[0] for i in range(21)]
    labels = explained(trained, pictures, "grad_cam")
    correlations = []
    for k in range(3):
        group = pictures[k::3]
        one = explained(trained, group, method, targets=[CLASSES[k]])
        other = explained(untrained, group, method, targets=[CLASSES[k]])
        correlations += [
            rank_correlation(a.targets[0].attributions, b.targets[0].attributions)
            for a, b in zip(one.items, other.items, strict=True)
        ]
    assert len(labels.items) == 21
    assert abs(float(np.mean(correlations))) <= most


@pytest.mark.parametrize("method", METHODS)
def test_quality_tells_good_maps(trained: TrainedNetwork, method: str) -> None:
    pictures = [planted(40_000 + i, i % 3)[0] for i in range(12)]
    found = explained(trained, pictures, method, evaluate=True)
    quality = [item.quality for item in found.items]
    gains = [one["insertion_auc"] - one["deletion_auc"] for one in quality if one]
    controls = [one["random_control"] for one in quality if one]
    assert np.mean(gains) >= 0.25
    assert np.mean(gains) - np.mean(controls) >= 0.2
    assert np.mean([one["stability"] for one in quality if one]) > 0.7
    assert np.mean([one["randomisation"] for one in quality if one]) < 0.6
    assert np.mean([one["reliable"] for one in quality if one]) >= 0.8


@pytest.mark.parametrize("method", METHODS)
def test_the_peak_follows_the_patch_in_the_upload(trained: TrainedNetwork, method: str) -> None:
    """97 x 143: the network sees a square, the map is read in the upload's own proportions."""
    right = 0
    for i in range(12):
        rng = np.random.default_rng([11, i])
        pixels = ground(rng, 97, 143)
        top, left = place(pixels, rng, COLOURS[i % 3], 24)
        found = explained(trained, [Image.fromarray(pixels)], method, targets=[CLASSES[i % 3]])
        values = positive(found.items[0].targets[0].attributions, (143, 97))
        y, x = np.unravel_index(values.argmax(), values.shape)
        right += -8 <= y - top < 32 and -8 <= x - left < 32
    assert right >= 11
