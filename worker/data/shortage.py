"""How a lack of memory is told, by whichever library has met it. Torch-free."""

_SAYINGS = (
    "out of memory",
    "can't allocate memory",
    "alloc_failed",
    "allocation_failed",
    "cublas_status_not_initialized",
    "unable to find an engine",
)
"""Of torch's allocators on CUDA and CPU, and of the libraries that allocate beside them: cuBLAS gets no workspace,
cuDNN names a status, or finds no engine whose workspace it gets."""


def says_out_of_memory(error: BaseException) -> bool:
    """Whether an error of any library is about a lack of memory."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(saying in text for saying in _SAYINGS)
