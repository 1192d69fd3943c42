"""Rebuildable files within a budget of bytes, shared by the processes of a machine; the least recently used go first.

A file in use carries a shared lock (flock), a file being written an exclusive one. Whoever makes room takes an
exclusive lock before it removes a file, and passes over what it does not get. The kernel drops the locks of a process
that ends, so a file that was being written by a killed process is known by having no lock.
"""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

FREE_SHARE = 0.25
"""Of the disk's free bytes, for one entry that can be done without."""
_LOOK_SECONDS = 0.05
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class NoRoom(OSError):
    """Neither the budget nor the disk has room for a file; its errno is ENOSPC."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        super().__init__(errno.ENOSPC, f"no room for {size_bytes} bytes", str(path))


@dataclass(frozen=True)
class Entry:
    """A file of the cache that stays where it is while `file`, or a memory map of it, is open."""

    path: Path
    file: IO[bytes]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


@dataclass(frozen=True)
class DiskCache:
    """Files below `folder`, in one folder for each dataset, named by its digest.

    `budget_bytes` holds for all of them together. What is in use is never removed; an entry that is needed is written
    also where that exceeds the budget, and is removed like any other once it is not in use.
    """

    folder: Path
    budget_bytes: int

    def get(
        self,
        dataset: str,
        name: str,
        size_bytes: int,
        make: Callable[[IO[bytes]], None],
        *,
        tick: Callable[[], None],
        optional: bool = False,
    ) -> Entry:
        """The entry `name` of `dataset`; `make` fills it if it is missing or not of `size_bytes`.

        One process makes an entry; others that ask for it wait and call `tick`, which may raise to stop. What `make`
        gets is open for reading and writing and has `size_bytes` reserved on the disk, so that it may be mapped.

        Raises:
            NoRoom: the disk is full, or the entry is `optional` and exceeds the budget or a quarter of the free disk.
        """
        path = self._path(dataset, name)
        part = path.with_name(f".{name}.part")
        while (entry := _find(path, size_bytes)) is None:
            file = _begin(part)
            if file is None:
                tick()
                time.sleep(_LOOK_SECONDS)
            elif (entry := _find(path, size_bytes)) is not None:
                part.unlink(missing_ok=True)
                file.close()
                break
            else:
                with _removed_on_error(part, file):
                    self._reserve(file, path, size_bytes, optional=optional)
                    make(file)
                    file.flush()
                    os.fsync(file.fileno())
                    part.replace(path)
                fcntl.flock(file, fcntl.LOCK_SH)
                return Entry(path, file)
        return entry

    def find(self, dataset: str, name: str) -> Entry | None:
        """The entry `name` of `dataset`, if it is there."""
        return _find(self._path(dataset, name), None)

    def datasets(self) -> list[str]:
        """The digests of all datasets that have a folder here."""
        return [path.name for path in self.folder.glob("*") if path.is_dir()]

    def forget(self, dataset: str) -> None:
        """Removes everything of a dataset; what is open stays readable."""
        shutil.rmtree(self._path(dataset, ""), ignore_errors=True)

    def make_room(self, size_bytes: int = 0) -> bool:
        """Removes what killed processes left half-written, then the least recently used files out of use.

        Returns whether `size_bytes` more now fit into the budget and on the disk.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        files: list[tuple[float, int, Path]] = []
        for path in self.folder.glob("*/*"):
            with suppress(FileNotFoundError):
                if not (path.name.startswith(".") and _remove_unused(path)):
                    stat = path.stat()
                    files.append((stat.st_mtime, stat.st_size, path))
        free = shutil.disk_usage(self.folder).free
        excess = max(sum(size for _, size, _ in files) + size_bytes - self.budget_bytes, size_bytes - free)
        for _, size, path in sorted(files):
            if excess <= 0:
                break
            if _remove_unused(path):
                excess -= size
        return excess <= 0

    def _reserve(self, file: IO[bytes], path: Path, size_bytes: int, *, optional: bool) -> None:
        """Blocks on the disk for `file`; one process at a time, so that the budget holds for all together."""
        with _locked(self.folder):
            free = shutil.disk_usage(self.folder).free
            if optional and size_bytes > min(self.budget_bytes, FREE_SHARE * free):
                raise NoRoom(path, size_bytes)
            if not self.make_room(size_bytes) and optional:
                raise NoRoom(path, size_bytes)
            try:
                if size_bytes:  # the system refuses to reserve nothing
                    os.posix_fallocate(file.fileno(), 0, size_bytes)
            except OSError as error:
                if error.errno in _NO_ROOM:
                    raise NoRoom(path, size_bytes) from error
                raise

    def _path(self, dataset: str, name: str) -> Path:
        return self.folder / dataset.replace(":", "-") / name


def _find(path: Path, size_bytes: int | None) -> Entry | None:
    """The entry at `path`, locked and marked as used; None if it is missing, vanishing, or not of `size_bytes`."""
    with suppress(FileNotFoundError):
        file = path.open("rb")
        fcntl.flock(file, fcntl.LOCK_SH)
        if _is_at(file, path) and size_bytes in (None, os.fstat(file.fileno()).st_size):
            os.utime(file.fileno())
            return Entry(path, file)
        file.close()
    return None


def _begin(part: Path) -> IO[bytes] | None:
    """An empty file at `part` under an exclusive lock; None while another process has it."""
    part.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        file = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
        if _lock_now(file) and _is_at(file, part):
            file.truncate(0)
            return file
        file.close()
    return None


def _remove_unused(path: Path) -> bool:
    """Removes the file unless somebody has a lock on it; whether it did."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        if _lock_now(file) and _is_at(file, path):
            path.unlink()
            return True
    return False


def _lock_now(file: IO[bytes]) -> bool:
    """Takes an exclusive lock if nobody has any."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether the open file is still the one at `path`: it may have been removed before it was locked."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def _removed_on_error(part: Path, file: IO[bytes]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        part.unlink(missing_ok=True)
        file.close()
        raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time in `folder`."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)
