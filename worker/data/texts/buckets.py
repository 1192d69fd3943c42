"""Batches of texts of about one length, so that little of a batch is padding."""

from collections.abc import Sequence

import torch
from torch import Tensor

from worker.data.batches import BatchOrder, epoch_seed

POOL_BATCHES = 50
"""So many batches' texts are drawn at random, then sorted by length: batches stay random, and padding rare."""


def bucketed(indices: Sequence[int], lengths: Tensor, *, batch_size: int, seed: int, epoch: int) -> list[BatchOrder]:
    """An epoch's batches, every text once, in random order; all of it follows from seed and epoch.

    `lengths` are of all texts of the dataset, [n].
    """
    generator = torch.Generator().manual_seed(epoch_seed(seed, epoch))
    order = [indices[place] for place in torch.randperm(len(indices), generator=generator).tolist()]
    size = batch_size * POOL_BATCHES
    batches: list[list[int]] = []
    for start in range(0, len(order), size):
        pool = sorted(order[start : start + size], key=lambda index: int(lengths[index]))
        batches += [pool[place : place + batch_size] for place in range(0, len(pool), batch_size)]
    shuffle = torch.randperm(len(batches), generator=generator).tolist()
    return [
        BatchOrder(batches[place], epoch_seed(seed, epoch, number)) for number, place in enumerate(shuffle, start=1)
    ]
