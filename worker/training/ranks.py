"""Processes that train one network together, each on its own device and its own share of every batch.

Data-parallel training (Li et al. 2020, "PyTorch Distributed"): all ranks hold the same weights, go through their
share of a batch, sum their gradients over NCCL (CUDA) or gloo (CPU), and take the same step. Rank 0 leads: it alone
evaluates, reports and writes checkpoints.
"""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch._C._distributed_c10d import FileStore
from torch.nn.parallel import DistributedDataParallel

from worker.data.batches import BatchOrder
from worker.training.order import TrialOrder

Network = TypeVar("Network", bound=nn.Module)
FEWEST = 2
PATIENCE = timedelta(days=8)
"""Longer than any job: who waits in vain is ended by the supervisor, which hears nothing of the trial any more."""


@dataclass(frozen=True)
class Ranks:
    """The place of this process among `size`."""

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009 (immutable)

    @property
    def leads(self) -> bool:
        """Whether it is rank 0, as one alone always is."""
        return self.rank == 0

    def share_of(self, samples: int) -> int:
        """How many of a batch's samples are this rank's."""
        return len(range(self.rank, samples, self.size))

    def share(self, order: BatchOrder) -> BatchOrder:
        """The rank's part of a batch, with random changes of its own.

        Batch norm cannot train on a single sample: where there are fewer than two for it, others of the batch follow,
        which are to count for nothing.
        """
        if self.size == 1:
            return order
        mine = order.indices[self.rank :: self.size]
        others = [index for place, index in enumerate(order.indices) if place % self.size != self.rank]
        indices = mine if len(mine) >= FEWEST else [*mine, *others][:FEWEST]
        return replace(order, indices=indices, seed=order.seed + self.rank)

    def summing(self, network: nn.Module) -> nn.Module:
        """The same network, whose backward passes sum the gradients over the ranks, divided by their number.

        Weights and buffers of rank 0 are given to all.
        """
        return DistributedDataParallel(network)

    def quiet(self, network: nn.Module, is_quiet: bool) -> AbstractContextManager[object]:
        """While the block lasts, gradients are added up on each rank alone."""
        if is_quiet and isinstance(network, DistributedDataParallel):
            return network.no_sync()
        return nullcontext()

    def total(self, sums: Tensor) -> Tensor:
        """The sums over all ranks."""
        if self.size > 1:
            distributed.all_reduce(sums)
        return sums

    def told(self, *, goes_on: bool = True, loss: float = math.nan) -> tuple[bool, float]:
        """What rank 0 was called with: whether an epoch follows, and the validation loss after the one before."""
        if self.size == 1:
            return goes_on, loss
        said = torch.tensor([float(goes_on), loss], dtype=torch.float64, device=self.device)
        distributed.broadcast(said, 0)
        return bool(said[0]), float(said[1])


ALONE = Ranks()


@contextmanager
def joined(order: TrialOrder) -> Iterator[Ranks]:
    """The place of this process among the order's ranks, which meet at a file.

    A block that raises leaves the rest to the end of the process: others may wait for it for ever.
    """
    if order.ranks == 1:
        yield ALONE
        return
    device = torch.device(order.device)
    store = FileStore(str(order.rendezvous), order.ranks)
    store.set_timeout(PATIENCE)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=store,
        rank=order.rank,
        world_size=order.ranks,
        timeout=PATIENCE,
    )
    yield Ranks(order.rank, order.ranks, device)
    distributed.destroy_process_group()


def synchronised(network: Network, order: TrialOrder) -> Network:
    """With batch norm over the whole batch, on CUDA; on a CPU each rank normalises its share by itself.

    torch has no batch norm over several processes for CPUs.
    """
    if order.ranks == 1 or order.device == "cpu":
        return network
    from timm.layers.norm_act import convert_sync_batchnorm  # which knows timm's own layers too, as torch's does not

    converted: Network = convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return converted
