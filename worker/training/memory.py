"""What becomes of a batch that does not fit the device's memory: it goes through in parts."""

import gc

import torch
from torch import Tensor

_SAYINGS = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""Of torch's allocators on CUDA and CPU, and of the libraries that allocate beside them."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a smaller batch may help."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(saying in str(error) for saying in _SAYINGS)


def release_memory(device: torch.device) -> None:
    """Gives back what a failed pass has left behind; to be called once its error is forgotten."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def in_parts(tensors: tuple[Tensor, ...], count: int) -> list[tuple[Tensor, ...]]:
    """Tensors of [n, ...] in `count` parts of as equal sizes as can be, the larger ones first; some may be empty."""
    return list(zip(*(tensor.tensor_split(count) for tensor in tensors), strict=True))


def peak_memory_bytes(device: torch.device) -> int | None:
    """The most that this process has held at once: of the GPU's memory; on a CPU, resident, mapped files included.

    None where other libraries have used the GPU without torch.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) or None
    with open("/proc/self/status") as file:
        [line] = [line for line in file if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024
