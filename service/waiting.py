"""How requests wait for news of a resource: they look again and again, at once when somebody rings."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from service.bells import Bell

FIRST_POLL_SECONDS = 0.005
FIRST_POLL_BESIDE_A_BELL_SECONDS = 0.05
LAST_POLL_SECONDS = 0.5
POLL_GROWTH = 1.05


class Announcements:
    """What one API process hears of resources that have changed."""

    def __init__(self, bell: Bell | None) -> None:
        self._bell = bell
        self._listening = False
        self._heard = asyncio.Event()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hears the bell from the running event loop, until the block ends."""
        if self._bell is None:
            yield
            return
        loop = asyncio.get_running_loop()
        loop.add_reader(self._bell, self._ring)
        self._listening = True
        try:
            yield
        finally:
            self._listening = False
            loop.remove_reader(self._bell)
            self._bell.close()

    @property
    def first_poll_seconds(self) -> float:
        """After how long to look again for the first time, whatever is heard."""
        return FIRST_POLL_BESIDE_A_BELL_SECONDS if self._listening else FIRST_POLL_SECONDS

    @property
    def next_ring(self) -> asyncio.Event:
        """Is set at the next ring; who takes it before he looks misses none while he looks."""
        return self._heard

    async def wait(self, timeout_seconds: float, ring: asyncio.Event | None = None) -> None:
        """Until something has changed, whatever it is, or the timeout; counted from where `ring` was taken, or now."""
        with anyio.move_on_after(timeout_seconds):
            await (ring or self._heard).wait()

    def _ring(self) -> None:
        assert self._bell is not None
        self._bell.quieten()
        self._heard.set()
        self._heard = asyncio.Event()
