"""A network's parts: its head, its last stage, and what lies before the head.

The head is always one `Head`, the last linear layer in its usual place, so that state dicts keep the names of
torchvision and timm. The last stage is everything at the last resolution, for transformers the last quarter of
the blocks.
"""

import copy
import re
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from service.specs.backbones import CATALOGUE

Trainable = Literal["head", "last_stage", "all"]

HEAD_PATHS = {
    "resnet": "fc",
    "vgg": "classifier.6",
    "tf_efficientnet_lite": "classifier",
    "efficientnet": "classifier.1",
    "mobilenet": "classifier.3",
    "densenet": "classifier",
    "convnext": "classifier.2",
    "vit": "heads.head",
    "swin": "head",
    "simple_nn": "head",
    "small_cnn": "head",
    "all-MiniLM": "head",
    "bert": "head",
    "distilbert": "head",
    "roberta": "head",
    "gpt2": "head",
}

# Regular expressions over module names; what they match at the top is trained as one.
_LAST_STAGES = {
    "resnet": r"layer4",
    "vgg11": r"features\.(1[6-9])|classifier\.[03]",
    "vgg16": r"features\.(2[4-9])|classifier\.[03]",
    "vgg19": r"features\.(2[89]|3[0-5])|classifier\.[03]",
    "tf_efficientnet_lite": r"blocks\.[56]|conv_head|bn2",
    "efficientnet": r"features\.[678]",
    "mobilenet_v3_small": r"features\.(9|1[0-2])|classifier\.0",
    "mobilenet_v3_large": r"features\.(1[3-6])|classifier\.0",
    "densenet": r"features\.(denseblock4|norm5)",
    "convnext": r"features\.[67]|classifier\.0",
    "vit": r"encoder\.layers\.encoder_layer_(9|10|11)|encoder\.ln",
    "swin": r"features\.[67]|norm",
    "simple_nn": r"hidden",
    "small_cnn": r"block4",
}

TEXT_BLOCK = re.compile(r"body\.(?:encoder\.layer|transformer\.layer|h)\.(\d+)")
"""A transformer block's name in BERT and RoBERTa, DistilBERT, GPT-2."""


class Head(nn.Linear):
    """Dropout, then a linear layer: [n, d] → [n, c]. Its state dict is that of a plain linear layer."""

    def __init__(self, in_features: int, out_features: int, *, dropout: float) -> None:
        super().__init__(in_features, out_features)
        self.dropout = dropout

    def forward(self, input: Tensor) -> Tensor:
        """Logits [n, c] of features [n, d]; dropout acts in training mode only."""
        return super().forward(nn.functional.dropout(input, self.dropout, self.training))


def head_path(name: str) -> str:
    """The dotted name of the head within the network of catalogue entry `name`."""
    return HEAD_PATHS[_family(HEAD_PATHS, name)]


def head_of(network: nn.Module, name: str) -> Head:
    """The head of a network built for catalogue entry `name`."""
    head = network.get_submodule(head_path(name))
    if not isinstance(head, Head):
        raise TypeError(f"{head_path(name)} is a {type(head).__name__}, not a head built by worker.backbones")
    return head


def trainable_modules(network: nn.Module, name: str, trainable: Trainable) -> list[nn.Module]:
    """The outermost modules that `trainable` trains; all others are frozen, in evaluation mode."""
    if trainable == "all":
        return [network]
    head = head_of(network, name)
    if trainable == "head":
        return [head]
    return [network.get_submodule(path) for path in last_stage_paths(network, name)] + [head]


def last_stage_paths(network: nn.Module, name: str) -> list[str]:
    """The dotted names of the outermost modules of the last stage, in order, without the head."""
    if CATALOGUE[name].source == "transformers":
        return _last_blocks(network)
    pattern = re.compile(_LAST_STAGES[_family(_LAST_STAGES, name)])
    return [path for path, _ in network.named_modules() if pattern.fullmatch(path)]


def _last_blocks(network: nn.Module) -> list[str]:
    """The last quarter of a text network's transformer blocks, one at least, and GPT-2's norm behind them."""
    paths = [path for path, _ in network.named_modules()]
    blocks = [path for path in paths if TEXT_BLOCK.fullmatch(path)]
    return blocks[len(blocks) * 3 // 4 :] + [path for path in paths if path == "body.ln_f"]


def body_of(network: nn.Module, name: str) -> nn.Module:
    """The network without its head: images, or tokens, → [n, d]. Shares its parameters and leaves it alone."""
    *path, last = head_path(name).split(".")
    body = inner = with_own_children(network)
    for step in path:
        twin = with_own_children(inner.get_submodule(step))
        inner._modules[step] = twin
        inner = twin
    inner._modules[last] = nn.Identity()
    return body


def features(network: nn.Module, images: Tensor, name: str) -> Tensor:
    """What the head gets, before dropout: [n, 3, s, s] → [n, d]; `head(features)` are the logits."""
    result: Tensor = body_of(network, name)(images)
    return result


def is_decayed(name: str, parameter: Tensor) -> bool:
    """Whether weight decay applies: not to norms, biases, layer scales, class tokens and position embeddings."""
    spared = ("class_token", "pos_embedding", "relative_position_bias_table", "layer_scale")
    return parameter.ndim > 1 and not name.endswith(spared)


def freeze_all_but(network: nn.Module, modules: list[nn.Module]) -> None:
    """Gradients for the parameters of `modules` alone."""
    network.requires_grad_(False)
    for module in modules:
        module.requires_grad_(True)


def enter_training_mode(network: nn.Module, modules: list[nn.Module]) -> None:
    """Training mode for `modules`, evaluation mode elsewhere, so that frozen batch-norm statistics stay."""
    network.eval()
    for module in modules:
        module.train()


def freeze_batch_norm(network: nn.Module) -> None:
    """Statistics, scales and shifts of every batch norm stay as they are, until the modes are next set."""
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.requires_grad_(False).eval()


def without_inplace(network: nn.Module) -> nn.Module:
    """The same network with activations that keep their inputs, as backward hooks need."""
    for module in network.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False  # type: ignore[assignment]
    return network


def with_own_children(module: nn.Module) -> nn.Module:
    """A shallow copy: the same tensors and children, but children can be replaced without touching `module`."""
    twin = copy.copy(module)
    twin._modules = dict(module._modules)
    return twin


def _family(table: dict[str, str], name: str) -> str:
    """The longest key that `name` starts with."""
    if name not in CATALOGUE:
        raise KeyError(name)
    return max((key for key in table if name.startswith(key)), key=len)


def memory_format(name: str, device: torch.device) -> torch.memory_format:
    """The layout of images and kernels that is fast for catalogue entry `name` on that device.

    On CPUs as measured. On CUDA channels last for every convolutional network: tensor cores compute in it, and
    convert other layouts to and fro (NVIDIA, Convolutional Layers User's Guide; PyTorch's channels-last tutorial).
    """
    entry = CATALOGUE[name]
    is_last = entry.architecture == "cnn" if device.type == "cuda" else entry.channels_last
    return torch.channels_last if is_last else torch.contiguous_format
