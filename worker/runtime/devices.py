"""Which devices trials may use, found without importing torch: the worker's own process never initialises CUDA."""

import os
from dataclasses import dataclass
from pathlib import Path

NVIDIA_GPUS = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Device:
    """A place for one trial; `visible` is its CUDA_VISIBLE_DEVICES, empty on CPU."""

    name: str
    visible: str
    threads: int


def visible_devices(slots: int | None, threads: int | None, gpus_folder: Path = NVIDIA_GPUS) -> list[Device]:
    """One device per GPU; without GPUs, `slots` (1) shares of the CPU."""
    cores = len(os.sched_getaffinity(0))
    gpus = _gpus(gpus_folder)
    count = slots or max(1, len(gpus))
    each = threads or max(1, cores // count)
    if not gpus:
        return [Device("cpu", "", each) for _ in range(count)]
    return [Device("cuda:0", gpus[index % len(gpus)], each) for index in range(count)]


def _gpus(folder: Path) -> list[str]:
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [part.strip() for part in chosen.split(",") if part.strip() not in ("", "-1")]
    return [str(index) for index in range(len(list(folder.iterdir())))] if folder.is_dir() else []
