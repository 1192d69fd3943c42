"""A network cut in two where its last stage begins, so that what is frozen before need run only once an image."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from worker.backbones.parts import last_stage_paths, with_own_children


@dataclass(frozen=True)
class Cut:
    """The two parts; both share their tensors with the network.

    Attributes:
        frozen: images [n, 3, s, s] → activations [n, …], what the last stage gets.
        rest: activations → logits [n, c]. Its state dict is that of the whole network, so that optimizers and
            checkpoints do not depend on whether the network was cut.
    """

    frozen: nn.Module
    rest: nn.Module


def cut_before_last_stage(network: nn.Module, name: str) -> Cut | None:
    """The parts before and from the last stage of a network built for catalogue entry `name`.

    None where nothing before the last stage has weights. The network itself is left alone.

    Catalogue networks run their modules in the order in which they hold them, one after another, apart from a ViT's
    tokens.
    """
    before: list[nn.Module] = []
    rest = inner = with_own_children(network)
    *path, first = last_stage_paths(network, name)[0].split(".")
    for step in (*path, first):
        names = list(inner._modules)
        for earlier in names[: names.index(step)]:
            module = inner.get_submodule(earlier)
            before.append(module)
            inner._modules[earlier] = _Skipped(module)
        if step is not first:
            twin = with_own_children(inner.get_submodule(step))
            inner._modules[step] = twin
            inner = twin
    if not any(True for module in before for _ in module.parameters()):
        return None
    if isinstance(network, VisionTransformer):
        return Cut(_ToTokens(network, first), _FromTokens(rest))
    return Cut(nn.Sequential(*before), rest)


class _Bearing(nn.Module):
    """Holds the parameters, buffers and children of another module, under the same names."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._parameters, self._buffers, self._modules = module._parameters, module._buffers, module._modules
        self._non_persistent_buffers_set = module._non_persistent_buffers_set


class _Skipped(_Bearing):
    """Passes its input through."""

    def forward(self, input: Tensor) -> Tensor:
        return input


class _FromTokens(_Bearing):
    """Tokens [n, 1 + p, d] → logits: the forward of torchvision's ViT from its blocks on."""

    def forward(self, tokens: Tensor) -> Tensor:
        encoder = self.get_submodule("encoder")
        encoded = encoder.get_submodule("ln")(encoder.get_submodule("layers")(tokens))
        logits: Tensor = self.get_submodule("heads")(encoded[:, 0])
        return logits


class _ToTokens(nn.Module):
    """Images → tokens [n, 1 + p, d], as block `first` of torchvision's ViT gets them."""

    def __init__(self, network: VisionTransformer, first: str) -> None:
        super().__init__()
        self.vit = with_own_children(network)
        del self.vit._modules["heads"]
        encoder = with_own_children(network.encoder)
        blocks = dict(network.encoder.layers.named_children())
        earlier = list(blocks)[: list(blocks).index(first)]
        encoder._modules = {
            "dropout": network.encoder.dropout,
            "layers": nn.Sequential(*(blocks[name] for name in earlier)),
        }
        self.vit._modules["encoder"] = encoder

    def forward(self, images: Tensor) -> Tensor:
        vit: Any = self.vit
        encoder = vit.encoder
        patches = vit._process_input(images)
        class_tokens = vit.class_token.expand(len(patches), -1, -1)
        tokens = torch.cat([class_tokens, patches], dim=1) + encoder.pos_embedding
        result: Tensor = encoder.layers(encoder.dropout(tokens))
        return result
