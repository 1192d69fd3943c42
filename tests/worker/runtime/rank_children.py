"""Work for ranks of tests; importable by name in the children."""

import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from service.errors import Diverged
from worker.runtime.child import Reporter
from worker.training.order import PassesTooLarge, TrialOrder


@dataclass(frozen=True)
class Several:
    """Trials that the same ranks go through in turn, so that torch is imported once; begun as one `TrialOrder`."""

    orders: list[TrialOrder]
    scratch: Path
    room: int = 10**9
    micro_batch_size: int | None = None
    rank: int = 0
    ranks: int = 1
    rendezvous: Path | None = None
    device: str = "cpu"
    threads: int = 1


def train_in_turn(several: Several, reporter: Reporter) -> list[Any]:
    """Outcomes and epochs of each; passes of more than `room` samples run out of memory."""
    from tests.worker.training.orders import RecordingSink
    from tests.worker.training.room import room_for
    from worker.training.trial import follow_trial, run_trial

    done: list[Any] = []
    with room_for(several.room):
        for number, order in enumerate(several.orders):
            mine = replace(
                order,
                micro_batch_size=several.micro_batch_size,
                rank=several.rank,
                ranks=several.ranks,
                rendezvous=several.rendezvous and several.rendezvous.with_suffix(f".{number}"),
            )
            sink = RecordingSink()
            if several.rank:
                follow_trial(mine, sink)
            else:
                done.append((run_trial(mine, sink), sink.epochs))
    return done


def say_pid(several: Several) -> None:
    made = several.scratch / f"{several.rank}.part"
    made.write_text(f"{os.getpid()}")
    made.rename(several.scratch / f"{several.rank}.pid")


def work_on(several: Several, reporter: Reporter) -> None:
    """Until somebody ends it."""
    say_pid(several)
    while not reporter.stop_requested():
        reporter.progress(1, 0.5)
        time.sleep(0.02)


def lose_the_other(several: Several, reporter: Reporter) -> None:
    """Rank 1 is killed; rank 0 crashes of it before anybody looks."""
    say_pid(several)
    while len(list(several.scratch.glob("*.pid"))) < several.ranks:
        time.sleep(0.01)
    if several.rank:
        os.kill(os.getpid(), signal.SIGKILL)
    raise RuntimeError("Connection closed by peer")


def diverge_together(several: Several, reporter: Reporter) -> None:
    """Rank 1 says why; rank 0 only knows that it is gone."""
    if several.rank:
        raise Diverged("The loss was not finite.")
    time.sleep(0.3)
    raise RuntimeError("Connection closed by peer")


def want_less(several: Several, reporter: Reporter) -> str:
    """Rank 1 cannot do more than 4 at once."""
    if several.rank == 0 or several.micro_batch_size == 4:
        return f"{several.micro_batch_size}"
    raise PassesTooLarge("Memory does not suffice.", 4)


def finish_in_turn(several: Several, reporter: Reporter) -> str:
    """The first to be done is rank 1."""
    say_pid(several)
    if several.rank == 0:
        reporter.event("log", "rank 0 speaks", {})
        time.sleep(0.5)
    else:
        reporter.event("log", "rank 1 is not heard", {})
    return f"rank {several.rank} of {several.ranks}"
