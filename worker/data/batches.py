"""Batches of an epoch: which samples, in which order, augmented how. All of it follows from (seed, epoch)."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from worker.data.transforms import Transform, each

SHARED_MEMORY = Path("/dev/shm")
"""Where worker processes leave what they have made."""


@dataclass(frozen=True)
class BatchOrder:
    """One batch to be made: its samples, and the seed of its augmentation."""

    indices: list[int]
    seed: int


@dataclass(frozen=True)
class Batch:
    """Samples of the source, still on the CPU, [n, ...] or what a modality makes of them; and their targets [n]."""

    inputs: Any
    targets: Tensor


@dataclass(frozen=True)
class Loading:
    """Who makes batches: worker processes (0: none), how many each has ready, and whether those are put into pinned
    memory as they come.
    """

    workers: int = 0
    ahead: int = 2
    pinned: bool = False


def loading_within(room_bytes: int, batch_bytes: int, *, most_workers: int) -> Loading:
    """As many worker processes as have their batches in `room_bytes` of shared memory; two ready of each, or one."""
    fitting = room_bytes // max(1, batch_bytes)
    workers = min(most_workers, fitting)
    return Loading(workers, ahead=min(2, fitting // workers), pinned=True) if workers > 0 else Loading()


def free_bytes(folder: Path = SHARED_MEMORY) -> int:
    """What may still be written there; 0 where there is no such folder."""
    return shutil.disk_usage(folder).free if folder.is_dir() else 0


def shuffled(indices: Sequence[int], *, batch_size: int, seed: int, epoch: int) -> list[BatchOrder]:
    """An epoch's batches, every sample once. A last batch of one sample joins the one before it.

    Batch norm cannot train on a single sample.
    """
    generator = torch.Generator().manual_seed(epoch_seed(seed, epoch))
    order = torch.randperm(len(indices), generator=generator).tolist()
    starts = list(range(0, len(order), batch_size))
    if len(starts) > 1 and len(order) - starts[-1] == 1:
        starts.pop()
    ends = [*starts[1:], len(order)]
    return [
        BatchOrder([indices[place] for place in order[start:end]], epoch_seed(seed, epoch, number))
        for number, (start, end) in enumerate(zip(starts, ends, strict=True), start=1)
    ]


def epoch_seed(seed: int, epoch: int, batch: int = 0) -> int:
    """A seed of its own for each batch of each epoch: 63 bits, well mixed (splitmix64, Steele et al. 2014)."""
    value = (seed * 0x9E3779B97F4A7C15 + epoch * 0xBF58476D1CE4E5B9 + batch * 0x94D049BB133111EB) % 2**64
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        value = (value ^ value >> shift) * factor % 2**64
    return (value ^ value >> 31) >> 1


class Batches:
    """Makes batches from samples [n, ...] and their targets [n].

    Worker processes, if any, are started once and serve every epoch.
    """

    def __init__(self, samples: Tensor, targets: Tensor, *, transform: Transform | None, loading: Loading) -> None:
        self.targets = targets
        self._orders: list[BatchOrder] = []
        self._making = _Making(samples, transform)
        self._loader: DataLoader[Tensor] | None = None
        if loading.workers:
            self._loader = DataLoader(
                self._making,
                batch_size=None,
                sampler=_Following(self),
                num_workers=loading.workers,
                prefetch_factor=loading.ahead,
                multiprocessing_context="fork",  # others pickle all samples, and leave the trial's process group
                persistent_workers=True,
                pin_memory=loading.pinned,
                generator=torch.Generator().manual_seed(0),
            )

    def make(self, orders: list[BatchOrder]) -> Iterator[Batch]:
        """The batches asked for, one after another."""
        self._orders = orders
        inputs = iter(self._loader) if self._loader else map(self._making.__getitem__, orders)
        for order, made in zip(orders, inputs, strict=True):
            yield Batch(made, self.targets[order.indices])


class _Making(Dataset[Tensor]):
    def __init__(self, samples: Tensor, transform: Transform | None) -> None:
        self.samples, self.transform = samples, transform

    def __getitem__(self, order: BatchOrder) -> Tensor:
        chosen = self.samples[order.indices]
        return each(self.transform, chosen, order.seed) if self.transform else chosen


class _Following:
    """A sampler of whatever `Batches.make` was asked for last."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[BatchOrder]:
        return iter(self.batches._orders)

    def __len__(self) -> int:
        return len(self.batches._orders)
