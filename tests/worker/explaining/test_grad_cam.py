"""Grad-CAM against hand computation, captum; alone, at once, and when things go wrong."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn

from service.errors import ExplanationUnsupported, Stopped
from service.specs.explanations import ExplanationSpec
from tests.worker.explaining.planted import planted
from worker.backbones.trained import TrainedNetwork
from worker.explaining.explainer import explain_images
from worker.explaining.grad_cam import grad_cam, grad_cams
from worker.explaining.layers import SpatialLayer

LAYER = "11"  # the last ReLU of `convolutions()`


def images(count: int) -> Tensor:
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(3))


def test_by_hand() -> None:
    """Two channels x, -x; logit 0 = 3 mean(x) + mean(relu(-x)), so its weights are 3/4 and 1/4."""
    layer = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.ReLU())
    layer[0].weight.data = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
    head = nn.Linear(2, 2, bias=False)
    head.weight.data = torch.tensor([[3.0, 1.0], [-1.0, 2.0]])
    network = nn.Sequential(layer, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).eval()
    image = torch.tensor([[[[4.0, 0.0], [-8.0, 2.0]]]])

    first = grad_cam(network, layer, image, torch.tensor([0]))
    second = grad_cam(network, layer, image, torch.tensor([1]))

    assert first.tolist() == [[[3.0, 0.0], [2.0, 1.5]]]
    assert second.tolist() == [[[0.0, 0.0], [4.0, 0.0]]]  # -1/4 x where x > 0: clipped


def test_equals_captum(trained: TrainedNetwork) -> None:
    batch, classes = images(6), torch.tensor([0, 1, 2, 0, 1, 2])
    layer = trained.network.get_submodule(LAYER)

    ours = grad_cam(trained.network, layer, batch, classes)

    theirs = LayerGradCam(trained.network, layer).attribute(batch.requires_grad_(), classes, relu_attributions=True)
    torch.testing.assert_close(ours, theirs[:, 0].detach(), rtol=1e-5, atol=1e-5)
    assert float(ours.max()) > 0


def test_several_targets_of_one_forward_equal_single_ones(trained: TrainedNetwork) -> None:
    batch = images(4)
    everything = torch.arange(3).expand(4, 3)
    logits, together = grad_cams(trained.network, SpatialLayer(LAYER), batch, lambda _logits: everything)

    torch.testing.assert_close(logits, trained.logits(batch))
    for k in range(3):
        alone = grad_cam(trained.network, trained.network.get_submodule(LAYER), batch, torch.full((4,), k))
        torch.testing.assert_close(together[:, k], alone, rtol=0, atol=1e-6)


def test_in_place_activation_behind_the_layer_does_not_change_the_map(untrained: TrainedNetwork) -> None:
    body = list(untrained.network.children())
    in_place = nn.Sequential(*body[:11], nn.ReLU(inplace=True), *body[12:]).eval()
    plain = grad_cam(untrained.network, body[10], images(2), torch.tensor([0, 1]))
    torch.testing.assert_close(grad_cam(in_place, body[10], images(2), torch.tensor([0, 1])), plain)


def test_four_threads_get_what_one_gets(trained: TrainedNetwork) -> None:
    spec = ExplanationSpec(method="grad_cam", targets=["red", "green", "yellow"])
    pictures = [planted(5000 + i, i % 3)[0] for i in range(40)]

    def maps(i: int) -> list[Any]:
        found = explain_images(trained, [pictures[i]], spec, progress=lambda _done, _total: None)
        return [target.attributions for target in found.items[0].targets]

    serial = [maps(i) for i in range(len(pictures))]
    with ThreadPoolExecutor(4) as pool:
        parallel = list(pool.map(maps, list(range(len(pictures))) * 2))

    for i, found in enumerate(parallel):
        for one, other in zip(found, serial[i % len(serial)], strict=True):
            assert abs(one - other).max() <= 1e-5


class Raising(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        raise RuntimeError("as planned")


def state_of(network: nn.Module) -> list[Any]:
    """All that explaining could leave behind."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    modules = [
        (name, id(module), module.training, *(dict(getattr(module, hook)) for hook in hooks), sorted(vars(module)))
        for name, module in network.named_modules()
    ]
    tensors = [
        (name, id(p), p._version, p.requires_grad, p.grad is None)
        for name, p in [*network.named_parameters(), *network.named_buffers()]
    ]
    return [
        modules,
        tensors,
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_rng_state().tolist(),
    ]


def stop_at(count: int) -> Callable[[int, int], None]:
    calls = iter(range(10_000))

    def progress(_done: int, _total: int) -> None:
        if next(calls) + 1 >= count:
            raise Stopped("asked to")

    return progress


@pytest.mark.parametrize("method", ["grad_cam", "shap"])
@pytest.mark.parametrize("prepare", ["frozen", "unfrozen", "training"])
@pytest.mark.parametrize("failure", ["none", "forward raises", "stopped at once", "stopped later", "no such layer"])
def test_nothing_is_left_behind(untrained: TrainedNetwork, method: str, prepare: str, failure: str) -> None:
    network = nn.Sequential(*untrained.network.children(), *([Raising()] if failure == "forward raises" else []))
    network.requires_grad_(prepare != "frozen")
    network.train(prepare == "training")
    trained = TrainedNetwork(network, untrained.classes, "small_cnn", 64, untrained.device)
    parameters = {"evaluations": 64} if method == "shap" else {}
    if failure == "no such layer" and method == "grad_cam":
        parameters = {"layer": "99"}
    spec = ExplanationSpec.model_validate({"method": method, "parameters": parameters, "evaluate": True})
    progress = stop_at({"stopped at once": 1, "stopped later": 4}.get(failure, 100_000))
    before = state_of(network)

    try:
        explain_images(trained, [planted(i, 0)[0] for i in range(2)], spec, progress=progress)
        failed = False
    except Exception:  # noqa: BLE001
        failed = True

    assert failed == (failure != "none" and not (failure == "no such layer" and method == "shap"))
    assert state_of(network) == before
    network.requires_grad_(False)


def test_a_layer_without_rows_and_columns(trained: TrainedNetwork) -> None:
    with pytest.raises(ExplanationUnsupported):
        grad_cam(trained.network, trained.network.get_submodule("13"), images(1), torch.tensor([0]))
    with pytest.raises(ValueError, match="not part"):
        grad_cam(trained.network, nn.ReLU(), images(1), torch.tensor([0]))


def test_a_class_that_nothing_supports_is_an_empty_map(untrained: TrainedNetwork) -> None:
    network = nn.Sequential(*list(untrained.network.children())[:-1], nn.Linear(48, 3)).eval()
    nn.init.zeros_(network[-1].weight)
    trained = TrainedNetwork(network.requires_grad_(False), untrained.classes, "small_cnn", 64, untrained.device)
    found = explain_images(
        trained, [planted(1, 0)[0]], ExplanationSpec(method="grad_cam"), progress=lambda _done, _total: None
    )
    assert found.items[0].targets[0].degenerate
    assert [warning["code"] for warning in found.warnings] == ["degenerate-map"]
