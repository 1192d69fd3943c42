"""One claimed dataset, looked through in a child: a decoder that crashes rejects the dataset and nothing else."""

import logging
from dataclasses import dataclass

from service.errors import ArtifactCorrupt, ImageCorrupt, LeaseLost
from service.store import Lease
from service.store.datasets import ARCHIVE, MANIFEST
from worker.data.image_validation import ImageValidation
from worker.runtime.archives import fetch_archive
from worker.runtime.child import Order
from worker.runtime.context import Runtime
from worker.runtime.held_row import HeldRow
from worker.runtime.messages import Crashed, Done, Ending, Failed, GaveUp
from worker.runtime.work import ValidationOrder, work_validation

log = logging.getLogger(__name__)
WALL_SECONDS = 4 * 3600.0


@dataclass
class ValidationRun:
    """Validates one dataset under its lease."""

    runtime: Runtime
    lease: Lease

    def __post_init__(self) -> None:
        self._row = HeldRow(self.runtime, "datasets", self.lease)

    def run(self) -> None:
        """Ends with the dataset ready or rejected, or back in the queue."""
        try:
            with self._row.kept():
                self._conclude(self._ending())
        except LeaseLost:
            log.info("dataset %s is gone, or somebody else's now", self.lease.row_id)

    def _ending(self) -> Ending:
        store = self.runtime.store
        with store.read() as work:
            artifact = work.artifacts.find(self.lease.row_id, ARCHIVE)
        if artifact is None:
            raise LeaseLost("The dataset was deleted.")
        try:
            archive = fetch_archive(store, artifact, self.runtime.cache)
        except ArtifactCorrupt as error:
            return Crashed(error.detail)
        with archive:
            order = Order(ValidationOrder(archive.path))
            return self._row.supervise(work_validation, order, wall_seconds=WALL_SECONDS)

    def _conclude(self, ending: Ending) -> None:
        match ending:
            case Done(result):
                self._accept(result)
            case Failed(problem):
                self._row.finish("rejected", problem=problem)
            case Crashed(reason):
                problem = ImageCorrupt(f"An image made the decoder fail. {reason}").to_problem()
                self._row.charge(problem)
            case GaveUp():
                self._row.release()

    def _accept(self, found: ImageValidation) -> None:
        listing = self.runtime.store.artifacts.write(
            found.manifest.model_dump_json(exclude_defaults=True).encode(), "application/json"
        )
        with self.runtime.store.work() as work:
            work.artifacts.attach({MANIFEST: listing}, self.lease.row_id)
            work.datasets.leases.finish(
                self.lease,
                "ready",
                profile=found.profile.model_dump(),
                warnings=[warning.model_dump() for warning in found.warnings],
            )
