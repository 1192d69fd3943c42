"""One claimed dataset, looked through in a child: a reader that crashes rejects the dataset and nothing else."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.errors import ArtifactCorrupt, ImageCorrupt, Invalid, LeaseLost, ServiceError, Stopped, WorkerLost
from service.specs.datasets import Modality
from service.store import Artifact, Lease
from service.store.datasets import ARCHIVE, MANIFEST, SAMPLES
from worker.runtime.archives import fetch_archive
from worker.runtime.child import DISK_FULL, Order, Reporter
from worker.runtime.context import Runtime
from worker.runtime.held_row import HeldRow
from worker.runtime.messages import Crashed, Done, Ending, Failed, GaveUp
from worker.runtime.outages import insist
from worker.runtime.scratch import claim_folder
from worker.runtime.storing import unprepared, why_not_stored
from worker.runtime.work import ValidationOrder, work_validation

if TYPE_CHECKING:
    from worker.runtime.work import Validation

log = logging.getLogger(__name__)
WALL_SECONDS = 4 * 3600.0
PARQUET = "application/vnd.apache.parquet"


@dataclass
class ValidationRun:
    """Validates one dataset under its lease; `work` is what the child does."""

    runtime: Runtime
    lease: Lease
    work: Callable[[ValidationOrder, Reporter], object] = work_validation

    def __post_init__(self) -> None:
        self._row = HeldRow(self.runtime, "datasets", self.lease)
        self._scratch = claim_folder(self.runtime.settings.scratch, "datasets", self.lease)
        self._modality: Modality = "image"

    def run(self) -> None:
        """Ends with the dataset ready or rejected, or back in the queue."""
        try:
            with self._row.kept():
                ending = self._ending()
                insist(lambda: self._conclude(ending), self.runtime.patience)
        except LeaseLost as error:
            log.info("dataset %s is given up: %s", self.lease.row_id, error.detail)
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _ending(self) -> Ending:
        store = self.runtime.store
        with store.read() as work:
            artifact = work.artifacts.find(self.lease.row_id, ARCHIVE)
            if artifact is None:
                raise LeaseLost("The dataset was deleted.")
            row = work.datasets.get(self.lease.row_id)
            self._modality, options = row.modality, dict(row.options)
        try:
            self._scratch.mkdir(parents=True)
            archive = self._row.await_storage(lambda: fetch_archive(store, artifact, self.runtime.cache))
        except (ArtifactCorrupt, Stopped, OSError) as error:
            return unprepared(error, f"dataset {self.lease.row_id}")
        with archive:
            samples, sources = self._scratch / SAMPLES, self.runtime.weight_sources
            order = Order(ValidationOrder(self._modality, archive.path, options, samples, sources))
            watch = self.runtime.watch(WALL_SECONDS, self.runtime.memory.reading, self._scratch)
            return self._row.supervise(self.work, order, watch)

    def _conclude(self, ending: Ending) -> None:
        match ending:
            case Done(result):
                self._accept(result)
            case Failed(problem) if problem == DISK_FULL:
                self._row.charge(problem)
            case Failed(problem):
                self._row.finish("rejected", problem=problem)
            case Crashed(reason, at_work=True):
                self._row.charge(_unreadable(self._modality, reason).to_problem())
            case Crashed(reason):
                self._row.charge(WorkerLost(reason).to_problem())
            case GaveUp():
                self._row.release()

    def _accept(self, found: "Validation") -> None:
        """Stores what validation has written, then says so in one unit of work; where storing fails, the dataset is
        looked through again.
        """
        try:
            stored = self._row.await_storage(lambda: self._stored(found))
        except Stopped:
            self._row.release()
            return
        except OSError as error:
            log.exception("what dataset %s came to cannot be stored", self.lease.row_id)
            self._row.charge(WorkerLost(why_not_stored(error)).to_problem())
            return
        with self.runtime.store.work() as work:
            work.artifacts.attach(stored, self.lease.row_id)
            work.datasets.leases.finish(
                self.lease,
                "ready",
                profile=found.profile.model_dump(),
                warnings=[warning.model_dump() for warning in found.warnings],
            )

    def _stored(self, found: "Validation") -> dict[str, Artifact]:
        artifacts = self.runtime.store.artifacts
        document = found.manifest.model_dump_json(exclude_defaults=True).encode()
        stored = {MANIFEST: artifacts.write(document, "application/json")}
        if self._modality != "image":
            with (self._scratch / SAMPLES).open("rb") as samples:
                stored[SAMPLES] = artifacts.write(samples, PARQUET)
        return stored


def _unreadable(modality: Modality, reason: str) -> ServiceError:
    """What a dataset is rejected for that made its reader crash, again and again."""
    if modality == "image":
        return ImageCorrupt(f"An image made the decoder fail. {reason}")
    kind = "table" if modality == "tabular" else "file of texts"
    return Invalid(f"The {kind} made its reader fail. {reason}")
