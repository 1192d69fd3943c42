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

from sqlalchemy.exc import SQLAlchemyError

from service.errors import LeaseLost
from worker.runtime.messages import Report

log = logging.getLogger(__name__)

Wish = Literal["go_on", "look", "stop"]
"""`look`: ask the database now."""
RETRY_SECONDS = 0.5
Answer = TypeVar("Answer")


class Scribe:
    """Records reports in their order, and beats every so often, until its block ends.

    Args:
        beat: renews the lease and says whether to go on.
        record: keeps one report.
        follow: told what the last beat said, and how many epochs were recorded since; called in the scribe's thread.
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
        self._asked_at: float | None = None
        self._is_at_work = self._is_over = False
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
        """For how long the database has not answered; 0 where nothing was asked since it last did."""
        asked_at = self._asked_at
        return 0.0 if asked_at is None else time.monotonic() - asked_at

    def write(self, report: Report) -> None:
        """Has it recorded after all that came before."""
        with self._changed:
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

    def finish(self, patience_seconds: float) -> None:
        """Waits until everything is recorded; nothing is written or asked after that.

        Raises:
            LeaseLost: somebody else holds the row, or the database was away for that long and somebody else may.
        """
        with self._changed:
            while True:
                self.check()
                if self.away_seconds > patience_seconds:
                    raise LeaseLost("The database was away for too long.")
                if not (self._reports or self._is_at_work):
                    break
                self._changed.wait(RETRY_SECONDS)
            self._is_over = True
            self._changed.notify_all()

    def _serve(self) -> None:
        pause = False
        try:
            while self._wait(RETRY_SECONDS if pause else 0.0):
                pause = not self._work_off()
                with self._changed:
                    self._is_at_work = False
                    self._changed.notify_all()
        except Exception as error:  # noqa: BLE001 - raised again where the supervisor looks
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _wait(self, pause_seconds: float) -> bool:
        """Until there is something to do, and at least for the pause; False when it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_over, pause_seconds)
            while not self._is_over and not self._reports and (left := self._due - time.monotonic()) > 0:
                self._changed.wait(left)
            self._is_at_work = not self._is_over
            return self._is_at_work

    def _work_off(self) -> bool:
        """What there is to do now; False when the database was away."""
        wish: Wish = "go_on"
        epochs = 0
        is_there = True
        try:
            while self._reports and not self._is_over:
                self._ask(lambda: self._record(self._reports[0]))
                epochs += self._reports.popleft().kind == "epoch"
            if time.monotonic() >= self._due:
                self._due = time.monotonic() + self._every
                wish = self._ask(self._beat)
        except SQLAlchemyError as error:
            is_there = False
            log.warning("database away for %.0f s: %s", self.away_seconds, type(error).__name__)
        self._follow(wish, epochs)
        return is_there

    def _ask(self, question: Callable[[], Answer]) -> Answer:
        self._asked_at = self._asked_at or time.monotonic()
        answer = question()
        self._asked_at = None
        return answer
