"""A trial's line to its sink: stop requests heard at every batch, progress told about once a second."""

import time

from service.errors import Stopped
from worker.training.order import EpochRecord, TrialSink

_SECONDS_BETWEEN = 1.0


class Reporter:
    """Wraps a sink for one trial of `epochs` epochs."""

    def __init__(self, sink: TrialSink, epochs: int) -> None:
        self.sink, self.epochs = sink, epochs
        self._told_at = 0.0

    def check(self, *_done: object) -> None:
        """Does nothing, unless the trial should stop.

        Raises:
            Stopped: it should.
        """
        if self.sink.stop_requested():
            raise Stopped("The trial was asked to stop.")

    def batch(self, epoch: int, part: float) -> None:
        """The share `part` of `epoch`'s batches is done.

        Raises:
            Stopped: as `check`.
        """
        self.check()
        now = time.monotonic()
        if now - self._told_at >= _SECONDS_BETWEEN:
            self._told_at = now
            self.sink.progress(epoch, (epoch - 1 + part) / self.epochs)

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is finished."""
        self.sink.epoch(record)
        self.sink.progress(record.epoch, record.epoch / self.epochs)

    def log(self, message: str, **data: object) -> None:
        """Tells the owner."""
        self.sink.event("log", message, data)

    def warn(self, message: str, **data: object) -> None:
        """Tells the owner that something is not as they may think."""
        self.sink.event("warning", message, data)
