"""Counting evaluations, and telling how far the work has come."""

from collections.abc import Callable

Progress = Callable[[int, int], None]


class Meter:
    """Counts images sent through the network and reports each step.

    Not shared between threads: one request, one meter.
    """

    def __init__(self, total: int, progress: Progress) -> None:
        self.forward = 0
        self.backward = 0
        self._total = total
        self._done = 0
        self._progress = progress

    def count(self, forward: int, backward: int = 0) -> None:
        """Adds evaluations and reports.

        Raises:
            Stopped: the callback asks to end the work.
        """
        self.forward += forward
        self.backward += backward
        self.advance(self._done + forward + backward)

    def advance(self, done: int) -> None:
        """Reports that `done` evaluations are behind us: more than were counted, where a budget was not needed."""
        self._done = max(self._done, min(done, self._total))
        self._progress(self._done, self._total)

    @property
    def done(self) -> int:
        """Evaluations behind us, counted or saved."""
        return self._done
