"""Each regulariser changes training as its paper says."""

import math
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay
from torch import nn
from torchvision.ops import StochasticDepth

from service.specs.backbones import CATALOGUE
from service.specs.jobs import TrainingSpec
from tests.worker.backbones.networks import IMAGES
from tests.worker.training.orders import RecordingSink, order, spec
from tests.worker.training.toys import linear_setting, trained_for
from worker.backbones.building import build_network
from worker.backbones.layer_depths import layer_depths
from worker.backbones.parts import Head, head_of
from worker.training.optimisation import build_optimizer, parameter_groups
from worker.training.reporting import Reporter
from worker.training.setting import Setting
from worker.training.setting_up import set_up

DEEP = sorted(name for name, entry in CATALOGUE.items() if entry.stochastic_depth is not None)


def built(name: str, **more: Any) -> nn.Module:
    return build_network(name, classes=3, dropout=0.0, image_size=CATALOGUE[name].input_size, **more)


def setting_of(folder: Path, **job: Any) -> Setting:
    return set_up(order(folder, spec(**job)), Reporter(RecordingSink(), 1))


def test_smoothed_labels_have_their_optimum_at_a_finite_gap() -> None:
    """Szegedy et al. 2016 (Müller et al. 2019): p = 1-e+e/K of the true class, e/K of each other."""
    smoothing, classes = 0.3, 4
    setting = linear_setting(torch.eye(classes), torch.arange(classes), learning_rate=2.0, label_smoothing=smoothing)
    trained_for(setting, 1500)
    with torch.no_grad():
        logits = setting.subject.head(torch.eye(classes))
    gaps = logits.diag()[:, None] - logits
    expected = math.log(classes * (1 - smoothing) / smoothing + 1)

    assert gaps[~torch.eye(classes, dtype=torch.bool)].tolist() == pytest.approx([expected] * 12, abs=1e-3)


def test_balanced_weights_make_rare_classes_count_as_much() -> None:
    """With features that say nothing, the answer is the weighted class share: one half, whatever the counts."""
    features, targets = torch.ones(12, 1), torch.tensor([0] * 9 + [1] * 3)
    shares = {}
    for weights in ("none", "balanced"):
        setting = linear_setting(features, targets, learning_rate=1.0, class_weights=weights)
        trained_for(setting, 400)
        with torch.no_grad():
            shares[weights] = setting.subject.head(features[:1]).softmax(1)[0, 1].item()

    assert shares == {"none": pytest.approx(0.25, abs=1e-3), "balanced": pytest.approx(0.5, abs=1e-3)}


def test_dropout_keeps_the_expectation_and_drops_its_share() -> None:
    """Srivastava et al. 2014, inverted: units are dropped with probability p, the others scaled by 1/(1-p)."""
    head = Head(1, 1, dropout=0.3)
    nn.init.ones_(head.weight)
    nn.init.zeros_(head.bias)
    torch.manual_seed(0)
    head.train()
    made = head(torch.ones(20_000, 1)).detach()

    assert sorted(set(made.flatten().tolist())) == pytest.approx([0.0, 1 / 0.7])
    assert (made == 0).float().mean().item() == pytest.approx(0.3, abs=0.013)
    assert head.eval()(torch.ones(1, 1)).item() == 1.0


@pytest.mark.parametrize("name", DEEP)
def test_stochastic_depth_has_the_builders_rates_or_those_asked_for(name: str) -> None:
    with torch.device("meta"):
        networks = {rate: built(name, stochastic_depth=rate) for rate in (None, 0.0, 0.6)}
    rates = {rate: branch_rates(network) for rate, network in networks.items()}
    default = CATALOGUE[name].stochastic_depth

    # Rates rise linearly with depth; EfficientNets stop one block short of the full rate.
    assert rates[0.6] == sorted(rates[0.6])
    assert 0.6 * 14 / 16 < rates[0.6][-1] <= 0.6
    assert not any(rates[0.0])
    if default:
        assert rates[None] == pytest.approx([rate / 0.6 * default for rate in rates[0.6]])
    else:
        assert not any(rates[None])


def branch_rates(network: nn.Module) -> list[float]:
    torchvisions = [module.p for module in network.modules() if isinstance(module, StochasticDepth)]
    timms = [module.drop_prob for module in network.modules() if isinstance(module, timm.layers.DropPath)]
    return torchvisions + timms


