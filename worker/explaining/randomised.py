"""A network that has learned nothing: the same architecture with weights drawn anew (Adebayo et al. 2018)."""

import copy
import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

CALIBRATION_IMAGES = 8
Network = TypeVar("Network", bound=nn.Module)


def randomised(network: nn.Module, image_size: int, generator: torch.Generator) -> nn.Module:
    """A copy of the network with weights drawn anew, in eval mode on the same device.

    Batch norms take their statistics from a few images of noise, so that activations neither vanish nor explode.
    Sends `CALIBRATION_IMAGES` images through the copy; the original is only read.

    Args:
        network: what to copy.
        image_size: s.
        generator: of the CPU; the same state gives the same network.
    """
    other = redrawn(network, generator)
    for module in other.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
    _calibrate(other, torch.randn(CALIBRATION_IMAGES, 3, image_size, image_size, generator=generator))
    return other.eval()


def redrawn(network: Network, generator: torch.Generator) -> Network:
    """A frozen copy of the network with weights drawn anew, in its mode; norms scale by one and shift by nothing."""
    other = copy.deepcopy(network).requires_grad_(False)
    for module in other.modules():
        for name, parameter in module.named_parameters(recurse=False):
            parameter.copy_(_draw(module, name, parameter, generator))
    return other


def _draw(module: nn.Module, name: str, parameter: Tensor, generator: torch.Generator) -> Tensor:
    if parameter.ndim < 2:
        return torch.ones_like(parameter) if name == "weight" else torch.zeros_like(parameter)
    fan_in = parameter[0].numel()
    scale = math.sqrt(2 / fan_in) if isinstance(module, nn.Linear | nn.modules.conv._ConvNd) else 0.02
    return scale * torch.randn(parameter.shape, generator=generator)


def _calibrate(network: nn.Module, noise: Tensor) -> None:
    network.eval()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.train()
            module.momentum = 1.0
    parameter = next(network.parameters())
    with torch.inference_mode():
        network(noise.to(parameter))
