"""The parent's side of a child: heartbeat, wishes, limits, and how it ended."""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy.exc import SQLAlchemyError

from service.errors import LeaseLost, ResourceExhausted
from worker.runtime.children import Child
from worker.runtime.messages import Crashed, Ending, Failed, GaveUp, Report
from worker.runtime.ranks import Ranks
from worker.runtime.scratch import folder_bytes

log = logging.getLogger(__name__)

Wish = Literal["go_on", "look", "stop"]
"""`look`: ask the database now."""
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Watch:
    """Limits of one child, in seconds and bytes; 0 bytes is no limit.

    Attributes:
        wall_seconds: of this attempt.
        stall_seconds: longest silence.
        scratch: the child's folder, which may hold `scratch_bytes`; weighed at each heartbeat.
        patience_seconds: how long the database may be away before the work is stopped.
    """

    heartbeat_seconds: float
    grace_seconds: float
    wall_seconds: float
    stall_seconds: float
    memory_bytes: int = 0
    scratch: Path | None = None
    scratch_bytes: int = 0
    patience_seconds: float = 1200.0


class Supervisor:
    """Watches one child, or the ranks of a trial as one, until it has ended.

    Args:
        beat: renews the lease and says whether to go on; may raise `LeaseLost`, and database errors, which are
            borne for `patience_seconds`.
        record: keeps one report; the same errors, and the report is kept until it is written.
        wish: cheap; asked twice a second (a draining worker); `look` has it beat at once.
    """

    def __init__(
        self,
        child: Child | Ranks,
        watch: Watch,
        *,
        beat: Callable[[], Wish],
        record: Callable[[Report], None],
        wish: Callable[[], Wish],
    ) -> None:
        self._child = child
        self._watch = watch
        self._beat = beat
        self._record = record
        self._wish = wish
        self._reports: deque[Report] = deque()
        self._epochs_written = 0
        self._database_ok_at = self._weighed_at = time.monotonic()

    def run(self) -> Ending:
        """How the child ended; it is killed when this returns or raises, and `Child.await_end` waits until it is gone.

        Raises:
            LeaseLost: somebody else holds the row; nothing more may be written.
        """
        try:
            ending = self._until_end()
            while self._reports and not self._write_reports():
                time.sleep(LOOK_SECONDS)
            return ending
        finally:
            self._child.kill()

    def _until_end(self) -> Ending:
        started = heard = beaten = time.monotonic()
        stop_at: float | None = None
        while True:
            for message in self._child.messages(LOOK_SECONDS):
                heard = time.monotonic()
                if not isinstance(message, Report):
                    return message
                self._reports.append(message)
            self._write_reports()
            now = time.monotonic()
            wish = self._wish()
            if wish == "look" or now - beaten >= self._watch.heartbeat_seconds:
                beaten = now
                wish = "stop" if self._beats() == "stop" else wish
            if wish == "stop" and stop_at is None:
                self._child.ask_to_stop()
                stop_at = now + self._watch.grace_seconds
            if self._epochs_written:
                self._child.heed(self._epochs_written)
                self._epochs_written = 0
            if stop_at is not None and now >= stop_at:
                return GaveUp()
            over = self._limit_reached(now - started, now - heard)
            if over is not None:
                return over
            if not self._child.is_alive():
                return self._after_death()

    def _after_death(self) -> Ending:
        for message in self._child.messages(0):
            if not isinstance(message, Report):
                return message
            self._reports.append(message)
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

    def _beats(self) -> Wish:
        try:
            wish = self._beat()
        except SQLAlchemyError as error:
            return self._bear(error)
        self._database_ok_at = time.monotonic()
        return wish

    def _write_reports(self) -> bool:
        try:
            while self._reports:
                self._record(self._reports[0])
                self._epochs_written += self._reports.popleft().kind == "epoch"
        except SQLAlchemyError as error:
            if self._bear(error) == "stop":
                raise LeaseLost("The database was away for too long.") from error
            return False
        return True

    def _bear(self, error: SQLAlchemyError) -> Wish:
        away = time.monotonic() - self._database_ok_at
        log.warning("database away for %.0f s: %s", away, type(error).__name__)
        return "stop" if away > self._watch.patience_seconds else "go_on"
