"""A trial's children: one, or several ranks that train together and live and die as one."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from pathlib import Path

from worker.runtime.child import Order
from worker.runtime.children import Child, start_child
from worker.runtime.devices import Device
from worker.runtime.messages import Again, Crashed, Done, Ending, Failed, GaveUp, Message, Report
from worker.training.order import TrialOrder

TELLING = (Done, Failed, Again, GaveUp, Crashed)
"""Endings, those first that explain others: whoever ends takes the rest with it, which then crash."""
SECONDS_TO_DIE = 0.5


@dataclass
class Ranks:
    """Children to be supervised as one: rank 0 speaks for all, and the end of any but a finished one ends all.

    Attributes:
        folder: where they meet; gone after their end.
    """

    children: list[Child]
    folder: Path
    _through: set[int] = field(default_factory=set)

    @property
    def lead(self) -> Child:
        """Rank 0."""
        return self.children[0]

    def messages(self, timeout_seconds: float) -> list[Message]:
        """What rank 0 has said, and at most one ending, of whichever rank; waits for the first word of any."""
        live = [child for rank, child in enumerate(self.children) if rank not in self._through]
        connection.wait([end for child in live for end in (child.pipe, child.process.sentinel)], timeout_seconds)
        said, endings = self._heard()
        if not endings:
            return said
        if all(isinstance(ending, Crashed) for ending in endings):  # the others' loss may be why
            silent = [child for rank, child in enumerate(self.children) if rank not in self._through]
            connection.wait([child.process.sentinel for child in silent], SECONDS_TO_DIE)
        more, others = self._heard()
        return [*said, *more, min(self._deaths() + endings + others, key=lambda one: TELLING.index(type(one)))]

    def _heard(self) -> tuple[list[Message], list[Ending]]:
        """Reports of rank 0, and endings."""
        said: list[Message] = []
        endings: list[Ending] = []
        for rank, child in enumerate(self.children):
            if rank in self._through:
                continue
            is_alive = child.is_alive()
            for message in child.messages(0):
                if not isinstance(message, Report):
                    self._through.add(rank)
                    endings += [] if rank and isinstance(message, Done) else [message]
                elif rank == 0:
                    said.append(message)
            if not is_alive and rank not in self._through:
                endings.append(_death(rank, child))
        return said, endings

    def _deaths(self) -> list[Ending]:
        """Of ranks that ended without a word."""
        ranks = enumerate(self.children)
        return [_death(rank, child) for rank, child in ranks if rank not in self._through and not child.is_alive()]

    def ask_to_stop(self) -> None:
        """Rank 0 gives up at its next check; the others end with it."""
        self.lead.ask_to_stop()

    def heed(self, epochs: int) -> None:
        """As `Child.heed`."""
        self.lead.heed(epochs)

    def is_alive(self) -> bool:
        """Whether rank 0 still runs; `messages` tells of the others' deaths."""
        return self.lead.is_alive()

    @property
    def exit_code(self) -> int | None:
        """Of rank 0."""
        return self.lead.exit_code

    def memory_bytes(self) -> int:
        """Of the largest: limits are for each child."""
        return max(child.memory_bytes() for child in self.children)

    def kill(self) -> None:
        """Ends all."""
        for child in self.children:
            child.kill()

    def await_end(self) -> None:
        """Waits until all are gone."""
        for child in self.children:
            child.await_end()
        shutil.rmtree(self.folder, ignore_errors=True)


def _death(rank: int, child: Child) -> Crashed:
    return Crashed(f"Rank {rank} of the trial ended with exit code {child.exit_code}.")


def start_ranks(
    work: Callable[..., object], order: TrialOrder, devices: Sequence[Device], *, is_judged: bool
) -> Child | Ranks:
    """Runs `work(order, reporter)` in a child on each device.

    Several meet at a file that is on this machine, as scratch folders need not be.
    """
    if len(devices) == 1:
        return start_child(work, Order(order, devices[0].environment, is_judged=is_judged))
    ranks = Ranks([], Path(tempfile.mkdtemp(prefix="tunelens-ranks-")))
    try:
        for rank, device in enumerate(devices):
            mine = replace(
                order,
                rank=rank,
                ranks=len(devices),
                rendezvous=ranks.folder / "meeting",
                device=device.name,
                threads=device.threads,
            )
            ranks.children.append(start_child(work, Order(mine, device.environment, is_judged=is_judged)))
    except OSError:
        ranks.kill()
        ranks.await_end()
        raise
    return ranks
