"""One look at the database for all event streams of a process, however many there are.

A stream reads by itself what happened before it began. From there on it is told, together with everybody who follows
the same job; one that cannot keep up reads by itself again.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from service.events.schemas import EventRead
from service.store import Store, UnitOfWork
from service.store.jobs import TERMINAL, Standing
from service.waiting import Announcements, Lookout

PAGE = 200
KEPT = 256
"""Events of a job that are kept for who follows it."""
FIRST_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Piece:
    """An event as a stream sends it."""

    seq: int
    text: str


@dataclass(frozen=True)
class Seen:
    """What one look saw: of jobs that are there, where they stand and what is new; which keys still open."""

    standings: dict[str, Standing]
    news: dict[str, list[Piece]]
    living_keys: set[str]


class Followed:
    """A job that streams follow, from its event `seq` on."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.is_over = False
        self.keys: Counter[str] = Counter()
        self.change = asyncio.Event()
        """Is set at the next change, whatever it is; ask for it before looking at the rest."""
        self._pieces: deque[Piece] = deque(maxlen=KEPT)

    def after(self, seq: int) -> list[Piece] | None:
        """Events with a higher number; None when some of them are not kept any more."""
        first = self._pieces[0].seq - 1 if self._pieces else self.seq
        return None if seq < first else [piece for piece in self._pieces if piece.seq > seq]

    def tell(self, news: list[Piece], standing: Standing | None) -> None:
        """Adds what is new; without a standing the job is gone."""
        self._pieces.extend(news)
        self.seq = news[-1].seq if news else self.seq
        self.is_over = standing is None or (standing.state in TERMINAL and self.seq >= standing.seq)
        if news or self.is_over:
            self.wake()

    def wake(self) -> None:
        """Has everybody look."""
        self.change.set()
        self.change = asyncio.Event()


class Watch(Lookout):
    """Looks for as long as anything is followed."""

    first_poll_seconds = FIRST_POLL_SECONDS
    growth = 1.5

    def __init__(self, store: Store, announcements: Announcements) -> None:
        super().__init__(announcements)
        self._store = store
        self._followed: dict[str, Followed] = {}
        self._dead_keys: set[str] = set()
        self._closed = False

    @contextmanager
    def follow(self, job_id: str, key_id: str, seq: int) -> Iterator[Followed]:
        """A job, until the block ends; `seq` is the last event that the caller has read."""
        followed = self._followed.setdefault(job_id, Followed(seq))
        followed.keys[key_id] += 1
        self.look_soon()
        try:
            yield followed
        finally:
            followed.keys[key_id] -= 1
            if followed.keys.total() == 0:
                del self._followed[job_id]

    def admits(self, key_id: str) -> bool:
        """Whether a key still opened at the last look, and the process goes on."""
        return not (self._closed or key_id in self._dead_keys)

    def close(self) -> None:
        """Ends every stream soon."""
        self._closed = True
        for followed in self._followed.values():
            followed.wake()

    def is_wanted(self) -> bool:
        """Whether anything is followed."""
        return bool(self._followed) and not self._closed

    async def look(self) -> bool:
        """Tells followers what is new of their jobs, and that their keys or jobs are no more."""
        seqs = {job_id: followed.seq for job_id, followed in self._followed.items()}
        keys = {key for followed in self._followed.values() for key in +followed.keys}
        seen = await run_in_threadpool(self._look, seqs, keys)
        self._tell(seen, seqs, keys)
        return bool(seen.news)

    def _look(self, seqs: dict[str, int], keys: set[str]) -> Seen:
        with self._store.read() as work:
            living = work.keys.living(keys)
            standings = work.jobs.standings(seqs)
            newer = [job_id for job_id, standing in standings.items() if standing.seq > seqs[job_id]]
            return Seen(standings, {job_id: pieces(work, job_id, seqs[job_id]) for job_id in newer}, living)

    def _tell(self, seen: Seen, seqs: dict[str, int], keys: set[str]) -> None:
        self._dead_keys = keys - seen.living_keys
        for job_id, seq in seqs.items():
            followed = self._followed.get(job_id)
            if followed is None or followed.seq != seq:
                continue  # followed anew since
            followed.tell(seen.news.get(job_id, []), seen.standings.get(job_id))
            if not self._dead_keys.isdisjoint(+followed.keys):
                followed.wake()


def pieces(work: UnitOfWork, job_id: str, after: int) -> list[Piece]:
    """The next events of a job, `PAGE` at most."""
    read = [EventRead.from_row(row) for row in work.events.after(job_id, after, PAGE)]
    return [
        Piece(event.seq, f"id: {event.seq}\nevent: {event.type}\ndata: {event.model_dump_json()}\n\n") for event in read
    ]
