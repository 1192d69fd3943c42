"""What the frozen part of a network makes of each image, computed once and kept for later epochs and trials."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from worker.backbones.trained import TrainedNetwork
from worker.data.device_memory import Halving
from worker.data.disk_cache import DiskCache, NoRoom
from worker.data.mapped import TensorFile

_BATCH = 64


class FeatureCache:
    """Outputs of `frozen`, a part of `trained` that begins at the images, one file for each dataset and weights."""

    def __init__(self, trained: TrainedNetwork, frozen: nn.Module, *, cache: DiskCache) -> None:
        self.trained, self.frozen, self.cache = trained, frozen.eval(), cache
        self.file_name = f"features-{self._key()}.f32"

    def features(self, pixels: Tensor, dataset_digest: str, *, tick: Callable[[], None]) -> Tensor:
        """As `stored`, in memory where there is no room on the disk."""
        try:
            return self.stored(pixels, dataset_digest, tick=tick)
        except NoRoom:
            made = torch.empty(len(pixels), *self._shape(pixels))
            self._compute(pixels, made, tick)
            return made

    def stored(self, pixels: Tensor, dataset_digest: str, *, tick: Callable[[], None]) -> Tensor:
        """[n, 3, s, s] uint8 → [n, …] float32 on the CPU, backed by a file.

        The file, `file_name`, is named after everything that the numbers depend on. One process computes it, in
        float32 whatever the trial's precision; others wait. `tick` is called for every batch, and while waiting, and
        may raise to stop.

        Raises:
            NoRoom: the file would exceed the cache's budget or a quarter of the free disk.
        """
        shape = (len(pixels), *self._shape(pixels))
        file = TensorFile(dataset_digest, self.file_name, np.float32, shape)

        def fill(memory: NDArray[Any]) -> None:
            self._compute(pixels, torch.from_numpy(memory), tick)

        return file.get(self.cache, fill, tick=tick, optional=True)

    def _shape(self, pixels: Tensor) -> tuple[int, ...]:
        """Of one image's output."""
        with torch.inference_mode():
            one = self.trained.normalise(pixels[:1])
            return tuple(Halving(self.trained.device, 1).outputs(self.frozen, one).shape[1:])

    def _compute(self, pixels: Tensor, made: Tensor, tick: Callable[[], None]) -> None:
        halving, start = Halving(self.trained.device, _BATCH), 0
        with torch.inference_mode(), in_float32():
            while start < len(pixels):
                tick()
                batch = self.trained.normalise(pixels[start : start + halving.batch_size])
                made[start : start + len(batch)] = halving.outputs(self.frozen, batch)
                start += len(batch)

    def _key(self) -> str:
        """A digest over the backbone, its input format, and every frozen weight."""
        return weights_digest(
            {"backbone": self.trained.backbone, "pixels": asdict(self.trained.pixel_format)}, self.frozen
        )


@contextmanager
def in_float32() -> Iterator[None]:
    """A block without TF32 in convolutions, which is torch's default where a GPU has it."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def weights_digest(facts: dict[str, object], frozen: nn.Module) -> str:
    """A name for what `frozen` makes of inputs that `facts` describe."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, value in sorted(frozen.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
