"""A memory that ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

NO_ROOM = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


@contextmanager
def room_for(samples: int, *, training: bool = True, error: Exception = NO_ROOM) -> Iterator[list[int]]:
    """Passes of more samples, in that mode, run out of memory; yields the sizes that were tried."""
    tried: list[int] = []

    def look(module: nn.Module, inputs: Any) -> None:
        learns = next(module.parameters(), None) is not None
        if learns and module.training == training and inputs and isinstance(inputs[0], torch.Tensor):
            tried.append(len(inputs[0]))
            if len(inputs[0]) > samples:
                raise error

    handle = register_module_forward_pre_hook(look)
    try:
        yield tried
    finally:
        handle.remove()
