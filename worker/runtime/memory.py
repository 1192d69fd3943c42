"""How much memory a child may take: a share of what this machine, or the container around the worker, has."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMPUTING_SHARE = 0.8
"""Of all trials of one worker together; the rest is for the system, the API and the other workers."""
READING_SHARE = 0.5
"""A table took 200 MiB and 3.5 to 4.5 times its CSV (measured with 100 MiB of numbers, and of texts): the largest
upload is read where 20 GiB are, one of 400 MiB where 4 GiB are.
"""
LEAST_BYTES = 1536 * 1024**2
"""What a child is never denied, in how many parts the memory may be cut: libraries alone take a third of it."""
UNLIMITED_BYTES = 1 << 62
"""cgroup v1 writes a number about as large for no limit."""


@dataclass(frozen=True)
class MemoryLimits:
    """Bytes that one child may hold; 0 is no limit.

    Attributes:
        computing: a trial, or an export.
        reading: whoever decodes what strangers have sent, or proposes a search's next trial.
    """

    computing: int
    reading: int


def memory_limits(chosen: int | None, slots: int, available: int) -> MemoryLimits:
    """The limits of a worker of `slots` trials at once where `available` bytes are; `chosen`, if any, stands for the
    share of a trial, and no reader gets more.
    """
    if chosen == 0:
        return MemoryLimits(0, 0)
    whole = int(COMPUTING_SHARE * available)
    least = min(LEAST_BYTES, whole)
    reading = max(int(READING_SHARE * available), least)
    computing = chosen or max(whole // slots, least)
    return MemoryLimits(computing, min(reading, chosen or reading))


def available_memory(process: Path = Path("/proc/self/cgroup"), mounts: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes of the machine, or of the narrowest cgroup (v1 or v2) around this process if that has less."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *_cgroup_limits(process, mounts)])


def _cgroup_limits(process: Path, mounts: Path) -> Iterator[int]:
    try:
        lines = process.read_text().splitlines()
    except OSError:
        return
    for _, controllers, group in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if controllers == "":
            yield from _limits_from(mounts, group, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _limits_from(mounts / "memory", group, "memory.limit_in_bytes")


def _limits_from(root: Path, group: str, name: str) -> Iterator[int]:
    """Limits of a group and of those around it. In a container the group's path may be the host's, which is not
    there; the container's own group is the root then.
    """
    place = root / group.lstrip("/")
    for folder in (place, *place.parents):
        if not folder.is_relative_to(root):
            return
        try:
            text = (folder / name).read_text().strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < UNLIMITED_BYTES:
            yield int(text)
