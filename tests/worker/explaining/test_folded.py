"""The quick copy answers the same, or is not taken."""

import pytest
import torch
from torch import Tensor, nn

from tests.worker.explaining.planted import CLASSES
from worker.backbones.building import build_network
from worker.backbones.trained import TrainedNetwork
from worker.explaining.folded import folded, images_at_once, quickened

CPU = torch.device("cpu")


def noise(count: int = 2, size: int = 64) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def settled(name: str) -> TrainedNetwork:
    """A network of the catalogue whose batch norms have statistics of their own."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network(name, classes=3, dropout=0.2, image_size=64)
        network.train()
        with torch.no_grad():
            network(noise(8))
    return TrainedNetwork(network.eval().requires_grad_(False), CLASSES, name, 64, CPU)


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("tf_efficientnet_lite0", 40),
        ("resnet18", 20),
        ("mobilenet_v3_small", 30),
        ("small_cnn", 4),
        ("densenet121", 58),
    ],
)
def test_networks_of_the_catalogue_lose_their_norms_and_keep_their_answers(name: str, least: int) -> None:
    trained = settled(name)
    before = trained.logits(noise())
    quick, logits, answers = quickened(trained, noise())

    def norms(network: nn.Module) -> int:
        return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())

    assert norms(trained.network) - norms(quick.network) >= least
    torch.testing.assert_close(logits, before)
    torch.testing.assert_close(answers, before.softmax(1), atol=1e-5, rtol=0)
    torch.testing.assert_close(trained.logits(noise()), before, atol=0, rtol=0)


class ReadTwice(nn.Module):
    """What the convolution gives is used beside the norm as well: folding would be wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 1)
        self.norm = nn.BatchNorm2d(3)
        self.norm.running_mean = torch.tensor([5.0, 0.0, -5.0])

    def forward(self, batch: Tensor) -> Tensor:
        raw = self.convolution(batch)
        return (self.norm(raw) + raw).mean((2, 3))


class ReluFirst(nn.Module):
    """In place, this would eat its own input."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, batch: Tensor) -> Tensor:
        return (self.relu(batch) - batch).mean((2, 3)) * 9


@pytest.mark.parametrize("kind", [ReadTwice, ReluFirst])
def test_a_wrong_fold_is_dropped(kind: type[nn.Module]) -> None:
    network = kind().eval().requires_grad_(False)
    trained = TrainedNetwork(network, CLASSES, "small_cnn", 64, CPU)
    batch = noise()
    kept = batch.clone()
    before = trained.logits(batch)
    wrong, _ = folded(network, batch)
    assert not torch.allclose(wrong(batch.clone()), before)

    quick, _, answers = quickened(trained, batch)

    torch.testing.assert_close(quick.logits(batch), before)
    torch.testing.assert_close(answers, before.softmax(1))
    assert torch.equal(batch, kept)


def test_fewer_large_images_at_once() -> None:
    assert [images_at_once(noise(1, size)) for size in (32, 64, 128, 224, 448)] == [32, 32, 12, 4, 4]
