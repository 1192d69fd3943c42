import pytest
import torch
from torch import nn

from worker.training.moving_average import MovingAverage


def test_weights_and_statistics_follow_the_closed_form() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = MovingAverage(network, 0.7)
    weight, variance = network[0].weight, network.get_buffer("1.running_var")
    expected = [weight.detach().clone(), variance.clone()]
    generator = torch.Generator().manual_seed(0)
    for step in range(50):
        with torch.no_grad():
            weight.copy_(torch.randn(2, 2, generator=generator))
            variance.copy_(torch.rand(2, generator=generator))
        network.get_buffer("1.num_batches_tracked").add_(1)
        average.update(network, step)
        decay = min(0.7, (1 + step) / (10 + step))
        expected = [
            decay * old + (1 - decay) * new for old, new in zip(expected, (weight.detach(), variance), strict=True)
        ]

    torch.testing.assert_close(average.network.get_parameter("0.weight").detach(), expected[0])
    torch.testing.assert_close(average.network.get_buffer("1.running_var"), expected[1])
    assert int(average.network.get_buffer("1.num_batches_tracked")) == 50


def test_a_still_network_is_its_average() -> None:
    network = nn.Linear(2, 2)
    average = MovingAverage(network, 0.9)
    for step in range(10):
        average.update(network, step)
    torch.testing.assert_close(average.network.get_parameter("weight").detach(), network.weight.detach())
    assert not any(parameter.requires_grad for parameter in average.network.parameters())


def test_the_random_start_is_forgotten_soon() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    average = MovingAverage(network, 0.999)
    nn.init.ones_(network.weight)
    for step in range(60):
        average.update(network, step)
    assert average.network.get_parameter("weight").item() == pytest.approx(1.0, abs=1e-4)
