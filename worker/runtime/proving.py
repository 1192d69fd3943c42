"""Whether torch can compute on the GPUs that the driver lists: asked once, in processes that end with the answer.

A driver that is too old, a container without CUDA's libraries, a card that torch has no kernels for: all of them list
GPUs on which every trial would crash. Neither the worker's process nor its fork server may initialise CUDA.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from worker.runtime.context import Runtime
from worker.runtime.devices import Device, places

log = logging.getLogger(__name__)
Ask = Callable[[str], str | None]
TIMEOUT_SECONDS = 120.0
"""Torch is read from a cold disk, and a driver may take long to wake its GPUs."""
AT_ONCE = 4
WELL = "well"
PROBE = f"""
import signal
signal.alarm({2 * TIMEOUT_SECONDS:.0f})  # whoever asked may be gone
try:
    import torch
    found = (torch.ones(8, device="cuda") * 2).sum().item()
    print("{WELL}" if found == 16.0 else f"It computes 16 as {{found}}.")
except BaseException as error:
    print(" ".join(f"{{type(error).__name__}}: {{error}}".split())[:300])
"""


def prove_devices(runtime: Runtime, ask: Ask | None = None) -> None:
    """Drops the GPUs that torch cannot use, the first time that it is called; without any left there is the CPU.

    To be called under `claiming`. `ask` says what is wrong with a GPU, None when it computes.
    """
    devices, settings = runtime.devices, runtime.settings
    if not devices.unproven:
        return
    with ThreadPoolExecutor(AT_ONCE) as pool:
        faults = dict(zip(devices.unproven, pool.map(ask or fault_of, devices.unproven), strict=True))
    for gpu, fault in faults.items():
        if fault is not None:
            log.warning("GPU %s is left out, torch cannot use it: %s", gpu, fault)
            runtime.figures.left_out(gpu, fault)
    proven = [gpu for gpu, fault in faults.items() if fault is None]
    if not proven:
        log.warning("no GPU can be used: trials compute on the CPU")
    devices.settle(places(proven, settings.train_slots, settings.worker_threads))


def fault_of(gpu: str, *, probe: str = PROBE, timeout_seconds: float = TIMEOUT_SECONDS) -> str | None:
    """What keeps torch from computing on the GPU, in words; None when it computes, if only its memory were free."""
    environment = os.environ | Device("cuda:0", gpu, 1).environment
    child = subprocess.Popen(
        [sys.executable, "-c", probe], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        said = child.communicate(timeout=timeout_seconds)[0].strip()
    except subprocess.TimeoutExpired:
        child.kill()
        with suppress(subprocess.TimeoutExpired):  # one that hangs in the driver does not even die
            child.communicate(timeout=1.0)
        return f"It has not answered within {timeout_seconds:.0f} s."
    if said == WELL or "out of memory" in said.lower():
        return None
    return said or f"The process that tried ended with exit code {child.returncode}."
