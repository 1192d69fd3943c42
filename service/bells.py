"""Bells: named pipes that wake the other processes of an embedded service at once.

A bell carries no truth and no message: whoever hears it looks again. Who misses one (another process heard it, the
pipe was full, nobody listened yet) looks again by itself after a while, as everybody does where there are no bells.
"""

import os
import select
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


class Bell:
    """One named pipe; processes that may ring or hear it share its folder."""

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
        """The pipe's reading end, which `select` takes; listening begins here."""
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


def wait_for_any(bells: Sequence[Bell], timeout_seconds: float) -> None:
    """Returns when one of the bells rings, or after the timeout."""
    for bell in select.select(bells, [], [], timeout_seconds)[0]:
        bell.quieten()
