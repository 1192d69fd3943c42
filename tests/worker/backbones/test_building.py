"""Every catalogue entry: built as its library builds it, cut before the head, trained in parts."""

import pytest
import timm
import torch
import torchvision
from torch import nn

from service.errors import UnknownBackbone
from service.specs.backbones import CATALOGUE
from tests.worker.backbones.networks import BUILTIN, IMAGES, LARGE, images, network
from worker.backbones.building import build_network
from worker.backbones.parts import (
    body_of,
    enter_training_mode,
    features,
    freeze_all_but,
    head_of,
    is_decayed,
    memory_format,
    trainable_modules,
    without_inplace,
)

EVERY = [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in IMAGES]
CONVOLUTIONAL = [
    pytest.param(name, marks=pytest.mark.slow if name in LARGE else ())
    for name, entry in CATALOGUE.items()
    if entry.architecture == "cnn" and name not in BUILTIN
]


@pytest.mark.parametrize("name", sorted(set(IMAGES) - BUILTIN))
def test_state_dict_is_that_of_the_library(name: str) -> None:
    entry = CATALOGUE[name]
    with torch.device("meta"):
        ours = build_network(name, classes=1000, dropout=0.3, image_size=entry.input_size)
        theirs = timm.create_model(name) if entry.source == "timm" else torchvision.models.get_model(name)

    shapes = {key: value.shape for key, value in theirs.state_dict().items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == shapes
    assert sum(parameter.numel() for parameter in ours.parameters()) == entry.parameters


@pytest.mark.parametrize("name", EVERY)
def test_head_of_features_is_the_network(name: str) -> None:
    built, batch = network(name), images(name)
    with torch.inference_mode():
        whole, inner = built(batch), features(built, batch, name)
        head = head_of(built, name)

        assert whole.shape == (2, 3)
        assert torch.equal(head(inner), whole)
    assert head.out_features == 3
    assert head_of(built, name) is head, "cutting must leave the network as it was"


def test_features_come_before_dropout() -> None:
    built, batch = network("small_cnn", dropout=0.9), images("small_cnn")
    expected = features(built, batch, "small_cnn")
    head_of(built, "small_cnn").train()

    assert torch.equal(features(built, batch, "small_cnn"), expected)
    assert not torch.equal(built(batch), built(batch))


def test_body_shares_every_weight() -> None:
    built = network("small_cnn")
    body = body_of(built, "small_cnn")
    own = {id(parameter) for parameter in body.parameters()}

    assert own < {id(parameter) for parameter in built.parameters()}


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_last_stage_is_what_works_at_the_last_resolution(name: str) -> None:
    built = network(name)
    stage = trainable_modules(built, name, "last_stage")
    inside = {id(module) for part in stage for module in part.modules()}
    sides: list[tuple[nn.Module, int]] = []
    for module in built.modules():
        if module in stage or (not list(module.children()) and list(module.parameters())):
            module.register_forward_hook(
                lambda module, _inputs, output: sides.append((module, output.shape[-1])) if output.ndim == 4 else None
            )
    with torch.inference_mode():
        built(images(name, 1))

    seen = [(module, side) for module, side in sides if side > 1 or module in stage]
    last = min(side for module, side in seen if module in stage and side > 1)
    outside = [side for module, side in seen if id(module) not in inside]
    assert outside
    assert min(outside) > last
    assert all(side in (1, last) for module, side in seen if module in stage)


@pytest.mark.parametrize(
    ("name", "frozen_prefix"), [("swin_t", "features.5"), ("simple_nn", ""), ("small_cnn", "block3")]
)
def test_last_stage_of_the_others(name: str, frozen_prefix: str) -> None:
    built = network(name)
    freeze_all_but(built, trainable_modules(built, name, "last_stage"))
    frozen = [key for key, parameter in built.named_parameters() if not parameter.requires_grad]

    assert bool(frozen) == bool(frozen_prefix)
    assert not frozen or frozen[-1].startswith(frozen_prefix)


def test_frozen_parts_are_in_evaluation_mode() -> None:
    built = network("small_cnn")
    head = head_of(built, "small_cnn")
    before = {key: value.clone() for key, value in built.state_dict().items()}

    enter_training_mode(built, [head])
    built(images("small_cnn"))

    assert head.training
    assert all(torch.equal(before[key], value) for key, value in built.state_dict().items())


def test_decay_spares_norms_biases_and_embeddings() -> None:
    with torch.device("meta"):
        built = build_network("vit_b_16", classes=2, dropout=0.0, image_size=224)
    spared = {key for key, parameter in built.named_parameters() if not is_decayed(key, parameter)}

    assert {"class_token", "encoder.pos_embedding", "heads.head.bias", "encoder.ln.weight"} <= spared
    assert {key for key in spared if key.endswith("weight")} == {
        key for key in spared if "ln" in key and "weight" in key
    }
    assert "conv_proj.weight" not in spared


def test_dropout_of_vgg_is_everywhere_the_asked_for() -> None:
    with torch.device("meta"):
        built = build_network("vgg11", classes=2, dropout=0.3, image_size=64)

    assert [module.p for module in built.modules() if isinstance(module, nn.Dropout)] == [0.3]
    assert head_of(built, "vgg11").dropout == 0.3


def test_no_activation_works_in_place() -> None:
    built = without_inplace(network("resnet18"))
    assert not any(getattr(module, "inplace", False) for module in built.modules())


def test_simple_nn_is_as_documented() -> None:
    built = build_network("simple_nn", classes=5, dropout=0.3, image_size=8)
    assert sum(parameter.numel() for parameter in built.parameters()) == 3 * 64 * 128 + 128 + 128 * 5 + 5


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownBackbone):
        build_network("resnet19", classes=2, dropout=0.0, image_size=64)


def test_gpus_have_channels_last_for_whatever_convolves() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    for name in IMAGES:
        convolves = CATALOGUE[name].architecture == "cnn"
        assert (memory_format(name, gpu) == torch.channels_last) == convolves
        assert (memory_format(name, cpu) == torch.channels_last) == CATALOGUE[name].channels_last
