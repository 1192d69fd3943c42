"""Bells wake other processes at once.

A bell carries no truth and no message: whoever hears it looks again. Who misses one (another process heard it, the
pipe was full, nobody listened yet, the broker was away) looks again by itself after a while, as everybody does where
there are no bells.
"""

import os
import select
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol


class Bell(Protocol):
    """Whatever rings; `select` takes its `fileno`."""

    def ring(self) -> None:
        """Wakes who listens, if anybody does; never fails."""

    def fileno(self) -> int:
        """Is readable once it has rung; listening begins here."""

    def quieten(self) -> None:
        """Forgets the rings so far."""

    def close(self) -> None:
        """Stops listening."""


class PipeBell:
    """One named pipe for the processes of one machine that share its folder: a ring wakes one of them."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.bell"
        self._heard: int | None = None

    def ring(self) -> None:
        """Wakes one listener, if there is any; never waits and never fails."""
        with suppress(OSError):  # nobody listens, or enough rings are waiting already
            pipe = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(pipe, b"!")
            finally:
                os.close(pipe)

    def fileno(self) -> int:
        """The pipe's reading end."""
        if self._heard is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.mkfifo(self._path, 0o600)
            # Open for writing as well: a pipe that its last writer has left would be readable for ever.
            self._heard = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)
        return self._heard

    def quieten(self) -> None:
        """Forgets the rings so far."""
        with suppress(BlockingIOError):
            os.read(self.fileno(), 4096)

    def close(self) -> None:
        """Stops listening."""
        if self._heard is not None:
            os.close(self._heard)
            self._heard = None


def wait_for_any(bells: Sequence[Bell], timeout_seconds: float) -> bool:
    """Returns when one of the bells rings, or after the timeout; whether one rang."""
    rung = select.select(bells, [], [], timeout_seconds)[0]
    for bell in rung:
        bell.quieten()
    return bool(rung)
