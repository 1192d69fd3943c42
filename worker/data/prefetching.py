"""Batches brought to the device one ahead of the step that uses them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from worker.data.batches import Batch

Asked = TypeVar("Asked")
Begun = TypeVar("Begun")


def prefetched(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """The same batches, on CUDA already on the device.

    There the next one is copied while the current one is worked on: from pinned memory, on a stream of its own
    (NVIDIA, CUDA C++ Best Practices Guide, "Asynchronous and Overlapping Transfers with Computation").
    """
    if device.type != "cuda":
        yield from batches
        return
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    for copy in one_ahead(batches, lambda batch: _begin(batch, device, stream)):
        yield copy.finish()


def one_ahead(asked: Iterable[Asked], begin: Callable[[Asked], Begun]) -> Iterator[Begun]:
    """`begin` of each, in order; each has begun before the one in front of it is handed out."""
    waiting: list[Begun] = []
    for one in asked:
        waiting.append(begin(one))
        if len(waiting) == 2:
            yield waiting.pop(0)
    yield from waiting


@dataclass(frozen=True)
class _Copy:
    batch: Batch
    done: torch.cuda.Event
    device: torch.device

    def finish(self) -> Batch:
        """The batch, for what is queued on the current stream from now on; its memory is not reused before."""
        current = torch.cuda.current_stream(self.device)
        current.wait_event(self.done)
        each_tensor(self.batch.inputs, lambda tensor: tensor.record_stream(current))
        self.batch.targets.record_stream(current)
        return self.batch


def _begin(batch: Batch, device: torch.device, stream: torch.cuda.Stream) -> _Copy:
    def copied(tensor: Tensor) -> Tensor:
        pinned = tensor if tensor.is_pinned() else tensor.pin_memory()
        return pinned.to(device, non_blocking=True)

    with torch.cuda.stream(stream):
        made = Batch(each_tensor(batch.inputs, copied), copied(batch.targets))
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record(stream)
    return _Copy(made, done, device)


def each_tensor(inputs: Any, change: Callable[[Tensor], Any]) -> Any:
    """`change` of a batch's inputs: of the tensor, or of each in a tuple."""
    return tuple(change(tensor) for tensor in inputs) if isinstance(inputs, tuple) else change(inputs)