@pytest.mark.parametrize(
    ("name", "block", "channels"),
    [("convnext_tiny", "features.7.2", 768), ("tf_efficientnet_lite0", "blocks.5.3", 192)],
)
def test_stochastic_depth_drops_a_branch_with_its_rate_and_keeps_the_expectation(
    name: str, block: str, channels: int
) -> None:
    """Huang et al. 2016: whole branches, sample by sample; the identity in evaluation."""
    torch.manual_seed(0)
    residual = built(name, stochastic_depth=0.5).get_submodule(block).eval()
    [drop] = [module for module in residual.modules() if isinstance(module, StochasticDepth | timm.layers.DropPath)]
    rate = drop.p if isinstance(drop, StochasticDepth) else float(drop.drop_prob)
    if name.startswith("convnext"):
        nn.init.ones_(residual.layer_scale)  # type: ignore[arg-type]
    images = torch.randn(1, channels, 1, 1).expand(3000, -1, -1, -1)
    with torch.inference_mode():
        branch = (residual(images) - images)[0]
        drop.train()
        torch.manual_seed(1)
        branches = residual(images) - images
    dropped = branches.abs().amax((1, 2, 3)) < 1e-6

    assert 0.35 < rate <= 0.5
    assert dropped.float().mean().item() == pytest.approx(rate, abs=0.04)
    kept = branches[~dropped]
    torch.testing.assert_close(kept, (branch / (1 - rate)).expand_as(kept), atol=1e-4, rtol=1e-4)


def test_stochastic_depth_reaches_the_network_of_a_trial(tmp_path: Path) -> None:
    setting = setting_of(tmp_path, backbone={"name": "efficientnet_b0", "weights": "none", "stochastic_depth": 0.8})
    assert max(branch_rates(setting.learned)) == pytest.approx(0.8 * 15 / 16)


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18", "resnet50"])
def test_layer_decay_is_timms(name: str) -> None:
    """timm follows BEiT (Bao et al. 2021); its ResNets have the parameter names of torchvision's."""
    with torch.device("meta"):
        ours, theirs = built(name), timm.create_model(name, num_classes=3)
    expected = {
        id(parameter): group["lr_scale"]
        for group in param_groups_layer_decay(theirs, layer_decay=0.7)
        for parameter in group["params"]
    }
    scales = {key: expected[id(parameter)] for key, parameter in theirs.named_parameters()}

    assert rates_of(ours, name, TrainingSpec(learning_rate=1.0, layer_decay=0.7)) == pytest.approx(scales)


@pytest.mark.parametrize(
    ("name", "timms"),
    [
        ("efficientnet_b0", "efficientnet_b0"),
        ("mobilenet_v3_small", "mobilenetv3_small_100"),
        ("mobilenet_v3_large", "mobilenetv3_large_100"),
        ("densenet121", "densenet121"),
        ("convnext_tiny", "convnext_tiny"),
        ("vit_b_16", "vit_base_patch16_224"),
        ("swin_t", "swin_tiny_patch4_window7_224"),
    ],
)
def test_layers_are_as_many_as_timm_counts(name: str, timms: str) -> None:
    with torch.device("meta"):
        ours, theirs = built(name), timm.create_model(timms)
    counted = timm.models.group_parameters(theirs, theirs.group_matcher(), reverse=True)
    assert max(layer_depths(ours, name).values()) == max(counted.values())


@pytest.mark.parametrize("name", sorted(IMAGES))
def test_layers_count_from_the_head_without_a_gap(name: str) -> None:
    with torch.device("meta"):
        network = built(name)
    depths = layer_depths(network, name)
    names = [key for key, _ in network.named_parameters()]

    assert depths.keys() == set(names)
    assert set(depths.values()) == set(range(max(depths.values()) + 1))
    head = {id(parameter) for parameter in head_of(network, name).parameters()}
    assert {key for key in names if depths[key] == 0} == {k for k, p in network.named_parameters() if id(p) in head}
    # Blocks are named in the order that they work in.
    blocks = [depths[key] for key in names if key not in ("class_token", "encoder.pos_embedding")]
    assert blocks == sorted(blocks, reverse=True)


def test_layer_decay_scales_the_steps_that_are_taken() -> None:
    network = built("small_cnn")
    training = TrainingSpec(
        optimizer="sgd", learning_rate=0.5, backbone_learning_rate=0.1, layer_decay=0.5, weight_decay=0.0
    )
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    optimizer = build_optimizer(groups_of(network, "small_cnn", training), training)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    for group in optimizer.param_groups:
        group["lr"] = group["base_rate"]
    optimizer.step()

    for name, parameter in network.named_parameters():
        below = 0 if name.startswith("head") else 5 - int(name[5])
        rate = 0.1 * 0.5**below if below else 0.5
        torch.testing.assert_close(parameter.detach(), before[name] - rate)


def groups_of(network: nn.Module, name: str, training: TrainingSpec) -> list[dict[str, Any]]:
    by_name = layer_depths(network, name)
    depths = {id(parameter): by_name[key] for key, parameter in network.named_parameters()}
    return parameter_groups(network, head_of(network, name), training, depths=depths)


def rates_of(network: nn.Module, name: str, training: TrainingSpec) -> dict[str, float]:
    names = {id(parameter): key for key, parameter in network.named_parameters()}
    groups = groups_of(network, name, training)
    return {names[id(parameter)]: group["base_rate"] for group in groups for parameter in group["params"]}
