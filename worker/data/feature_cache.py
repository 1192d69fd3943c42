"""What a frozen network says of each image, computed once and kept for later epochs and jobs."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from worker.backbones.parts import body_of
from worker.backbones.trained import TrainedNetwork
from worker.data.decoded import replacing

_BATCH = 64


class FeatureCache:
    """Features of one frozen network on one dataset, in a file named after everything that they depend on."""

    def __init__(self, trained: TrainedNetwork, *, cache: Path) -> None:
        self.trained, self.folder = trained, cache / "features"
        self.body = body_of(trained.network, trained.backbone).eval()

    def features(self, pixels: Tensor, dataset_digest: str, *, tick: Callable[[int], None]) -> Tensor:
        """[n, 3, s, s] uint8 → [n, d] float32 on the CPU: the input of the head, before dropout.

        `tick` is called with the number of images done and may raise to stop. Two processes may compute the same
        features at once; one file stands.
        """
        file = self.folder / f"{self._key(dataset_digest)}.safetensors"
        try:
            stored = load_file(file)["features"]
        except (FileNotFoundError, SafetensorError, KeyError):
            stored = torch.empty(0)
        if len(stored) != len(pixels):
            stored = self._compute(pixels, tick)
            with replacing(file) as temporary:
                save_file({"features": stored}, temporary)
        return stored

    def _compute(self, pixels: Tensor, tick: Callable[[int], None]) -> Tensor:
        made: list[Tensor] = []
        with torch.inference_mode():
            for start in range(0, len(pixels), _BATCH):
                batch = self.trained.normalise(pixels[start : start + _BATCH])
                made.append(self.body(batch).float().cpu())
                tick(start + len(batch))
        return torch.cat(made).contiguous().clone()

    def _key(self, dataset_digest: str) -> str:
        """A digest over dataset, pixels and every weight of the body."""
        facts = {
            "dataset": dataset_digest,
            "backbone": self.trained.backbone,
            "pixels": asdict(self.trained.pixel_format),
        }
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        for name, value in sorted(self.body.state_dict().items()):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()
