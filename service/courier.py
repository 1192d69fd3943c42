"""Errands that must not keep anybody waiting: a broker that hangs costs its own thread time, and no request."""

import threading
from collections import deque
from collections.abc import Callable

MOST_WAITING = 64
"""Of one kind. More would say nothing new."""


class Courier:
    """Runs errands one after another in a thread of its own, which starts with the first one.

    An errand answers whether it got through. Where it did not, the others of its kind are given up as well: they
    would meet the same broker.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, Callable[[], bool]]] = deque()
        self._changed = threading.Condition()
        self._busy = False
        self._thread: threading.Thread | None = None

    def send(self, kind: str, errand: Callable[[], bool], *, once: bool = False) -> None:
        """Returns at once. With `once` nothing is added while one of that kind is waiting."""
        with self._changed:
            already = sum(waiting == kind for waiting, _ in self._waiting)
            if already >= (1 if once else MOST_WAITING):
                return
            self._waiting.append((kind, errand))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def rest(self, timeout_seconds: float) -> bool:
        """Whether there was nothing left to do within that time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout_seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                kind, errand = self._waiting.popleft()
                self._busy = True
            got_through = errand()
            with self._changed:
                self._busy = False
                if not got_through:
                    self._waiting = deque(other for other in self._waiting if other[0] != kind)
                self._changed.notify_all()
