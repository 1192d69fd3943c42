"""Grad-CAM: where a layer supports a class (Selvaraju et al. 2017, arXiv:1610.02391)."""

from typing import Any

import torch
from torch import Tensor, nn

from service.errors import ExplanationUnsupported
from worker.backbones.trained import TrainedNetwork
from worker.explaining.layers import LayerFinder, SpatialLayer, named_layer, to_grid
from worker.explaining.meter import Meter
from worker.explaining.private_copy import private_copy
from worker.explaining.results import Attributed, Attribution, ChooseTargets

BATCH_SIZE = 16


def grad_cam(network: nn.Module, layer: nn.Module, images: Tensor, class_indices: Tensor) -> Tensor:
    """Where `layer` supports each image's class (Selvaraju et al. 2017, eq. 1-2).

    Args:
        network: answers logits [n, classes].
        layer: a module of it.
        images: [n, c, h, w] float32, normalised as the backbone expects.
        class_indices: [n] int64.

    Returns:
        [n, h', w'] at the layer's resolution, >= 0, in logits.

    Raises:
        ExplanationUnsupported: the layer's output is not [n, k, h', w'] (or tokens [n, p, k]).
        ValueError: `layer` is no module of `network`.

    Leaves the network as found: same mode, no hooks, also on error. Safe to call from several threads at once.
    """
    name = next((name for name, module in network.named_modules() if module is layer), None)
    if name is None:
        raise ValueError("the layer is not part of the network")
    _, maps = grad_cams(network, SpatialLayer(name), images, lambda _logits: class_indices.unsqueeze(1))
    return maps[:, 0]


def grad_cams(network: nn.Module, layer: SpatialLayer, images: Tensor, choose: ChooseTargets) -> tuple[Tensor, Tensor]:
    """Grad-CAM of several targets of each image from one forward.

    The graph begins at the layer: what lies before it runs without gradients and the backward stops there, so that
    the whole costs little more than a forward.

    Args:
        network: answers logits [n, c].
        layer: where to look.
        images: [n, 3, s, s] float32.
        choose: called with the logits [n, c], answers the class indices [n, t].

    Returns:
        logits [n, c] and maps [n, t, h', w'] >= 0, both detached.

    Raises:
        ExplanationUnsupported: the layer did not run, or its output has no rows and columns.
    """
    copy = private_copy(network)
    cut: list[Tensor] = []

    def cut_here(_module: nn.Module, _inputs: object, output: object) -> Tensor:
        if not isinstance(output, Tensor):
            raise ExplanationUnsupported("The layer's output is not a tensor.")
        torch.set_grad_enabled(True)
        cut[:] = [output.detach().requires_grad_()]
        return cut[0].clone()  # what follows may work in place

    copy.get_submodule(layer.name).register_forward_hook(cut_here)
    with torch.inference_mode(False), torch.no_grad():
        logits = copy(images)
    if not cut:
        raise ExplanationUnsupported("The layer takes no part in the network's answer.")
    targets = choose(logits.detach())
    return logits.detach(), _maps(logits, cut[0], targets, layer)


def _maps(logits: Tensor, output: Tensor, targets: Tensor, layer: SpatialLayer) -> Tensor:
    activations = to_grid(output.detach(), layer)
    if not logits.requires_grad:  # nothing behind the layer depends on it
        return activations.new_zeros(len(logits), targets.shape[1], *activations.shape[2:])
    with torch.inference_mode(False), torch.enable_grad():
        scores = logits.gather(1, targets).sum(dim=0)
    maps = []
    for slot, score in enumerate(scores):
        more = slot + 1 < len(scores)
        (gradient,) = torch.autograd.grad(score, output, retain_graph=more)
        weights = to_grid(gradient, layer).mean(dim=(2, 3), keepdim=True)
        maps.append((weights * activations).sum(dim=1).relu())
    return torch.stack(maps, dim=1)


class GradCam:
    """The method `grad_cam`: Grad-CAM at a layer that is named, or found."""

    name = "grad_cam"
    fallback: str | None = None
    baseline: dict[str, Any] | None = None

    def __init__(self, layer: str | None, finder: LayerFinder) -> None:
        self._asked = layer
        self._finder = finder
        self.layer: str | None = layer

    @property
    def parameters(self) -> dict[str, Any]:
        """As used."""
        return {"layer": self.layer}

    @property
    def batch_size(self) -> int:
        """Images explained at once."""
        return BATCH_SIZE

    def cost(self, targets: int) -> int:
        """Evaluations for one image: a forward, and a backward for each target."""
        return 1 + targets

    def sketch(self) -> "GradCam":
        """The same: it is as cheap as it gets."""
        return self

    def attribute(
        self, trained: TrainedNetwork, batch: Tensor, choose: ChooseTargets, meter: Meter
    ) -> list[Attributed]:
        """The maps of each image of a batch [n, 3, s, s], from one forward.

        Raises:
            ExplanationUnsupported: the network has no layer with rows and columns.
            Invalid: the named layer does not exist.
            Stopped: the work was asked to end.
        """
        architecture = trained.entry.architecture
        if self._asked is None:
            layer = self._finder.find(trained.network, architecture, batch[:1])
        else:
            layer = named_layer(trained.network, architecture, self._asked)
        self.layer = layer.name
        chosen: list[Tensor] = []

        def remember(logits: Tensor) -> Tensor:
            chosen.append(choose(trained.probabilities(logits.float())))
            return chosen[0]

        logits, maps = grad_cams(trained.network, layer, batch, remember)
        meter.count(forward=len(batch), backward=maps.shape[0] * maps.shape[1])
        indices = chosen[0].tolist()
        probabilities = trained.probabilities(logits.float()).double().cpu().numpy()
        values = maps.double().cpu().numpy()
        answers = logits.double().cpu().numpy()
        return [
            Attributed(answers[i], probabilities[i],
                       [Attribution(index, values[i, slot]) for slot, index in enumerate(indices[i])])
            for i in range(len(batch))
        ]  # fmt: skip
