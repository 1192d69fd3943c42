"""One claimed dataset, looked through in a child: a decoder that crashes rejects the dataset and nothing else."""

import logging
from dataclasses import dataclass
from typing import Any

from service.errors import ArtifactCorrupt, ImageCorrupt, LeaseLost
from service.store import Lease
from service.store.datasets import ARCHIVE, MANIFEST
from worker.data.image_validation import ImageValidation
from worker.runtime.archives import fetch_archive
from worker.runtime.child import Order
from worker.runtime.children import start_child
from worker.runtime.context import Runtime
from worker.runtime.lease_keeper import LeaseKeeper
from worker.runtime.messages import Crashed, Done, Ending, Failed, GaveUp, Report
from worker.runtime.supervision import Supervisor, Watch, Wish
from worker.runtime.work import ValidationOrder, work_validation

log = logging.getLogger(__name__)
WALL_SECONDS = 4 * 3600.0


@dataclass
class ValidationRun:
    """Validates one dataset under its lease."""

    runtime: Runtime
    lease: Lease

    def run(self) -> None:
        """Ends with the dataset ready or rejected, or back in the queue."""
        try:
            with LeaseKeeper(self._renew, self.runtime.settings.heartbeat_seconds):
                self._conclude(self._ending())
        except LeaseLost:
            log.info("dataset %s is gone, or somebody else's now", self.lease.row_id)

    def _ending(self) -> Ending:
        store, settings = self.runtime.store, self.runtime.settings
        with store.read() as work:
            artifact = work.artifacts.find(self.lease.row_id, ARCHIVE)
        if artifact is None:
            raise LeaseLost("The dataset was deleted.")
        try:
            archive = fetch_archive(store, artifact, settings.cache)
        except ArtifactCorrupt as error:
            return Crashed(error.detail)
        watch = Watch(
            heartbeat_seconds=settings.heartbeat_seconds,
            grace_seconds=settings.cancel_grace_seconds,
            wall_seconds=WALL_SECONDS,
            stall_seconds=settings.stall_seconds,
            memory_bytes=settings.memory_limit_bytes,
        )
        child = start_child(work_validation, Order(ValidationOrder(archive)))
        return Supervisor(child, watch, beat=self._beat, record=self._record, wish=self._wish).run()

    def _wish(self) -> Wish:
        return "stop" if self.runtime.draining.is_set() else "go_on"

    def _renew(self) -> None:
        with self.runtime.store.work(quick=True) as work:
            work.datasets.leases.renew(self.lease)

    def _beat(self) -> Wish:
        self._renew()
        return "go_on"

    def _record(self, report: Report) -> None:
        """Progress keeps the stall watchdog quiet; nobody else asks for it."""

    def _conclude(self, ending: Ending) -> None:
        match ending:
            case Done(result):
                self._accept(result)
            case Failed(problem):
                self._finish("rejected", problem=problem)
            case Crashed(reason):
                problem = ImageCorrupt(f"An image made the decoder fail. {reason}").to_problem()
                with self.runtime.store.work() as work:
                    work.datasets.leases.charge(self.lease, self.runtime.settings.max_attempts, problem)
            case GaveUp():
                with self.runtime.store.work() as work:
                    work.datasets.leases.release(self.lease)

    def _accept(self, found: ImageValidation) -> None:
        listing = self.runtime.store.artifacts.write(found.manifest.model_dump_json().encode(), "application/json")
        with self.runtime.store.work() as work:
            work.artifacts.attach({MANIFEST: listing}, self.lease.row_id)
            work.datasets.leases.finish(
                self.lease,
                "ready",
                profile=found.profile.model_dump(),
                warnings=[warning.model_dump() for warning in found.warnings],
            )

    def _finish(self, state: str, **values: Any) -> None:
        with self.runtime.store.work() as work:
            work.datasets.leases.finish(self.lease, state, **values)
