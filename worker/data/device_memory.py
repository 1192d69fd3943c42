"""What becomes of a batch that does not fit the device's memory: it goes through in parts."""

import gc
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from service.errors import ResourceExhausted
from worker.data.shortage import says_out_of_memory


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a smaller batch may help."""
    return isinstance(error, RuntimeError | MemoryError) and (
        isinstance(error, torch.OutOfMemoryError) or says_out_of_memory(error)
    )


def release_memory(device: torch.device) -> None:
    """Gives back what a failed pass has left behind; to be called once its error is forgotten."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def in_parts(tensors: tuple[Tensor, ...], count: int) -> list[tuple[Tensor, ...]]:
    """Tensors of [n, ...] in `count` parts of as equal sizes as can be, the larger ones first; some may be empty."""
    return list(zip(*(tensor.tensor_split(count) for tensor in tensors), strict=True))


@dataclass
class Halving:
    """Passes without gradients, of what fits the memory.

    Attributes:
        batch_size: the most samples to hand over at once; smaller once memory has run out.
    """

    device: torch.device
    batch_size: int

    def outputs(self, network: nn.Module, *arguments: Tensor) -> Tensor:
        """[n, …] float32 on the CPU: of the whole batch at once, or of its halves where memory does not suffice.

        Raises:
            ResourceExhausted: not even one sample fits.
        """
        return torch.cat(self._parts(network, arguments))

    def _parts(self, network: nn.Module, arguments: tuple[Tensor, ...]) -> list[Tensor]:
        try:
            return [network(*arguments).float().cpu()]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        release_memory(self.device)
        samples = len(arguments[0])
        if samples == 1:
            raise ResourceExhausted("The device's memory does not suffice for one sample.")
        self.batch_size = min(self.batch_size, samples // 2)
        return [part for half in in_parts(arguments, 2) for part in self._parts(network, half)]
