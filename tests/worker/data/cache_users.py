"""What other processes do with a cache in tests. Torch-free, importable by name in a spawned process."""

import mmap
import os
import random
import time
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, Any

from worker.data.disk_cache import DiskCache

KIB = 1024


def no_tick() -> None:
    """Nobody asks to stop."""


def content(name: str, size_bytes: int) -> bytes:
    """What entry `name` should hold."""
    return random.Random(name).randbytes(size_bytes)


def writer(name: str, size_bytes: int) -> Any:
    """Fills an entry."""

    def make(file: IO[bytes]) -> None:
        file.write(content(name, size_bytes))

    return make


def put(cache: DiskCache, name: str, size_bytes: int, *, dataset: str = "d", optional: bool = False) -> Path:
    """An entry that is used once, now."""
    with cache.get(dataset, name, size_bytes, writer(name, size_bytes), tick=no_tick, optional=optional) as entry:
        return entry.path


def spawn(work: Any, *arguments: Any) -> BaseProcess:
    """A process of its own, started from nothing."""
    process = get_context("spawn").Process(target=work, args=arguments, daemon=True)
    process.start()
    return process


def wait_for(path: Path) -> None:
    """Until another process has written `path`."""
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def hold(cache: DiskCache, name: str, size_bytes: int, says: Path, ends: Path) -> None:
    """Maps an entry and closes its file, as tensors do; checks the map once `ends` is there."""
    entry = cache.get("d", name, size_bytes, writer(name, size_bytes), tick=no_tick)
    memory = mmap.mmap(entry.file.fileno(), size_bytes, access=mmap.ACCESS_COPY)
    entry.file.close()
    says.touch()
    wait_for(ends)
    os._exit(0 if bytes(memory) == content(name, size_bytes) else 1)


def make_slowly(cache: DiskCache, name: str, size_bytes: int, log: Path, until: Path) -> None:
    """Gets an entry whose making ends when `until` is there; notes each making and each wait as a file in `log`."""

    def make(file: IO[bytes]) -> None:
        (log / f"made-{os.getpid()}").touch()
        wait_for(until)
        file.write(content(name, size_bytes))

    def tick() -> None:
        (log / f"waited-{os.getpid()}").touch()

    with cache.get("d", name, size_bytes, make, tick=tick) as entry:
        os._exit(0 if entry.path.read_bytes() == content(name, size_bytes) else 1)


def use_many(cache: DiskCache, names: list[str], size_bytes: int, seed: int) -> None:
    """Uses entries at random, while others evict them: always whole, always there while in use."""
    draw = random.Random(seed)
    for _ in range(150):
        name = draw.choice(names)
        with cache.get("d", name, size_bytes, writer(name, size_bytes), tick=no_tick) as entry:
            time.sleep(draw.random() / 1000)
            if entry.path.read_bytes() != content(name, size_bytes):
                os._exit(1)
    os._exit(0)


def evict_until(cache: DiskCache, ends: Path) -> None:
    """Removes whatever is not in use, again and again."""
    nothing = DiskCache(cache.folder, budget_bytes=0)
    while not ends.exists():
        nothing.make_room()
    os._exit(0)
