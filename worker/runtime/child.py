"""The inside of a child process. Light to import: the fork server and the parent load it without torch."""

import ctypes
import errno
import gc
import logging
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Literal

from service.errors import ResourceExhausted, ServiceError, Stopped
from service.logs import log_ids, set_up_logging
from service.settings import Settings
from worker.data.shortage import says_out_of_memory
from worker.runtime.allocator import keep_freed_memory
from worker.runtime.messages import Again, Crashed, Done, Ending, Failed, GaveUp, Report
from worker.training.order import PassesTooLarge

PR_SET_PDEATHSIG = 1
HEED_SECONDS = 1.0
"""A supervisor answers within milliseconds; one whose database is away does not, and is not waited for."""
NICENESS = 10
OOM_SCORE = "500"
DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
DISK_FULL = ResourceExhausted("The disk is full.").to_problem()


@dataclass(frozen=True)
class Order:
    """What a child is to do, with the environment that must be set before torch looks at it.

    Attributes:
        is_judged: whether somebody decides after each of its epochs if it is worth another.
    """

    payload: Any
    environment: dict[str, str] = field(default_factory=dict)
    is_judged: bool = False


class Reporter:
    """Speaks to the supervisor; is the `TrialSink` of trials. `is_judged`: see `Order`."""

    def __init__(self, pipe: "Connection[Any, Any]", *, is_judged: bool = False) -> None:
        self._pipe = pipe
        self._is_judged = is_judged
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._heeded = threading.Condition()
        self._unheeded_epochs = 0

    def report(self, kind: Literal["epoch", "progress", "warning", "log"], message: str, **payload: Any) -> None:
        """Sends one report."""
        self.send(Report(kind, message, payload))

    def epoch(self, record: Any) -> None:
        """An epoch is done and its checkpoint written.

        Waits a moment, where the trial is judged, until the supervisor has heeded the epoch before: it is never more
        than one epoch ahead of whoever decides whether it is worth another, however short its epochs are.
        """
        with self._heeded:
            if self._is_judged:
                self._heeded.wait_for(lambda: self._unheeded_epochs == 0 or self._stop.is_set(), HEED_SECONDS)
            self._unheeded_epochs += 1
        self.send(Report("epoch", payload=dict(vars(record))))

    def progress(self, epoch: int, fraction: float) -> None:
        """How far the whole work is, 0 to 1."""
        self.send(Report("progress", payload={"epoch": epoch, "fraction": fraction}))

    def event(self, type: Literal["warning", "log"], message: str, data: dict[str, object]) -> None:
        """Something worth telling."""
        self.send(Report(type, message, dict(data)))

    def stop_requested(self) -> bool:
        """Whether the supervisor asked to give up."""
        return self._stop.is_set()

    def send(self, message: object) -> None:
        """One message; a closed pipe ends the process."""
        with self._lock:
            try:
                self._pipe.send(message)
            except (BrokenPipeError, ConnectionResetError):
                os._exit(1)

    def listen(self) -> None:
        """Waits for `stop` and for how many epochs were `heeded`; leaves at once when the supervisor is gone."""
        try:
            while True:
                message = self._pipe.recv()
                with self._heeded:
                    if message == "stop":
                        self._stop.set()
                    else:
                        self._unheeded_epochs -= message
                    self._heeded.notify()
        except (EOFError, OSError):
            os._exit(1)


def enter(work: Callable[..., object], order: Order, pipe: "Connection[Any, Any]", ids: dict[str, str | int]) -> None:
    """Runs `work(payload, reporter)` and sends how it ended; `ids` are those of its supervisor's log."""
    _settle_in()
    set_up_logging(Settings().log_format)
    os.environ.update(order.environment)
    reporter = Reporter(pipe, is_judged=order.is_judged)
    threading.Thread(target=reporter.listen, daemon=True).start()
    with log_ids(**ids):
        reporter.send(_ending(work, order.payload, reporter))
    os._exit(0)


def _ending(work: Callable[..., object], payload: object, reporter: Reporter) -> Ending:
    try:
        return Done(work(payload, reporter))
    except Stopped:
        return GaveUp()
    except PassesTooLarge as error:
        return Again(str(error), error.micro_batch_size)
    except ServiceError as error:
        if error.slug == "internal":
            logging.exception("child failed")
            return Crashed(error.detail)
        return Failed(error.to_problem())
    except MemoryError:
        return Failed(ResourceExhausted("The work needs more memory than there is.").to_problem())
    except Exception as error:
        if says_out_of_memory(error):
            return Failed(ResourceExhausted("The device's memory does not suffice.").to_problem())
        if _is_disk_full(error):
            return Failed(DISK_FULL)
        logging.exception("child crashed")
        return Crashed(f"The work crashed with {type(error).__name__}.")


def _is_disk_full(error: Exception) -> bool:
    """Libraries written in Rust (safetensors) raise errors of their own, which name the number in their text."""
    if isinstance(error, OSError):
        return error.errno in DISK_FULL_ERRNOS
    return any(f"(os error {number})" in str(error) for number in DISK_FULL_ERRNOS)


def _settle_in() -> None:
    """Own process group, dies with its parent, first to go when memory runs out, yields to serving."""
    keep_freed_memory()
    gc.freeze()  # what came with the fork is not looked through, and so not copied, at every collection
    with suppress(PermissionError):
        os.setpgid(0, 0)
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(OOM_SCORE)
