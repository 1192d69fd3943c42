"""SHAP for images: against shap itself, against serving, alone and in a batch."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from service.errors import Stopped
from service.specs.backbones import CATALOGUE
from service.specs.explanations import ExplanationSpec, MethodParameters
from tests.worker.explaining.planted import planted
from worker.backbones.trained import TrainedNetwork
from worker.explaining.baselines import baseline_images, blurred
from worker.explaining.explainer import Explanation, explain_images
from worker.explaining.masked_images import to_pixels
from worker.explaining.partition import grid_cells
from worker.explaining.results import FloatArray
from worker.explaining.serving import predict_images

PICTURES = [planted(7000 + i, i % 3)[0] for i in range(8)]


def explained(trained: TrainedNetwork, count: int = 1, *, first: int = 0, **parameters: object) -> Explanation:
    spec = ExplanationSpec(method="shap", parameters=MethodParameters.model_validate(parameters))
    return explain_images(trained, PICTURES[first : first + count], spec, progress=lambda _done, _total: None)


def on_eight(values: FloatArray) -> FloatArray:
    """Sums over an 8x8 grid, of a map of any power of two."""
    side = len(values)
    if side < 8:
        values = np.kron(values, np.ones((8 // side, 8 // side))) * (side / 8) ** 2
    block = len(values) // 8
    return values.reshape(8, block, 8, block).sum((1, 3))


@pytest.mark.parametrize("baseline", ["blur", "mean", "zero"])
def test_adds_up_to_what_serving_answers(trained: TrainedNetwork, baseline: str) -> None:
    found = explained(trained, 4, baseline=baseline, evaluations=120)
    served = predict_images(trained, PICTURES[:4])
    for item, answer in zip(found.items, served, strict=True):
        target = item.targets[0]
        assert item.prediction["label"] == answer["label"] == target.label
        assert target.output_value == pytest.approx(answer["probability"], abs=1e-6)
        assert target.base_value is not None
        assert abs(target.base_value + target.attributions.sum() - answer["probability"]) <= 1e-5
        assert target.additivity is not None
        assert target.additivity["passed"]
        assert target.space == "probability"
    assert found.baseline is not None
    assert found.baseline["kind"] == baseline
    assert found.parameters == {"explainer": "partition", "evaluations": 120, "baseline": baseline, "batch_size": 32}


def test_agrees_with_shap(trained: TrainedNetwork) -> None:
    shap = pytest.importorskip("shap")  # never skips, but keeps warnings of matplotlib apart

    for k in range(3):
        image = trained.preprocess([PICTURES[k]])
        hidden = baseline_images("blur", image, trained.entry)
        label = k % 3

        def answer(batch: FloatArray, label: int = label) -> FloatArray:
            with torch.inference_mode():
                inputs = torch.from_numpy(np.asarray(batch, dtype=np.float32)).permute(0, 3, 1, 2)
                return trained.logits(inputs).softmax(1)[:, [label]].numpy()

        masker = shap.maskers.Image(hidden[0].permute(1, 2, 0).numpy().astype(np.float64), (64, 64, 3))
        reference = shap.PartitionExplainer(answer, masker)(
            image.permute(0, 2, 3, 1).numpy().astype(np.float64), max_evals=500, batch_size=50, silent=True
        )
        theirs = reference.values[0].sum(axis=(2, 3))
        ours = explained(trained, first=k, evaluations=500).items[0].targets[0].attributions

        correlation = np.corrcoef(on_eight(ours).ravel(), on_eight(theirs).ravel())[0, 1]
        assert correlation >= 0.9
        assert theirs.sum() == pytest.approx(ours.sum(), abs=1e-4)


def test_batch_equals_singles_and_repeats_itself(trained: TrainedNetwork) -> None:
    together = explained(trained, 8, evaluations=150)
    again = explained(trained, 8, evaluations=150)
    for i in range(8):
        alone = explained(trained, first=i, evaluations=150).items[0].targets[0].attributions
        assert np.abs(together.items[i].targets[0].attributions - alone).max() <= 1e-5
        assert (together.items[i].targets[0].attributions == again.items[i].targets[0].attributions).all()


def test_batches_change_little(trained: TrainedNetwork) -> None:
    """Smaller ones only the rounding; larger ones the order of exploration, hardly what is found."""
    small, usual, large = (
        on_eight(explained(trained, evaluations=500, batch_size=size).items[0].targets[0].attributions)
        for size in (3, 32, 128)
    )
    np.testing.assert_allclose(small, usual, atol=1e-5)
    assert np.corrcoef(usual.ravel(), large.ravel())[0, 1] > 0.98


def test_four_threads_get_what_one_gets(trained: TrainedNetwork) -> None:
    threads = torch.get_num_threads()
    serial = [explained(trained, first=i, evaluations=100).items[0].targets[0].attributions for i in range(8)]
    with ThreadPoolExecutor(4) as pool:
        parallel = list(pool.map(lambda i: explained(trained, first=i % 8, evaluations=100), range(24)))
    for i, found in enumerate(parallel):
        assert np.abs(found.items[0].targets[0].attributions - serial[i % 8]).max() <= 1e-5
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("evaluations", [32, 101])
def test_budget_is_kept_and_reported(trained: TrainedNetwork, evaluations: int) -> None:
    calls: list[tuple[int, int]] = []
    spec = ExplanationSpec(
        method="shap", targets=["red", "green"], parameters=MethodParameters(evaluations=evaluations)
    )
    found = explain_images(trained, PICTURES[:3], spec, progress=lambda done, total: calls.append((done, total)))
    assert 3 * (evaluations - 1) <= found.evaluations["forward"] <= 3 * evaluations
    assert found.evaluations["backward"] == 0
    assert calls == sorted(calls)
    assert calls[-1] == (3 * evaluations, 3 * evaluations)


def test_stops_when_asked(trained: TrainedNetwork) -> None:
    calls: list[int] = []

    def progress(done: int, _total: int) -> None:
        calls.append(done)
        if done > 60:
            raise Stopped("asked to")

    with pytest.raises(Stopped):
        explain_images(trained, PICTURES, ExplanationSpec(method="shap"), progress=progress)
    assert calls[-1] <= 60 + 32


def test_blur_keeps_the_mean_and_hides_the_detail() -> None:
    picture = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) + 5
    soft = blurred(picture, 8.0)
    assert abs(float(soft.mean()) - 5) < 0.05
    assert float(soft.std()) < 0.1
    torch.testing.assert_close(blurred(torch.full((1, 3, 8, 8), 2.5), 2.0), torch.full((1, 3, 8, 8), 2.5))
    impulse = torch.zeros(1, 1, 33, 33)
    impulse[0, 0, 16, 16] = 1
    spread = blurred(impulse, 2.0)[0, 0]
    assert float(spread[16, 18] / spread[16, 16]) == pytest.approx(np.exp(-0.5), rel=1e-4)


def test_zero_is_black_and_mean_is_the_images_own() -> None:
    entry = CATALOGUE["resnet18"]
    batch = torch.randn(2, 3, 16, 16)
    black = baseline_images("zero", batch, entry)
    mean, std = torch.tensor(entry.mean).view(3, 1, 1), torch.tensor(entry.std).view(3, 1, 1)
    torch.testing.assert_close(black * std + mean, torch.zeros(2, 3, 16, 16), atol=1e-6, rtol=0)
    flat = baseline_images("mean", batch, entry)
    torch.testing.assert_close(flat[1, :, 3, 5], batch[1].mean((1, 2)))


@pytest.mark.parametrize("side", [16, 28, 32, 50, 64, 224])
def test_cells_tile_the_image(side: int) -> None:
    cells = grid_cells(side)
    assert cells <= min(32, side)
    owner = to_pixels(torch.arange(cells * cells).view(1, cells, cells), side)[0]
    counts = torch.bincount(owner.flatten(), minlength=cells * cells)
    assert int(counts.sum()) == side * side
    assert int(counts.min()) >= 1
    assert owner[0, 0] == 0
    assert owner[-1, -1] == cells * cells - 1
