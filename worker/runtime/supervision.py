"""The parent's side of a child: heartbeat, wishes, limits, and how it ended."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from service.errors import ResourceExhausted
from worker.runtime.children import Child
from worker.runtime.messages import Crashed, Ending, Failed, GaveUp, Report
from worker.runtime.ranks import Ranks
from worker.runtime.scratch import folder_bytes
from worker.runtime.scribe import Scribe, Wish

LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Watch:
    """Limits of one child, in seconds and bytes; 0 bytes is no limit.

    Attributes:
        wall_seconds: of this attempt.
        stall_seconds: longest silence.
        patience: for how many seconds the database may be away before the work is stopped; fewer for who drains.
        scratch: the child's folder, which may hold `scratch_bytes`; weighed at each heartbeat.
    """

    heartbeat_seconds: float
    grace_seconds: float
    wall_seconds: float
    stall_seconds: float
    patience: Callable[[], float]
    memory_bytes: int = 0
    scratch: Path | None = None
    scratch_bytes: int = 0


class Supervisor:
    """Watches one child, or the ranks of a trial as one, until it has ended; a `Scribe` talks to the database.

    Args:
        beat: renews the lease and says whether to go on; may raise `LeaseLost`, and database errors, which are
            borne for as long as `Watch.patience` says.
        record: keeps one report; the same errors, and the report is kept until it is written.
        wish: cheap; asked twice a second and after each epoch (a draining worker); `look` has it beat at once.
        reports: to be kept before those of the child.
    """

    def __init__(
        self,
        child: Child | Ranks,
        watch: Watch,
        *,
        beat: Callable[[], Wish],
        record: Callable[[Report], None],
        wish: Callable[[], Wish],
        reports: Iterable[Report] = (),
    ) -> None:
        self._child = child
        self._watch = watch
        self._wish = wish
        self._scribe = Scribe(beat, record, follow=self._follow, every_seconds=watch.heartbeat_seconds, reports=reports)
        self._stop_at: float | None = None
        self._weighed_at = time.monotonic()

    def run(self) -> Ending:
        """How the child ended; it is killed when this returns or raises, and `Child.await_end` waits until it is gone.

        Raises:
            LeaseLost: somebody else holds the row, or may; nothing more may be written.
        """
        try:
            with self._scribe:
                ending = self._until_end()
                self._child.kill()
                self._scribe.finish(self._watch.patience)
                return ending
        finally:
            self._child.kill()

    def _until_end(self) -> Ending:
        started = heard = time.monotonic()
        while True:
            for message in self._child.messages(LOOK_SECONDS):
                heard = time.monotonic()
                if not isinstance(message, Report):
                    return message
                self._scribe.write(message)
            self._scribe.check()
            self._obey(self._wish())
            if self._scribe.away_seconds > self._watch.patience():
                self._stop()
            now = time.monotonic()
            if self._stop_at is not None and now >= self._stop_at:
                return GaveUp()
            over = self._limit_reached(now - started, now - heard)
            if over is not None:
                return over
            if not self._child.is_alive():
                return self._after_death()

    def _follow(self, wish: Wish, epochs: int) -> None:
        """In the scribe's thread: what follows from its epochs is told to the child before it goes on."""
        self._obey(wish)
        if epochs:
            self._obey(self._wish())
            self._child.heed(epochs)

    def _obey(self, wish: Wish) -> None:
        if wish == "stop":
            self._stop()
        elif wish == "look":
            self._scribe.look()

    def _stop(self) -> None:
        if self._stop_at is None:
            self._child.ask_to_stop()  # before anybody can see that it was asked, and goes on to `heed`
            self._stop_at = time.monotonic() + self._watch.grace_seconds

    def _after_death(self) -> Ending:
        for message in self._child.messages(0):
            if not isinstance(message, Report):
                return message
            self._scribe.write(message)
        return Crashed(f"The child process ended with exit code {self._child.exit_code}.")

    def _limit_reached(self, running: float, silent: float) -> Ending | None:
        if running > self._watch.wall_seconds:
            detail = f"The limit of {self._watch.wall_seconds:.0f} seconds was reached."
            return Failed(ResourceExhausted(detail).to_problem())
        if silent > self._watch.stall_seconds:
            return Crashed(f"The child process was silent for {silent:.0f} seconds.", at_work=False)
        if self._watch.memory_bytes and self._child.memory_bytes() > self._watch.memory_bytes:
            detail = f"The limit of {self._watch.memory_bytes} bytes of memory was reached."
            return Failed(ResourceExhausted(detail).to_problem())
        if self._disk_limit_reached():
            detail = f"The limit of {self._watch.scratch_bytes} bytes on the disk was reached."
            return Failed(ResourceExhausted(detail).to_problem())
        return None

    def _disk_limit_reached(self) -> bool:
        now = time.monotonic()
        if (
            not (self._watch.scratch and self._watch.scratch_bytes)
            or now - self._weighed_at < self._watch.heartbeat_seconds
        ):
            return False
        self._weighed_at = now
        return folder_bytes(self._watch.scratch) > self._watch.scratch_bytes
