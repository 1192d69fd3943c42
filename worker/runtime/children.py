"""Child processes: forked from a server that has torch imported and CUDA untouched, killable, never orphaned.

The child leads its own process group, dies with the fork server (which dies with the worker), and leaves by
itself when the pipe to its supervisor closes.
"""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection, forkserver
from multiprocessing.context import ForkServerProcess
from typing import Any

from service.logs import current_ids
from worker.runtime.child import Order, enter
from worker.runtime.messages import Message

log = logging.getLogger(__name__)

LIGHT_PRELOAD = ("PIL.Image", "worker.tuning.study", "worker.runtime.work")
TORCH_PRELOAD = ("torch", "torchvision", "timm", "worker.training.trial", "worker.tuning.pictures", *LIGHT_PRELOAD)


def start_fork_server(preload: Sequence[str]) -> None:
    """Starts the server now, so that the first child does not pay for the imports."""
    forkserver.set_forkserver_preload(["worker.runtime.child", *preload])
    forkserver.ensure_running()


@dataclass
class Child:
    """A running child and the two ends that its supervisor holds; its scribe tells the child things, too."""

    process: ForkServerProcess
    pipe: "connection.Connection[Any, Any]"
    _telling: threading.Lock = field(default_factory=threading.Lock, init=False)

    def messages(self, timeout_seconds: float) -> list[Message]:
        """What the child has said; waits for the first word, its end, or the timeout. Half a message, of a child that
        was killed while it spoke, is none.
        """
        connection.wait([self.pipe, self.process.sentinel], timeout=timeout_seconds)
        found: list[Message] = []
        with suppress(EOFError, OSError):
            while self.pipe.poll():
                found.append(self.pipe.recv())
        return found

    def ask_to_stop(self) -> None:
        """The child gives up at its next check."""
        self._tell("stop")

    def heed(self, epochs: int) -> None:
        """So many more of its epochs were looked at; whatever follows from them was told before."""
        self._tell(epochs)

    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.is_alive()

    @property
    def exit_code(self) -> int | None:
        """Of a child that has ended; negative where a signal ended it."""
        return self.process.exitcode

    def kill(self) -> None:
        """Ends the whole process group, without waiting until the system has taken it apart (`await_end`)."""
        pid = self.process.pid
        if pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with self._telling:
            self.pipe.close()

    def await_end(self) -> None:
        """Waits until a killed child is gone, its memory and its GPU free again."""
        self.process.join(10)

    def _tell(self, message: object) -> None:
        with self._telling, suppress(OSError):
            self.pipe.send(message)

    def memory_bytes(self) -> int:
        """Resident memory of the child without the pages of mapped files, as the system can take those back; 0 when
        it is gone.
        """
        try:
            with open(f"/proc/{self.process.pid}/status") as file:
                kibibytes = dict(line.split(":", 1) for line in file)
            return sum(int(kibibytes[kind].split()[0]) for kind in ("RssAnon", "RssShmem")) * 1024
        except (FileNotFoundError, ProcessLookupError, KeyError):
            return 0


def start_child(work: Callable[..., object], order: Order) -> Child:
    """Runs `work(order.payload, reporter)` in a child."""
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    process = context.Process(target=enter, args=(work, order, theirs, current_ids()), daemon=False)
    process.start()
    theirs.close()
    return Child(process, ours)
