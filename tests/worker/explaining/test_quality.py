"""The judge judged: known correlations, known curves, a rule with known sides."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from service.specs.explanations import ExplanationSpec
from tests.worker.explaining.planted import planted
from worker.backbones.trained import TrainedNetwork
from worker.explaining.curves import STEPS, Subject, insertion_deletion
from worker.explaining.explainer import explain_images
from worker.explaining.quality import Quality, rank_correlation
from worker.explaining.randomised import randomised
from worker.explaining.results import FloatArray

CPU = torch.device("cpu")


def test_rank_correlation_equals_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 9, (8, 8)).astype(float), rng.integers(0, 9, (8, 8)).astype(float)
    assert rank_correlation(one, other) == pytest.approx(stats.spearmanr(one.ravel(), other.ravel()).statistic)
    assert rank_correlation(one, one**3) == pytest.approx(1.0)
    assert rank_correlation(one, -one) == pytest.approx(-1.0)
    assert rank_correlation(one, np.zeros((4, 4))) == 0.0
    assert rank_correlation(one, np.kron(one, np.ones((4, 4)))) == pytest.approx(1.0)


class Brightness(nn.Module):
    """The probability of class 0 is the mean of the upper left quarter (0 or 1 at every pixel)."""

    def forward(self, batch: Tensor) -> Tensor:
        p = batch[:, 0, :16, :16].mean((1, 2)).clamp(1e-6, 1 - 1e-6)
        return torch.stack([p.log(), (1 - p).log()], dim=1)


def curves(attributions: FloatArray) -> tuple[float, float]:
    trained = TrainedNetwork(Brightness(), ["a", "b"], "small_cnn", 32, CPU)
    subject = Subject(torch.ones(3, 32, 32), torch.zeros(3, 32, 32), 0, 1.0, 0.0)
    return insertion_deletion(trained, subject, attributions, np.random.default_rng(0))


def test_curves_by_hand() -> None:
    """The best map shows its quarter in the first 4 of 16 steps: area 1 - 4/16/2; deletion is its mirror."""
    best = np.kron([[1.0, 0.0], [0.0, 0.0]], np.ones((16, 16)))
    insertion, deletion = curves(best)
    assert insertion == pytest.approx(1 - 2 / STEPS, abs=0.01)
    assert deletion == pytest.approx(2 / STEPS, abs=0.01)
    insertion, deletion = curves(-best)
    assert insertion == pytest.approx(2 / STEPS, abs=0.01)
    assert deletion == pytest.approx(1 - 2 / STEPS, abs=0.01)
    insertion, deletion = curves(np.zeros((4, 4)))  # all equal: decided by chance
    assert insertion == pytest.approx(0.5, abs=0.02)
    assert deletion == pytest.approx(0.5, abs=0.02)


GOOD = Quality(
    insertion_auc=0.8, deletion_auc=0.3, random_control=0.0, stability=0.95, randomisation=0.1, answer_range=0.9,
    degenerate=False,
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reliable"),
    [
        ({}, True),
        ({"insertion_auc": 0.4}, False),
        ({"insertion_auc": 0.4, "answer_range": 0.2}, True),
        ({"insertion_auc": 0.301, "answer_range": 0.0}, False),
        ({"random_control": 0.45}, False),
        ({"stability": 0.2}, False),
        ({"randomisation": 0.95}, False),
        ({"degenerate": True}, False),
    ],
)
def test_rule(change: dict[str, float], reliable: bool) -> None:
    assert replace(GOOD, **change).reliable is reliable
    assert replace(GOOD, **change).to_json()["reliable"] is reliable


def test_randomised_network_is_another_and_repeatable(trained: TrainedNetwork) -> None:
    before = [p.clone() for p in trained.network.state_dict().values()]
    batch = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    one, same, other = (
        randomised(trained.network, 64, torch.Generator().manual_seed(seed))(batch) for seed in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)
    assert bool(one.isfinite().all())
    assert float(one.std()) > 1e-3
    assert all(torch.equal(a, b) for a, b in zip(before, trained.network.state_dict().values(), strict=True))


@pytest.mark.parametrize(
    ("method", "parameters"), [("grad_cam", {}), ("shap", {"evaluations": 64}), ("lime", {"samples": 60})]
)
def test_judged_the_same_in_any_batch(trained: TrainedNetwork, method: str, parameters: dict[str, int]) -> None:
    spec = ExplanationSpec.model_validate({"method": method, "parameters": parameters, "evaluate": True, "seed": 3})
    pictures = [planted(50_000 + i, i % 3)[0] for i in range(3)]
    calls: list[tuple[int, int]] = []
    together = explain_images(trained, pictures, spec, progress=lambda done, total: calls.append((done, total)))
    for picture, item in zip(pictures, together.items, strict=True):
        alone = explain_images(trained, [picture], spec, progress=lambda _done, _total: None).items[0].quality
        assert item.quality == pytest.approx(alone, abs=1e-4)
        assert alone is not None
        assert set(alone) == {
            "deletion_auc", "insertion_auc", "random_control", "stability", "randomisation", "reliable",
        }  # fmt: skip
    assert calls[-1][0] == calls[-1][1]
    spent = together.evaluations["forward"] + together.evaluations["backward"]
    assert abs(spent - calls[-1][1]) <= 8 + 3 * 4


def test_noise_is_called_unreliable(untrained: TrainedNetwork) -> None:
    spec = ExplanationSpec(method="shap", evaluate=True)
    found = explain_images(untrained, [planted(1, 0)[0]], spec, progress=lambda _done, _total: None)
    assert found.items[0].quality is not None
    assert found.items[0].quality["reliable"] is False
    assert [warning["code"] for warning in found.warnings] == ["unreliable"]
