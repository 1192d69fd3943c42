"""LIME for images: against a closed form, against the lime package, and against itself under its seed."""

import dataclasses
import json
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from lime import lime_image
from torch import Tensor, nn

from service.errors import Stopped
from service.specs.explanations import ExplanationSpec, MethodParameters
from tests.worker.explaining.planted import planted
from worker.backbones.trained import TrainedNetwork
from worker.explaining.baselines import baseline_images
from worker.explaining.explainer import Explanation, explain_images
from worker.explaining.lime_images import perturbations, superpixels
from worker.explaining.results import FloatArray

CPU = torch.device("cpu")
PICTURES = [planted(7000 + i, i % 3)[0] for i in range(4)]


def explained(
    trained: TrainedNetwork, count: int = 1, *, first: int = 0, seed: int = 0, **parameters: object
) -> Explanation:
    spec = ExplanationSpec(method="lime", parameters=MethodParameters.model_validate(parameters), seed=seed)
    return explain_images(trained, PICTURES[first : first + count], spec, progress=lambda _done, _total: None)


def as_json(found: Explanation) -> str:
    return json.dumps(dataclasses.asdict(found), default=lambda array: array.tolist())


class Weighted(nn.Module):
    """The probability of the first class is 0.5 plus a weighted sum of the pixels: exactly linear."""

    def __init__(self, side: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.weight = nn.Parameter(torch.rand(3, side, side, generator=generator) * 0.3 / (3 * side * side))

    def forward(self, batch: Tensor) -> Tensor:
        p = 0.5 + (batch * self.weight).sum((1, 2, 3))
        return torch.stack([p.log(), (1 - p).log()], dim=1)


def test_a_linear_network_gets_its_own_weights() -> None:
    """A superpixel's weight is what it adds; ridge 1 shrinks it by about one part in a hundred."""
    trained = TrainedNetwork(Weighted(64).requires_grad_(False).eval(), ["a", "b"], "small_cnn", 64, CPU)
    spec = ExplanationSpec(method="lime", targets=["a", "b"], parameters=MethodParameters(samples=2000))
    one, other = explain_images(trained, PICTURES[:1], spec, progress=lambda _d, _t: None).items[0].targets
    image = trained.preprocess(PICTURES[:1])
    hidden = baseline_images("blur", image, trained.entry)
    adds = ((image - hidden)[0] * trained.network.weight).sum(0).double().numpy()
    segments = superpixels(image[0], trained.entry, 64)
    exact = np.bincount(segments.ravel(), adds.ravel())[segments]
    largest = np.abs(exact).max()
    np.testing.assert_allclose(one.attributions, exact, atol=0.02 * largest)
    np.testing.assert_allclose(other.attributions, -one.attributions, atol=1e-4 * largest)
    assert one.fit is not None
    assert one.fit["r2"] > 0.999
    assert one.fit["local_prediction"] == pytest.approx(one.output_value, abs=0.02 * largest)
    assert one.space == "probability"
    assert one.base_value is one.additivity is one.layer is None


@pytest.mark.parametrize("index", [0, 1])
def test_agrees_with_the_lime_package(trained: TrainedNetwork, index: int) -> None:
    image = trained.preprocess([PICTURES[index]])
    hidden = baseline_images("blur", image, trained.entry)
    segments = superpixels(image[0], trained.entry, 64)

    def answer(batch: FloatArray) -> FloatArray:
        with torch.inference_mode():
            inputs = torch.from_numpy(np.asarray(batch, dtype=np.float32)).permute(0, 3, 1, 2)
            return trained.logits(inputs).softmax(1).double().numpy()

    def channels_last(tensor: Tensor) -> FloatArray:
        return tensor[0].permute(1, 2, 0).double().numpy()

    reference = lime_image.LimeImageExplainer(random_state=0, feature_selection="none").explain_instance(
        channels_last(image), answer, labels=(index,), top_labels=None, hide_color=channels_last(hidden),
        num_samples=1000, batch_size=100, segmentation_fn=lambda _image: segments,
    )  # fmt: skip
    weights = np.zeros(segments.max() + 1)
    for place, weight in reference.local_exp[index]:
        weights[place] = weight
    ours = explained(trained, first=index).items[0].targets[0]
    assert np.corrcoef(ours.attributions.ravel(), weights[segments].ravel())[0, 1] > 0.98
    assert ours.attributions.max() == pytest.approx(weights.max(), rel=0.1)
    assert ours.fit is not None
    assert ours.fit["r2"] == pytest.approx(reference.score, abs=0.05)


def test_the_seed_decides_everything(trained: TrainedNetwork) -> None:
    first = explained(trained, 2, samples=200)
    assert as_json(first) == as_json(explained(trained, 2, samples=200))
    other = explained(trained, 2, samples=200, seed=1)
    assert as_json(first) != as_json(other)
    for one, two in zip(first.items, other.items, strict=True):
        assert one.targets[0].attributions.argmax() == two.targets[0].attributions.argmax()


def test_batch_equals_singles_and_threads(trained: TrainedNetwork) -> None:
    together = [item.targets[0].attributions for item in explained(trained, 4, samples=150).items]
    with ThreadPoolExecutor(4) as pool:
        alone = list(pool.map(lambda i: explained(trained, first=i % 4, samples=150), range(8)))
    for i, found in enumerate(alone):
        assert np.abs(together[i % 4] - found.items[0].targets[0].attributions).max() <= 1e-5


def test_budget_is_kept_and_reported(trained: TrainedNetwork) -> None:
    calls: list[tuple[int, int]] = []
    spec = ExplanationSpec(method="lime", targets=["red", "green"], parameters=MethodParameters(samples=101))
    found = explain_images(trained, PICTURES[:3], spec, progress=lambda done, total: calls.append((done, total)))
    assert found.evaluations == {"forward": 3 * 102, "backward": 0}
    assert calls == sorted(calls)
    assert calls[-1] == (3 * 102, 3 * 102)
    assert found.parameters == {
        "samples": 101, "segments": 64, "features": None, "kernel_width": 0.25, "baseline": "blur", "batch_size": 32,
    }  # fmt: skip
    assert found.baseline is not None
    assert found.baseline["kind"] == "blur"


def test_stops_when_asked(trained: TrainedNetwork) -> None:
    calls: list[int] = []

    def progress(done: int, _total: int) -> None:
        calls.append(done)
        if done > 100:
            raise Stopped("asked to")

    with pytest.raises(Stopped):
        explain_images(trained, PICTURES, ExplanationSpec(method="lime"), progress=progress)
    assert calls[-1] <= 100 + 32 * (os.cpu_count() or 1)


def test_few_features_keep_the_strongest(trained: TrainedNetwork) -> None:
    every = explained(trained).items[0].targets[0].attributions
    few = explained(trained, features=2).items[0].targets[0].attributions
    assert len(np.unique(few[few != 0])) == 2
    assert every.argmax() == few.argmax()


@pytest.mark.parametrize(("side", "cells"), [(32, 32), (64, 64), (224, 64)])
@pytest.mark.parametrize("segments", [4, 64, 400])
def test_superpixels_tile_the_image(trained: TrainedNetwork, side: int, cells: int, segments: int) -> None:
    image = trained.preprocess(PICTURES[:1])
    image = nn.functional.interpolate(image, size=side)[0]
    found = superpixels(image, trained.entry, segments)
    assert found.shape == (cells, cells)
    assert (np.unique(found) == np.arange(found.max() + 1)).all()
    assert segments / 3 <= found.max() + 1 <= 1.5 * segments
    assert (found == superpixels(image, trained.entry, segments)).all()


def test_perturbations_hide_half_but_not_the_input() -> None:
    present = perturbations(4000, 30, 0)
    assert present[0].all()
    np.testing.assert_allclose(present[1:].mean(0), 0.5, atol=0.05)
    assert (present != perturbations(4000, 30, 1)).any()
