"""The layer is found in every network of the catalogue, and its output becomes a grid."""

import pytest
import torch
from torch import Tensor
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer

from service.errors import ExplanationUnsupported, Invalid
from service.specs.backbones import CATALOGUE
from tests.worker.backbones.networks import IMAGES
from worker.backbones.building import build_network
from worker.explaining.grad_cam import grad_cams
from worker.explaining.layers import LayerFinder, SpatialLayer, find_layer, named_layer, to_grid

QUICK = {"tf_efficientnet_lite0": 64, "resnet18": 64, "resnet50": 64, "mobilenet_v3_small": 64, "small_cnn": 64}
SLOW = [name for name in IMAGES if name not in QUICK and name != "simple_nn"]
SIDES = {"tf_efficientnet_lite0": 4, "resnet18": 4, "resnet50": 4, "mobilenet_v3_small": 4, "small_cnn": 8}


def noise(size: int, count: int = 1) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def maps_of(name: str, size: int) -> Tensor:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network(name, classes=3, dropout=0.0, image_size=size).eval().requires_grad_(False)
    layer = find_layer(network, CATALOGUE[name].architecture, noise(size))
    _, maps = grad_cams(network, layer, noise(size), lambda _logits: torch.tensor([[0, 1, 2]]))
    assert float((maps.amax((2, 3)) - maps.amin((2, 3))).max()) > 0, "all maps are flat"
    return maps


@pytest.mark.parametrize("name", QUICK)
def test_small_images_take_one_resolution_before_the_last(name: str) -> None:
    assert maps_of(name, QUICK[name]).shape[2:] == (SIDES[name], SIDES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_every_network_of_the_catalogue(name: str) -> None:
    assert min(maps_of(name, CATALOGUE[name].input_size).shape[2:]) >= 7


def test_pretrained_size_takes_the_very_last_map() -> None:
    network = build_network("tf_efficientnet_lite0", classes=3, dropout=0.0, image_size=224).eval()
    assert find_layer(network, "cnn", noise(224)) == SpatialLayer("bn2")


def tiny_vit() -> VisionTransformer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=3)
        torch.nn.init.normal_(network.heads.head.weight)
    return network.eval().requires_grad_(False)


def test_vit_looks_before_the_last_attention() -> None:
    network = tiny_vit()
    layer = find_layer(network, "vit", noise(32))
    _, maps = grad_cams(network, layer, noise(32, 2), lambda _logits: torch.tensor([[0, 1, 2]] * 2))
    assert layer.name == "encoder.layers.encoder_layer_1.ln_1"
    assert maps.shape == (2, 3, 4, 4)
    assert float(maps.amax((2, 3)).max()) > 0

    # the trap: behind the last attention the patches have no gradient at all
    blind = SpatialLayer("encoder.layers.encoder_layer_1.ln_2")
    _, nothing = grad_cams(network, blind, noise(32), lambda _logits: torch.tensor([[0, 1, 2]]))
    assert float(nothing.abs().max()) == 0


def test_swin_keeps_rows_and_columns_in_place() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SwinTransformer([4, 4], 16, [2, 2], [2, 4], [4, 4], num_classes=3, stochastic_depth_prob=0.0)
    network.eval().requires_grad_(False)
    assert find_layer(network, "swin", noise(32)) == SpatialLayer(
        "features.1.1.norm2", "channels_last"
    )  # 4x4 is coarse
    layer = find_layer(network, "swin", noise(64))
    _, maps = grad_cams(network, layer, noise(64), lambda _logits: torch.tensor([[0, 1, 2]]))
    assert layer == SpatialLayer("features.3.1.norm2", "channels_last")
    assert maps.shape == (1, 3, 8, 8)
    assert float(maps.max()) > 0


@pytest.mark.parametrize("spare", [0, 1, 5])
def test_tokens_lose_what_stands_before_the_patches(spare: int) -> None:
    patches = torch.arange(16.0).view(1, 16, 1)
    tokens = torch.cat([torch.full((1, spare, 1), -1.0), patches], dim=1)
    assert to_grid(tokens, SpatialLayer("x")).flatten().tolist() == list(range(16))


def test_what_has_no_grid() -> None:
    for output in (torch.zeros(2, 5), torch.zeros(2, 5, 1, 1), [torch.zeros(2, 5, 4, 4)]):
        with pytest.raises(ExplanationUnsupported):
            to_grid(output, SpatialLayer("x"))
    network = build_network("simple_nn", classes=3, dropout=0.0, image_size=32)
    with pytest.raises(ExplanationUnsupported):
        find_layer(network, "mlp", noise(32))


def test_named_layers() -> None:
    network = tiny_vit()
    assert named_layer(network, "vit", "encoder.ln") == SpatialLayer("encoder.ln")
    for name in ("", "encoder.nothing"):
        with pytest.raises(Invalid) as caught:
            named_layer(network, "vit", name)
        assert caught.value.errors[0].loc == ("parameters", "layer")


def test_finder_remembers_weakly() -> None:
    finder = LayerFinder()
    network = build_network("small_cnn", classes=3, dropout=0.0, image_size=64).eval()
    assert finder.find(network, "cnn", noise(64)) is finder.find(network, "cnn", noise(64))
    del network
    assert len(finder._found) == 0
