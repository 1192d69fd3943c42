"""Tiny inputs for catalogue networks."""

import torch
from torch import Tensor, nn

from service.specs.backbones import CATALOGUE, entries_for
from worker.backbones.building import build_network

IMAGES = [entry.name for entry in entries_for("image_classification")]
LARGE = {"vgg11", "vgg16", "vgg19", "resnet101", "convnext_small", "efficientnet_b3", "efficientnet_b4", "vit_b_16"}
BUILTIN = {"simple_nn", "small_cnn"}


def side(name: str) -> int:
    """Pixels a side that every network takes, and that keep it fast."""
    return 224 if CATALOGUE[name].fixed_input_size else 64


def network(name: str, *, classes: int = 3, dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    return build_network(name, classes=classes, dropout=dropout, image_size=side(name)).eval()


def images(name: str, count: int = 2) -> Tensor:
    return torch.randn(count, 3, side(name), side(name), generator=torch.Generator().manual_seed(1))
