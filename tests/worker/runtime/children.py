"""Work for children of tests; importable by name in the child."""

import ctypes
import itertools
import mmap
import os
import signal
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from service.errors import Diverged, ExportFailed, Stopped
from worker.exporting.order import ExportOrder
from worker.runtime.child import Reporter
from worker.training.order import PassesTooLarge

if TYPE_CHECKING:  # children start sooner without it, and some have half a second to live
    from worker.runtime.work import ValidationOrder
    from worker.training.order import TrialOrder


def say_and_return(payload: int, reporter: Reporter) -> int:
    for step in range(payload):
        reporter.event("log", f"step {step}", {})
    return payload * 2


def count_to_a_hundred(payload: str, reporter: Reporter) -> None:
    """And leaves a file."""
    for number in range(1, 101):
        reporter.progress(1, number / 100)
    Path(payload).touch()


def run_epochs(payload: int, reporter: Reporter) -> int:
    """As many epochs as fast as it can, until it is asked to stop; how many it began."""
    for number in range(1, payload + 1):
        if reporter.stop_requested():
            return number - 1
        reporter.epoch(Epoch(number))
    return payload


@dataclass
class Epoch:
    epoch: int


def diverge(payload: object, reporter: Reporter) -> None:
    raise Diverged("The loss was not finite in epoch 3.")


def break_down(payload: object, reporter: Reporter) -> None:
    raise RuntimeError("a secret path /home/someone")


def die(payload: object, reporter: Reporter) -> None:
    os.abort()


def overrun(payload: object, reporter: Reporter) -> None:
    """Reads where nothing is, as a decoder with a defect does."""
    ctypes.string_at(0)


def die_while_speaking(payload: object, reporter: Reporter) -> None:
    """Killed after the head of a message of 1,000 bytes."""
    os.write(reporter._pipe.fileno(), struct.pack("!i", 1000) + b"half")
    os.kill(os.getpid(), signal.SIGKILL)


def run_out_of_memory(payload: object, reporter: Reporter) -> None:
    raise MemoryError


def fill_the_disk(payload: str, reporter: Reporter) -> None:
    """`/dev/full` answers as a full disk does."""
    with open("/dev/full", "w") as file:
        file.write("x" * 100_000)


def wait_for_stop(payload: str, reporter: Reporter) -> None:
    """Writes its process id, then its grandchild's; stops when asked."""
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(payload).write_text(f"{os.getpid()} {grandchild.pid}")
    while not reporter.stop_requested():
        reporter.progress(1, 0.5)
        time.sleep(0.02)
    raise Stopped("asked")


def ignore_everything(payload: str, reporter: Reporter) -> None:
    Path(payload).write_text(f"{os.getpid()}")
    while True:
        reporter.progress(1, 0.5)
        time.sleep(0.02)


def return_once_there_is(payload: str, reporter: Reporter) -> str:
    """A file."""
    while not Path(payload).exists():
        time.sleep(0.02)
    return payload


def fall_silent(payload: str, reporter: Reporter) -> None:
    Path(payload).write_text(f"{os.getpid()}")
    time.sleep(600)


def have_room_for_two(order: "TrialOrder", reporter: Reporter) -> None:
    """As a rank whose memory suffices for passes of two samples; then it is asked to stop."""
    size = order.micro_batch_size or 8
    if size > 2:
        raise PassesTooLarge(f"Memory does not suffice for {size} samples.", size // 2)
    raise Stopped("asked")


def map_and_wait(payload: str, reporter: Reporter) -> None:
    """Reads a mapped file, and once told to, takes as much memory of its own; each step leaves a file beside it."""
    with open(payload, "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    total = sum(mapped[:: mmap.PAGESIZE])
    Path(payload + ".read").write_text(f"{total}")
    while not Path(payload + ".eat").exists():
        time.sleep(0.02)
    kept = bytearray(b"1" * len(mapped))
    Path(payload + ".eaten").write_text(f"{len(kept)}")
    time.sleep(600)


def be_silent(payload: object, reporter: Reporter) -> None:
    time.sleep(600)


def eat_memory(payload: object, reporter: Reporter) -> None:
    kept = []
    while True:
        kept.append(b"x" * 32 * 1024**2)
        reporter.progress(1, 0.5)
        time.sleep(0.05)


def eat_disk(payload: str, reporter: Reporter) -> None:
    """Fills a folder, file after file of 1 MiB."""
    for number in itertools.count():
        Path(payload, f"{number}").write_bytes(b"x" * 1024**2)
        reporter.progress(1, 0.5)
        time.sleep(0.02)


def eat_its_scratch(order: "TrialOrder", reporter: Reporter) -> None:
    eat_disk(str(order.scratch), reporter)


def tell_its_score(payload: object, reporter: Reporter) -> int:
    return int(Path("/proc/self/oom_score_adj").read_text())


def write_a_file(order: ExportOrder, reporter: Reporter) -> Path:
    order.target.write_bytes(b"exported " + order.weights.read_bytes())
    return order.target


def write_and_wait(order: ExportOrder, reporter: Reporter) -> Path:
    """Writes half a file and, next to its folder, its process id; stops when asked."""
    order.target.write_bytes(b"half")
    order.target.parent.with_suffix(".pid").write_text(f"{os.getpid()}")
    while not reporter.stop_requested():
        time.sleep(0.02)
    raise Stopped("asked")


def refuse_to_export(order: ExportOrder, reporter: Reporter) -> Path:
    raise ExportFailed("The network cannot be written as ONNX.")


def fill_and_wait(order: "ValidationOrder", reporter: Reporter) -> None:
    """Writes samples, and stops when asked."""
    order.samples.write_bytes(b"half of them")
    while not reporter.stop_requested():
        reporter.progress(0, 0.5)
        time.sleep(0.02)
    raise Stopped("asked")
