"""Which layer Grad-CAM looks at, and how its output becomes a grid."""

import math
import threading
from dataclasses import dataclass
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from service.errors import ExplanationUnsupported, Fault, Invalid
from service.specs.backbones import Architecture
from worker.explaining.private_copy import private_copy

FINE_SIDE = 7
"""Where the last map has fewer cells a side (small images), the last map of the resolution before it is taken: on a
tuned `tf_efficientnet_lite0` at 64 px this raised pointing at a planted patch from 0.02 (2x2 cells) to 0.82 (4x4).
One resolution only: two before (8x8), the same network gave 0.27, as those layers do not know classes yet."""

Layout = Literal["channels_first", "channels_last"]
_POOLING = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_LAST_NORM = {"vit": ("ln_1", "norm1"), "swin": ("norm2",)}


@dataclass(frozen=True)
class SpatialLayer:
    """A module by its dotted name, and where its output keeps the channels."""

    name: str
    layout: Layout = "channels_first"


def to_grid(output: object, layer: SpatialLayer) -> Tensor:
    """A layer's output as [n, k, h, w], of whichever shape: maps, channels-last maps, or tokens.

    Of tokens [n, p, k] the largest square of patches at the end is kept; class and register tokens stand before it.

    Raises:
        ExplanationUnsupported: no spatial layout can be seen in it.
    """
    if isinstance(output, Tensor) and output.ndim == 4 and output.is_floating_point():
        grid = output.permute(0, 3, 1, 2) if layer.layout == "channels_last" else output
        if grid.shape[2] * grid.shape[3] > 1:
            return grid
    if isinstance(output, Tensor) and output.ndim == 3 and output.shape[1] > 1 and output.is_floating_point():
        side = math.isqrt(output.shape[1])
        patches = output[:, output.shape[1] - side * side :]
        return patches.transpose(1, 2).reshape(len(output), output.shape[2], side, side)
    raise ExplanationUnsupported("The layer's output has no rows and columns that a map could be drawn on.")


class LayerFinder:
    """Finds the layer to look at; remembers what it found for each network.

    Safe to share between threads. Networks are remembered weakly.
    """

    def __init__(self) -> None:
        self._found: WeakKeyDictionary[nn.Module, SpatialLayer] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def find(self, network: nn.Module, architecture: Architecture, image: Tensor) -> SpatialLayer:
        """The last layer that still has rows and columns: see `find_layer`."""
        with self._lock:
            found = self._found.get(network)
        if found is None:
            found = find_layer(network, architecture, image)
            with self._lock:
                self._found[network] = found
        return found


def find_layer(network: nn.Module, architecture: Architecture, image: Tensor) -> SpatialLayer:
    """The last layer that still has rows and columns.

    CNN: the last map that is not merely pooled from another, seen by sending one image through; see `FINE_SIDE`.
    ViT: the norm before the last attention, as behind it only the class token still matters and the patches' gradient
    is exactly zero. Swin: the norm before the last feed-forward layer; see `FINE_SIDE` as well.

    Args:
        network: answers logits.
        architecture: as the catalogue says.
        image: [1, 3, s, s], any normalised image.

    Raises:
        ExplanationUnsupported: the network has no such layer.
    """
    suffixes = _LAST_NORM.get(architecture)
    names = [name for name, _ in network.named_modules() if suffixes is None or name.rsplit(".", 1)[-1] in suffixes]
    if architecture == "vit" and names:
        return SpatialLayer(names[-1])
    layout: Layout = "channels_last" if architecture == "swin" else "channels_first"
    maps = _maps(network, image, [SpatialLayer(name, layout) for name in names if name])
    if not maps:
        raise ExplanationUnsupported("No layer of this network keeps the rows and columns of the image.")
    return _last_map(network, image, maps)


def named_layer(network: nn.Module, architecture: Architecture, name: str) -> SpatialLayer:
    """The layer that the client named.

    Raises:
        Invalid: no module has this name.
    """
    if not name or name not in dict(network.named_modules()):
        fault = Fault(("parameters", "layer"), "unknown-layer", "No module of the network has this name.")
        raise Invalid("The layer is unknown.", errors=[fault])
    return SpatialLayer(name, "channels_last" if architecture == "swin" else "channels_first")


def _last_map(network: nn.Module, image: Tensor, maps: dict[SpatialLayer, int]) -> SpatialLayer:
    last, side = list(maps.items())[-1]
    finer = [layer for layer, its_side in reversed(maps.items()) if its_side > side]
    if side >= FINE_SIDE or not finer:
        return last
    before = [layer for layer in finer if maps[layer] == maps[finer[0]]]
    return next((layer for layer in before if _carries_all(network, layer.name, image)), before[0])


def _carries_all(network: nn.Module, name: str, image: Tensor) -> bool:
    """Whether the network's answer depends on the image through this module alone: no shortcut passes it by."""
    copy = private_copy(network)
    copy.get_submodule(name).register_forward_hook(lambda _module, _inputs, output: output.detach())
    with torch.inference_mode(False), torch.enable_grad():
        traced = image.clone().requires_grad_()
        logits = copy(traced)
        if not logits.requires_grad:
            return True
        return torch.autograd.grad(logits.sum(), traced, allow_unused=True)[0] is None


def _maps(network: nn.Module, image: Tensor, layers: list[SpatialLayer]) -> dict[SpatialLayer, int]:
    """Those of the layers whose output is a map of at least 2x2 cells, and its cells per side, as they finish."""
    copy = private_copy(network)
    seen: dict[SpatialLayer, int] = {}
    pooled: list[Tensor] = []

    def watch(layer: SpatialLayer) -> None:
        def record(module: nn.Module, _inputs: object, output: object) -> None:
            if not isinstance(output, Tensor) or output.ndim != 4:
                return
            seen.pop(layer, None)  # of a module that runs several times the last output counts
            side = min(output.shape[1:3] if layer.layout == "channels_last" else output.shape[2:])
            if isinstance(module, _POOLING):
                pooled.append(output)
            elif side > 1 and not any(output is other for other in pooled):
                seen[layer] = side

        copy.get_submodule(layer.name).register_forward_hook(record)

    for layer in layers:
        watch(layer)
    with torch.inference_mode():
        copy(image)
    return seen
