"""The memory that a trial takes."""

import torch


def peak_memory_bytes(device: torch.device, earlier: int = 0) -> int | None:
    """The most that this process has held at once: of the GPU's memory; on a CPU, resident, mapped files included.

    None where other libraries have used the GPU without torch. `earlier` was its peak before that was reset.
    """
    if device.type == "cuda":
        return max(torch.cuda.max_memory_reserved(device), earlier) or None
    with open("/proc/self/status") as file:
        [line] = [line for line in file if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024
