"""Keeps a handful of child processes alive until it is asked to stop; then has them finish what they do.

Everything that happens (a child's end, a signal) arrives as a message in one queue, so that nothing is polled
and there is one thread that decides.
"""

import queue
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from client.children import Child

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AFTER_KILL_SECONDS = 5.0


class StopAsked(Exception):
    """The user, or the machine, wants this to end."""


class StartFailed(Exception):
    """A child ended while the others were still starting."""

    def __init__(self, child: Child) -> None:
        super().__init__(f"The {child.title} did not start: {child.how_it_ended()}.")
        self.child = child


class Supervisor:
    """Starts, watches, restarts and stops children.

    Attributes:
        children: those that are kept alive.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._messages: queue.SimpleQueue[Child | None] = queue.SimpleQueue()
        self.children: list[Child] = []

    def report(self, child: Child) -> None:
        """A child's life ended: called from any thread."""
        self._messages.put(child)

    def ask_to_stop(self) -> None:
        """From any thread, or from a signal handler."""
        self._messages.put(None)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Within, Ctrl-C, SIGTERM and SIGHUP ask this supervisor to stop. In the main thread only."""

        def note(_number: int, _frame: FrameType | None) -> None:
            self.ask_to_stop()

        before = {number: signal.signal(number, note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def start(self, children: Sequence[Child]) -> None:
        """Starts them all, to be kept alive from then on."""
        self.children = list(children)
        for child in children:
            child.start()

    def run_to_end(self, child: Child) -> None:
        """Runs one child that is expected to end.

        Raises:
            StartFailed: it ended with an error.
            StopAsked: meanwhile; the child is stopped.
        """
        child.start()
        try:
            while child.is_alive:
                self.pause(None)
        except StopAsked:
            child.terminate()
            raise
        except StartFailed:
            if child.exit_code:
                raise

    def pause(self, seconds: float | None) -> None:
        """Lets time pass during a start.

        Raises:
            StartFailed: a child ended.
            StopAsked: the start is to be given up.
        """
        try:
            message = self._messages.get(timeout=seconds)
        except queue.Empty:
            return
        if message is None:
            raise StopAsked
        raise StartFailed(message)

    def tend(self) -> None:
        """Restarts whatever dies; returns when asked to stop."""
        while True:
            self._start_those_due()
            times = [child.restart_at for child in self.children if child.restart_at is not None]
            try:
                child = self._messages.get(timeout=max(0.0, min(times) - time.monotonic()) if times else None)
            except queue.Empty:
                continue
            if child is None:
                return
            if not child.is_alive and child in self.children:
                pause = child.plan_restart()
                self._say(f"The {child.title} ended unexpectedly ({child.how_it_ended()}); see {child.log}.")
                self._say(f"It is started again in {pause:.1f} s.")

    def stop(self, grace_seconds: float) -> bool:
        """Has all children finish; kills what is left after the grace, or when asked to stop once more.

        Returns:
            Whether all of them finished by themselves.
        """
        for child in self.children:
            child.terminate()
        deadline = time.monotonic() + grace_seconds
        while any(child.is_alive for child in self.children):
            try:
                message = self._messages.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                message = None
            if message is None:
                self._kill()
                return False
        return True

    def _start_those_due(self) -> None:
        now = time.monotonic()
        for child in self.children:
            if child.restart_at is not None and child.restart_at <= now:
                child.start()

    def _kill(self) -> None:
        left = [child for child in self.children if child.is_alive]
        self._say(f"Ending at once: {', '.join(child.title for child in left)}.")
        for child in left:
            child.kill()
        deadline = time.monotonic() + AFTER_KILL_SECONDS
        while any(child.is_alive for child in left) and time.monotonic() < deadline:
            try:
                self._messages.get(timeout=0.1)
            except queue.Empty:
                continue
