"""A row that this worker holds while one child works for it: what the work of the control queue has in common."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from service.store import Lease, UnitOfWork
from service.store.leases import LeasedRows
from worker.runtime.child import Order
from worker.runtime.children import start_child
from worker.runtime.context import Runtime
from worker.runtime.lease_keeper import LeaseKeeper
from worker.runtime.messages import Ending, Report
from worker.runtime.outages import await_storage
from worker.runtime.scribe import Wish
from worker.runtime.supervision import Supervisor, Watch

T = TypeVar("T")


@dataclass(frozen=True)
class HeldRow:
    """One row under its lease; `noun` is the unit of work's name for its kind. All but `supervise` are writes, and
    raise `LeaseLost` when the row is gone or somebody else's.
    """

    runtime: Runtime
    noun: str
    lease: Lease

    def kept(self) -> AbstractContextManager[LeaseKeeper]:
        """Renews the lease in the background until the block ends."""
        return LeaseKeeper(self.renew, self.runtime.settings.heartbeat_seconds)

    def supervise(self, work: Callable[..., object], order: Order, watch: Watch) -> Ending:
        """How a child ends that does `work`; it is asked to stop when the worker drains. Raises `LeaseLost`."""
        child = start_child(work, order)
        try:
            return Supervisor(child, watch, beat=self._beat, record=self._record, wish=self._wish).run()
        finally:
            child.await_end()

    def await_storage(self, act: Callable[[], T]) -> T:
        """What `act` does with stored bytes, again while their storage is away; see `worker.runtime.outages`."""
        return await_storage(act, self._look, self.runtime.patience)

    def renew(self) -> None:
        """Extends the lease."""
        with self.runtime.store.work(quick=True) as work:
            self.leases(work).renew(self.lease)

    def finish(self, state: str, **values: Any) -> None:
        """Ends the row's work."""
        with self.runtime.store.work() as work:
            self.leases(work).finish(self.lease, state, **values)

    def charge(self, problem: dict[str, Any]) -> None:
        """Puts the row back after a crash, or ends it with `problem` once there were too many."""
        with self.runtime.store.work() as work:
            self.leases(work).charge(self.lease, self.runtime.settings.max_attempts, problem)

    def release(self) -> None:
        """Puts the row back without charging an attempt."""
        with self.runtime.store.work() as work:
            self.leases(work).release(self.lease)

    def leases(self, work: UnitOfWork) -> LeasedRows:
        """The leases of this kind of row."""
        leases: LeasedRows = getattr(work, self.noun).leases
        return leases

    def _beat(self) -> Wish:
        self.renew()
        return "go_on"

    def _wish(self) -> Wish:
        return "stop" if self.runtime.draining.is_set() else "go_on"

    def _look(self) -> Wish:
        return "stop" if self._wish() == "stop" else self._beat()

    def _record(self, report: Report) -> None:
        """Progress keeps the stall watchdog quiet; nobody else asks for it."""
