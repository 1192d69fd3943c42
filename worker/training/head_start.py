"""What a trial of the head alone needs of its network: kept by an earlier trial, so that the network need not be built.

The head as it came out of the seeded network, and the features that the frozen rest makes of the dataset's images.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import IO

import numpy as np
import timm
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from worker.backbones.parts import Head
from worker.backbones.pixels import PixelFormat
from worker.backbones.weights import weights_file
from worker.data.disk_cache import NoRoom
from worker.data.mapped import TensorFile
from worker.training.order import TrialOrder


@dataclass(frozen=True)
class HeadStart:
    """A head before its first step, [d, c], and the features that it learns from, [n, d] float32 on the CPU."""

    head: Head
    features: Tensor


def find_head_start(order: TrialOrder, samples: int, classes: int) -> HeadStart | None:
    """What an earlier trial has kept for one like this; None if there is nothing, or its features are gone."""
    name = _name(order, classes)
    entry = order.cache.find(order.dataset_digest, name) if name else None
    if entry is None:
        return None
    with entry, safe_open(entry.path, "pt") as file:
        weight, bias = file.get_tensor("weight"), file.get_tensor("bias")
        features_file = file.metadata()["features"]
    head = Head(weight.shape[1], weight.shape[0], dropout=order.spec.network.dropout)
    head.load_state_dict({"weight": weight, "bias": bias})
    kept = TensorFile(order.dataset_digest, features_file, np.float32, (samples, weight.shape[1]))
    features = kept.find(order.cache)
    return HeadStart(head, features) if features is not None else None


def keep_head_start(order: TrialOrder, head: Head, features_file: str) -> None:
    """Keeps the head, before its first step, and the name of its features' file, where there is room."""
    name = _name(order, head.out_features)
    if name is None:
        return
    state = {key: value.detach().cpu().contiguous() for key, value in head.state_dict().items()}
    content = save(state, metadata={"features": features_file})

    def write(file: IO[bytes]) -> None:
        file.write(content)

    try:
        with order.cache.get(order.dataset_digest, name, len(content), write, tick=_wait, optional=True):
            return
    except NoRoom:
        return


def _name(order: TrialOrder, classes: int) -> str | None:
    """After everything that the head's first weights and the features depend on; None without the weights at hand.

    The weights' file is told by its path, size and time of change.
    """
    backbone, size = order.spec.network, order.spec.training.image_size
    assert size is not None, "the spec is resolved"
    facts: dict[str, object] = {
        "backbone": backbone.model_dump(include={"name", "weights", "stochastic_depth"}),
        "pixels": asdict(PixelFormat.of(backbone.name, size)),
        "classes": classes,
        "seed": order.spec.seed,
        "versions": [torch.__version__, torchvision.__version__, timm.__version__],
    }
    if backbone.weights == "pretrained":
        file = weights_file(backbone.name, order.sources)
        if file is None:
            return None
        stat = file.stat()
        facts["weights"] = [str(file), stat.st_size, stat.st_mtime_ns]
    return f"head-{hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()}.safetensors"


def _wait() -> None:
    """Another trial keeps the same head; that takes no time."""
