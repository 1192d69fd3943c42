"""Which devices trials may use, found without importing torch: the worker's own process never initialises CUDA."""

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
MIG = "MIG-"
NVIDIA_GPUS = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Device:
    """A place for one trial, or for one rank of it; `visible` is its CUDA_VISIBLE_DEVICES, empty on CPU."""

    name: str
    visible: str
    threads: int

    @property
    def environment(self) -> dict[str, str]:
        """Of a child that works on it. Ranks on CPUs meet on this machine.

        GPUs are numbered as `nvidia-smi` does, or by the order that the worker's own CUDA_VISIBLE_DEVICES was meant in.
        """
        order = {} if VISIBLE in os.environ else {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        return {VISIBLE: self.visible, "GLOO_SOCKET_IFNAME": "lo", **order}


class Devices:
    """A worker's devices, each with one trial at most; a trial takes all of its own at once, or none.

    Two places on one GPU are never of one trial.

    Attributes:
        count: places for trials of one device each.
        most: for one trial.
        unproven: GPUs that were found, and that nobody has computed on yet (`prove_devices`).
        claiming: held from looking at what is free until it is taken.
    """

    def __init__(self, devices: Sequence[Device]) -> None:
        self._lock = threading.Lock()
        self._set(devices)
        self.unproven = tuple(dict.fromkeys(device.visible for device in devices if device.visible))
        self.claiming = threading.Lock()

    def settle(self, devices: Sequence[Device]) -> None:
        """From now on these, which are proven; to be called before any is taken."""
        with self._lock:
            self._set(devices)
        self.unproven = ()

    def _set(self, devices: Sequence[Device]) -> None:
        self._free = list(devices)
        self.count, self.most = len(self._free), len(_apart(self._free))

    @property
    def free(self) -> int:
        """How many one trial could take now."""
        with self._lock:
            return len(_apart(self._free))

    def take(self, count: int) -> list[Device]:
        """So many, which must be free; `give` returns them."""
        with self._lock:
            taken = _apart(self._free)[:count]
            assert len(taken) == count, "only what is free is taken"
            for device in taken:
                self._free.remove(device)
            return taken

    def give(self, devices: Sequence[Device]) -> None:
        """Returns what `take` gave."""
        with self._lock:
            self._free.extend(devices)


def _apart(devices: Sequence[Device]) -> list[Device]:
    """Without a second one on the same GPU; nor another part of a GPU (MIG), as ranks do not meet between those."""
    places = [_gpu_of(device) or index for index, device in enumerate(devices)]
    return [device for index, device in enumerate(devices) if places.index(places[index]) == index]


def _gpu_of(device: Device) -> str:
    return MIG if device.visible.startswith(MIG) else device.visible


def visible_devices(slots: int | None, threads: int | None, gpus_folder: Path = NVIDIA_GPUS) -> list[Device]:
    """One device per GPU; without GPUs, `slots` (1) shares of the CPU. More slots than GPUs share them."""
    return places(listed_gpus(gpus_folder), slots, threads)


def places(gpus: Sequence[str], slots: int | None, threads: int | None) -> list[Device]:
    """As `visible_devices`, of these GPUs."""
    cores = len(os.sched_getaffinity(0))
    count = slots or max(1, len(gpus))
    each = threads or max(1, cores // count)
    if not gpus:
        return [Device("cpu", "", each) for _ in range(count)]
    return [Device("cuda:0", gpus[index % len(gpus)], each) for index in range(count)]


def listed_gpus(folder: Path = NVIDIA_GPUS) -> list[str]:
    """What CUDA_VISIBLE_DEVICES names, or all that the driver lists: whether torch can use them is another question."""
    chosen = os.environ.get(VISIBLE)
    if chosen is not None:  # as CUDA reads it, which ends at the first that is none
        return list(takewhile(lambda part: part not in ("", "-1"), map(str.strip, chosen.split(","))))
    return [str(index) for index in range(len(list(folder.iterdir())))] if folder.is_dir() else []
