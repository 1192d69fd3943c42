"""Catalogue name → network with a new head, with or without pretrained weights."""

import re
from collections import OrderedDict
from collections.abc import Mapping

import timm
import torchvision
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from service.errors import ArtifactCorrupt, UnknownBackbone
from service.specs.backbones import CATALOGUE
from worker.backbones.parts import Head, head_path
from worker.backbones.sources import WeightSources
from worker.backbones.weights import pretrained_state

_DENSENET_KEYS = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.(?:weight|bias|running_mean|running_var))$")  # fmt: skip  # noqa: E501


def build_network(
    name: str, *, classes: int, dropout: float, image_size: int, stochastic_depth: float | None = None
) -> nn.Module:
    """A randomly initialised network of catalogue entry `name`: [n, 3, s, s] → logits [n, classes].

    `dropout` acts before the last linear layer, for VGG between its three linear layers too. `image_size` is in
    pixels per side; `simple_nn` and networks of a fixed size depend on it. `stochastic_depth` is the rate at which
    training drops residual branches (Huang et al. 2016), rising linearly with depth to it; None is what the
    library's own builder takes, as the catalogue says.

    Raises:
        UnknownBackbone: no such entry.
    """
    entry = CATALOGUE.get(name)
    if entry is None or entry.problem != "image_classification":
        raise UnknownBackbone("There is no image backbone of that name in the catalogue.")
    if name == "simple_nn":
        return _simple_nn(classes, dropout, image_size)
    if name == "small_cnn":
        return _small_cnn(classes, dropout)
    network: nn.Module
    if entry.source == "timm":
        network = timm.create_model(
            name, pretrained=False, num_classes=classes, drop_path_rate=stochastic_depth or entry.stochastic_depth
        )
    else:
        size = {"image_size": image_size} if name.startswith("vit") else {}
        network = torchvision.models.get_model(name, weights=None, num_classes=classes, **size)
        if stochastic_depth is not None and entry.stochastic_depth:
            _scale_stochastic_depth(network, stochastic_depth / entry.stochastic_depth)
    return _with_head(network, name, dropout)


def load_pretrained(network: nn.Module, name: str, sources: WeightSources) -> None:
    """Fills everything but the head with pretrained weights, in place.

    Raises:
        UnknownBackbone: none at hand for `name`.
        ArtifactCorrupt: the weights do not fit the network, or their digest is not the published one.
    """
    state, in_order = pretrained_state(name, sources)
    own = network.state_dict()
    head = head_path(name) + "."
    if in_order:
        state = _renamed_in_order(own, state)
    if name.startswith("densenet"):
        state = {_DENSENET_KEYS.sub(r"\1\2", key): value for key, value in state.items()}
    state = {key: value for key, value in state.items() if not key.startswith(head)}
    wanted = {key: value.shape for key, value in own.items() if not key.startswith(head)}
    # Batch counters were added to batch norm later; old checkpoints lack them and inference ignores them.
    missing = [key for key in wanted.keys() - state.keys() if not key.endswith("num_batches_tracked")]
    if missing or {key for key, value in state.items() if wanted.get(key) != value.shape}:
        raise ArtifactCorrupt(f"The pretrained weights at hand for {name} do not fit its network.")
    network.load_state_dict(state, strict=False)


def _renamed_in_order(own: Mapping[str, Tensor], packaged: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Packaged values under our names: the same tensors in the same order, under the original names."""
    if len(own) != len(packaged):
        raise ArtifactCorrupt("The packaged weights do not have the tensors of their network.")
    return dict(zip(own, packaged.values(), strict=True))


def _with_head(network: nn.Module, name: str, dropout: float) -> nn.Module:
    """The network with its last linear layer replaced by a `Head`, every dropout beside it set or removed."""
    parent_path, _, last = head_path(name).rpartition(".")
    parent = network.get_submodule(parent_path)
    old = parent.get_submodule(last)
    assert isinstance(old, nn.Linear)
    for child_name, child in parent.named_children():
        if isinstance(child, nn.Dropout):
            is_next_to_head = int(child_name) == int(last) - 1
            setattr(parent, child_name, nn.Identity() if is_next_to_head else nn.Dropout(dropout))
    setattr(parent, last, Head(old.in_features, old.out_features, dropout=dropout))
    return network


def _scale_stochastic_depth(network: nn.Module, factor: float) -> None:
    """Rates of torchvision are shares of one number, which not all of its builders let through."""
    for module in network.modules():
        if isinstance(module, StochasticDepth):
            module.p *= factor


def _simple_nn(classes: int, dropout: float, image_size: int) -> nn.Module:
    """Flatten → 128 → ReLU → dropout → classes."""
    layers: list[tuple[str, nn.Module]] = [
        ("flatten", nn.Flatten()),
        ("hidden", nn.Linear(3 * image_size * image_size, 128)),
        ("activation", nn.ReLU()),
        ("head", Head(128, classes, dropout=dropout)),
    ]
    return nn.Sequential(OrderedDict(layers))


def _small_cnn(classes: int, dropout: float) -> nn.Module:
    """Four blocks of 3x3 convolution, batch norm, ReLU and 2x2 max pooling; global average; head. 0.4 M weights."""
    layers: list[tuple[str, nn.Module]] = []
    before = 3
    for number, width in enumerate((32, 64, 128, 256), start=1):
        convolution = nn.Conv2d(before, width, 3, padding=1, bias=False)
        block = nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2))
        layers.append((f"block{number}", block))
        before = width
    pooling: list[tuple[str, nn.Module]] = [("pool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten())]
    return nn.Sequential(OrderedDict([*layers, *pooling, ("head", Head(before, classes, dropout=dropout))]))
