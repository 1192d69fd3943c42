"""How requests wait for news of resources: one look at the database for all of them, at once when somebody rings."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from service.bells import Bell
from service.store import Store

log = logging.getLogger(__name__)
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

    async def wait(self, timeout_seconds: float) -> None:
        """Until something has changed, whatever it is, or the timeout."""
        with anyio.move_on_after(timeout_seconds):
            await self._heard.wait()

    def _ring(self) -> None:
        assert self._bell is not None
        self._bell.quieten()
        self._heard.set()
        self._heard = asyncio.Event()


class Lookout(ABC):
    """Looks for all who wait in this process, one look after the other, for as long as anybody waits.

    Who begins to wait has it look again soon; while nothing changes it looks less and less often.
    """

    growth = POLL_GROWTH

    def __init__(self, announcements: Announcements) -> None:
        self._announcements = announcements
        self._task: asyncio.Task[None] | None = None
        self._asleep: anyio.CancelScope | None = None
        self._poll = self._due = 0.0

    @abstractmethod
    def is_wanted(self) -> bool:
        """Whether anybody waits."""

    @abstractmethod
    async def look(self) -> bool:
        """Looks once and wakes whom it concerns; whether there was news."""

    @property
    def first_poll_seconds(self) -> float:
        """After how long to look again where something is going on."""
        return self._announcements.first_poll_seconds

    def look_soon(self) -> None:
        """To be called by whoever begins to wait, from the running event loop."""
        self._poll = self.first_poll_seconds
        due = anyio.current_time() + self._poll
        if self._task is None or self._task.done():
            self._due = due
            self._task = asyncio.get_running_loop().create_task(self._look_on())
        elif due < self._due:
            self._due = due
            if self._asleep is not None:
                self._asleep.cancel()

    async def _look_on(self) -> None:
        ring = self._announcements.next_ring
        while self.is_wanted():
            if not await self._sleep(ring):
                continue
            ring = self._announcements.next_ring
            news = False
            try:
                news = await self.look()
            except SQLAlchemyError as error:
                log.warning("those who wait have to, for the database: %s", type(error).__name__)
            self._poll = self.first_poll_seconds if news else min(self._poll * self.growth, LAST_POLL_SECONDS)
            self._due = anyio.current_time() + self._poll

    async def _sleep(self, ring: asyncio.Event) -> bool:
        """Until a look is due or somebody rings; False when one was asked for sooner meanwhile."""
        with anyio.CancelScope() as self._asleep:
            with anyio.move_on_after(self._due - anyio.current_time()):
                await ring.wait()
        return not self._asleep.cancelled_caught


@dataclass(eq=False)
class Waiter:
    """Somebody who waits until a row's state is another one."""

    row_id: str
    state: str
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class States(Lookout):
    """Waits for states of resources to change."""

    def __init__(self, store: Store, announcements: Announcements) -> None:
        super().__init__(announcements)
        self._store = store
        self._waiting: set[Waiter] = set()

    def is_wanted(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)

    async def changed(self, row_id: str, state: str, timeout_seconds: float) -> None:
        """Until the row is in another state or gone, or the timeout."""
        waiter = Waiter(row_id, state)
        self._waiting.add(waiter)
        self.look_soon()
        try:
            with anyio.move_on_after(timeout_seconds):
                await waiter.changed.wait()
        finally:
            self._waiting.discard(waiter)

    async def look(self) -> bool:
        """Wakes those whose row has changed."""
        asked = list(self._waiting)
        states = await run_in_threadpool(self._store.states_of, {waiter.row_id for waiter in asked})
        awake = [waiter for waiter in asked if states.get(waiter.row_id) != waiter.state]
        for waiter in awake:
            waiter.changed.set()
        return bool(awake)
