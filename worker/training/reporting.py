"""A trial's line to its sink: stop requests heard at every batch, progress told about once a second."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.errors import Stopped
from worker.training.order import EpochRecord, TrialSink

_SECONDS_BETWEEN = 1.0
_SECONDS_SILENT = 30.0
"""Well below the supervisor's patience with a trial that says nothing."""


class Reporter:
    """Wraps a sink for one trial of `epochs` epochs."""

    def __init__(self, sink: TrialSink, epochs: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.sink, self.epochs, self.clock = sink, epochs, clock
        self._told = (1, 0.0)
        self._told_at = clock() - _SECONDS_BETWEEN

    def check(self) -> None:
        """Says now and then that the trial lives.

        Raises:
            Stopped: it should.
        """
        if self.sink.stop_requested():
            raise Stopped("The trial was asked to stop.")
        self._tell(*self._told, after_seconds=_SECONDS_SILENT)

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Says now and then that the trial lives, while the block is in a call that cannot be asked to say so."""
        over = threading.Event()

        def speak() -> None:
            while not over.wait(_SECONDS_SILENT):
                self.sink.progress(*self._told)

        thread = threading.Thread(target=speak, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def batch(self, epoch: int, part: float) -> None:
        """The share `part` of `epoch`'s batches is done.

        Raises:
            Stopped: as `check`.
        """
        self.check()
        self._tell(epoch, (epoch - 1 + part) / self.epochs, after_seconds=_SECONDS_BETWEEN)

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is finished."""
        self.sink.epoch(record)
        self._tell(record.epoch, record.epoch / self.epochs, after_seconds=0.0)

    def log(self, message: str, **data: object) -> None:
        """Tells the owner."""
        self.sink.event("log", message, data)

    def warn(self, message: str, **data: object) -> None:
        """Tells the owner that something is not as they may think."""
        self.sink.event("warning", message, data)

    def _tell(self, epoch: int, fraction: float, *, after_seconds: float) -> None:
        now = self.clock()
        if now - self._told_at >= after_seconds:
            self._told, self._told_at = (epoch, fraction), now
            self.sink.progress(epoch, fraction)
