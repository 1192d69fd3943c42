"""Every catalogue entry, cut where its last stage begins: the two parts do what the whole does."""

import pytest
import torch
from torch import Tensor, nn

from tests.worker.backbones.networks import IMAGES, LARGE, images, network
from worker.backbones.cut import Cut, cut_before_last_stage
from worker.backbones.parts import enter_training_mode, freeze_all_but, trainable_modules

SLOW = LARGE - {"vit_b_16"}
CUTTABLE = [
    pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in IMAGES if name != "simple_nn"
]


def cut(built: nn.Module, name: str) -> Cut:
    made = cut_before_last_stage(built, name)
    assert made is not None
    made.frozen.eval()
    return made


def gradients(learned: nn.Module, parts: list[nn.Module], inputs: Tensor) -> dict[str, Tensor]:
    """Of the trained parts, after one backward from training mode; batch statistics move as in training.

    Weights do not: nothing steps.
    """
    freeze_all_but(learned, parts)
    enter_training_mode(learned, parts)
    torch.manual_seed(3)
    learned(inputs).square().sum().backward()
    made = {name: value.grad for name, value in learned.named_parameters() if value.grad is not None}
    learned.zero_grad(set_to_none=True)
    return made


@pytest.mark.parametrize("name", CUTTABLE)
def test_the_parts_one_after_another_are_the_network(name: str) -> None:
    built, batch = network(name), images(name)
    parts = cut(built, name)
    with torch.inference_mode():
        whole = built(batch)
        assert torch.equal(parts.rest(parts.frozen(batch)), whole)
        assert torch.equal(built(batch), whole), "cutting must leave the network as it was"


@pytest.mark.parametrize("name", CUTTABLE)
def test_the_rest_learns_what_the_network_would(name: str) -> None:
    built, batch = network(name, dropout=0.3), images(name)
    parts = cut(built, name)
    trained = trainable_modules(built, name, "last_stage")
    with torch.no_grad():
        activations = parts.frozen(batch)
    start = {key: value.clone() for key, value in built.named_buffers()}

    expected = gradients(built, trained, batch)
    moved = {key: value.clone() for key, value in built.named_buffers()}
    built.load_state_dict(start, strict=False)
    found = gradients(parts.rest, trained, activations)

    assert found.keys() == expected.keys()
    for key, value in expected.items():
        same = torch.equal(found[key], value)  # at no cost for the hundred million weights of a VGG
        assert same or torch.allclose(found[key], value, rtol=1.3e-6, atol=1e-5), key
    for key, value in built.named_buffers():
        torch.testing.assert_close(value, moved[key])


@pytest.mark.parametrize("name", CUTTABLE)
def test_only_what_is_frozen_lies_before_the_cut(name: str) -> None:
    with torch.device("meta"):
        built = network(name)
    parts = cut(built, name)
    trained = {id(value) for part in trainable_modules(built, name, "last_stage") for value in part.parameters()}
    frozen = {id(value) for value in parts.frozen.parameters()}

    assert frozen | trained == {id(value) for value in built.parameters()}
    assert not frozen & trained


@pytest.mark.parametrize("name", CUTTABLE)
def test_the_rest_has_the_state_of_the_network(name: str) -> None:
    with torch.device("meta"):
        built = network(name)
    whole, rest = built.state_dict(keep_vars=True), cut(built, name).rest.state_dict(keep_vars=True)

    assert list(rest) == list(whole)
    assert all(rest[key] is value for key, value in whole.items())


def test_a_network_that_is_trained_from_its_first_weights_on_is_not_cut() -> None:
    assert cut_before_last_stage(network("simple_nn"), "simple_nn") is None
