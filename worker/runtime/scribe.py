"""What a supervisor writes to the database and asks of it, in a thread of its own.

A query that neither fails nor is answered would keep the supervisor from watching its child otherwise.
"""

import contextvars
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Literal, Self, TypeVar

from service.errors import LeaseLost
from service.store import AWAY
from worker.runtime.messages import Report

log = logging.getLogger(__name__)

Wish = Literal["go_on", "look", "stop"]
"""`look`: ask the database now."""
Question = Literal["beat", "record"]
RETRY_SECONDS = 0.5
Answer = TypeVar("Answer")


class Scribe:
    """Records reports in their order, and beats every so often, until its block ends. One thing at a time, in turn:
    however much there is to record, a cancelled job is heard of, and however slow beats are, reports are recorded.

    Args:
        beat: renews the lease and says whether to go on.
        record: keeps one report.
        follow: told what a beat said, or how many epochs were recorded; called in the scribe's thread.
        reports: to be recorded first.
    """

    def __init__(
        self,
        beat: Callable[[], Wish],
        record: Callable[[Report], None],
        *,
        follow: Callable[[Wish, int], None],
        every_seconds: float,
        reports: Iterable[Report] = (),
    ) -> None:
        self._beat = beat
        self._record = record
        self._follow = follow
        self._every = every_seconds
        self._reports = deque(reports)
        self._changed = threading.Condition()
        self._due = time.monotonic() + every_seconds
        self._pause_until = 0.0
        self._has_beaten = False
        self._asked_at: dict[Question, float] = {}
        self._is_at_work = self._is_finishing = self._is_over = False
        self._error: Exception | None = None

    def __enter__(self) -> Self:
        serve = contextvars.copy_context().run
        threading.Thread(target=serve, args=(self._serve,), name="scribe", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    @property
    def away_seconds(self) -> float:
        """For how long the database has not answered the beat, or has not taken a report; 0 where it has."""
        now = time.monotonic()
        return max((now - asked_at for asked_at in [*self._asked_at.values()]), default=0.0)

    def write(self, report: Report) -> None:
        """Has it recorded after all that came before; of progress that waits, only the last is worth it."""
        with self._changed:
            if report.kind == "progress" and len(self._reports) > 1 and self._reports[-1].kind == "progress":
                self._reports[-1] = report
            else:
                self._reports.append(report)
            self._changed.notify_all()

    def look(self) -> None:
        """Has it beat now."""
        with self._changed:
            self._due = 0.0
            self._changed.notify_all()

    def check(self) -> None:
        """Raises what ended its work: `LeaseLost`, or what nobody expected."""
        if self._error is not None:
            raise self._error

    def finish(self, patience: Callable[[], float]) -> None:
        """Waits until everything is recorded and answered; nothing is written or asked after that.

        Raises:
            LeaseLost: somebody else holds the row, or the database was away for so many seconds and somebody else may.
        """
        with self._changed:
            self._is_finishing = True
            while True:
                self.check()
                if self.away_seconds > patience():
                    raise LeaseLost("The database was away for too long.")
                if not self._reports and not self._is_at_work and not self._asked_at:
                    break
                self._changed.wait(RETRY_SECONDS)
            self._is_over = True
            self._changed.notify_all()

    def _serve(self) -> None:
        try:
            while self._wait():
                self._serve_one()
                with self._changed:
                    self._is_at_work = False
                    self._changed.notify_all()
        except Exception as error:  # noqa: BLE001 - raised again where the supervisor looks
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _wait(self) -> bool:
        """Until there is something to do, and the pause after a failure is over; False when it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_over, max(0.0, self._pause_until - time.monotonic()))
            while not (self._is_over or self._reports or self._is_beat_due()):
                self._changed.wait(RETRY_SECONDS if self._is_finishing else max(0.0, self._due - time.monotonic()))
            self._is_at_work = not self._is_over
            return self._is_at_work

    def _is_beat_due(self) -> bool:
        """At the end only one that was not answered: what follows needs to know whether the row is still held."""
        return "beat" in self._asked_at if self._is_finishing else time.monotonic() >= self._due

    def _serve_one(self) -> None:
        wish: Wish = "go_on"
        epochs = 0
        is_beat = not self._reports or (self._is_beat_due() and not self._has_beaten)
        self._has_beaten = is_beat
        try:
            if is_beat:
                self._due = time.monotonic() + self._every
                wish = self._ask("beat", self._beat)
            else:
                report = self._reports[0]
                self._ask("record", lambda: self._record(report))
                self._reports.popleft()
                epochs = int(report.kind == "epoch")
        except AWAY as error:
            self._pause_until = time.monotonic() + RETRY_SECONDS
            self._due = 0.0 if is_beat else self._due
            log.warning("database away for %.0f s: %s", self.away_seconds, type(error).__name__)
        self._follow(wish, epochs)

    def _ask(self, kind: Question, question: Callable[[], Answer]) -> Answer:
        self._asked_at.setdefault(kind, time.monotonic())
        answer = question()
        del self._asked_at[kind]
        return answer
