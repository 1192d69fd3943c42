"""Small networks whose reasons are known."""

import pytest
import torch
from torch import nn

from tests.worker.explaining.planted import CLASSES, planted, train
from worker.backbones.trained import TrainedNetwork

CPU = torch.device("cpu")


def convolutions() -> nn.Sequential:
    """64 px in, an 8x8 map of 48 channels, three classes."""

    def stage(before: int, after: int, stride: int) -> list[nn.Module]:
        return [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]

    body = [*stage(3, 16, 2), *stage(16, 32, 2), *stage(32, 48, 2), *stage(48, 48, 1)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 3))


@pytest.fixture(scope="session")
def untrained() -> TrainedNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = convolutions().eval().requires_grad_(False)
    return TrainedNetwork(network, CLASSES, "small_cnn", 64, CPU)


@pytest.fixture(scope="session")
def trained() -> TrainedNetwork:
    """Finds the coloured patch: every test image is answered rightly."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = convolutions()
    found = TrainedNetwork(network, CLASSES, "small_cnn", 64, CPU)
    labels = torch.arange(960) % 3
    batch = found.preprocess([planted(i, int(label))[0] for i, label in enumerate(labels)])
    assert train(network, batch, labels, epochs=6, rate=1e-2) > 0.98
    return found
