"""Tensors that lie in files of the cache, filled once and mapped by every process that uses them."""

import mmap
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worker.data.disk_cache import DiskCache, Entry


@dataclass(frozen=True)
class TensorFile:
    """The name, element type and shape of a tensor in the cache, and the dataset that it was made from."""

    dataset: str
    name: str
    kind: type[np.uint8] | type[np.int32] | type[np.float32]
    shape: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """Of the file: the elements, row major, and nothing else."""
        return prod(self.shape) * np.dtype(self.kind).itemsize

    def get(
        self,
        cache: DiskCache,
        fill: Callable[[NDArray[np.generic]], None],
        *,
        tick: Callable[[], None],
        optional: bool = False,
    ) -> Tensor:
        """The tensor, backed by its file, which stays in the cache as long as the tensor lives.

        `fill` writes into an array of `shape` if the file is yet to be made; for the rest see `DiskCache.get`.

        Raises:
            NoRoom: as `DiskCache.get`.
        """
        make = lambda file: fill(np.memmap(file, self.kind, "r+", shape=self.shape))  # noqa: E731
        with cache.get(self.dataset, self.name, self.size_bytes, make, tick=tick, optional=optional) as entry:
            return self._map(entry)

    def find(self, cache: DiskCache) -> Tensor | None:
        """The tensor, as `get` gives it, if its file is there."""
        entry = cache.find(self.dataset, self.name)
        if entry is None:
            return None
        with entry:
            whole = entry.path.stat().st_size == self.size_bytes
            return self._map(entry) if whole else None

    def _map(self, entry: Entry) -> Tensor:
        """The map has a descriptor of its own, which keeps the entry's lock until the tensor is gone."""
        memory = mmap.mmap(entry.file.fileno(), self.size_bytes, access=mmap.ACCESS_COPY)
        return torch.frombuffer(memory, dtype=torch.from_numpy(np.empty(0, self.kind)).dtype).view(self.shape)
