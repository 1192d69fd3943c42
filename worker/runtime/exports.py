"""One claimed export, written in a child: the exporters hold torch, take memory, and may fall over."""

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service.errors import ArtifactCorrupt, LeaseLost, Stopped, WorkerLost
from service.specs.exports import EXPORT_FILES
from service.store import Artifact, Lease
from worker.exporting.order import ExportOrder
from worker.runtime.child import DISK_FULL, Order, Reporter
from worker.runtime.context import Runtime
from worker.runtime.held_row import HeldRow
from worker.runtime.messages import Crashed, Done, Ending, Failed, GaveUp
from worker.runtime.outages import insist
from worker.runtime.scratch import claim_folder
from worker.runtime.storing import unprepared, why_not_stored
from worker.runtime.work import work_export

log = logging.getLogger(__name__)
CONFIG, WEIGHTS = "config.json", "model.safetensors"


@dataclass
class ExportRun:
    """Exports one model in one format under its lease; `work` is what the child does."""

    runtime: Runtime
    lease: Lease
    work: Callable[[ExportOrder, Reporter], Path] = work_export

    def __post_init__(self) -> None:
        self._row = HeldRow(self.runtime, "exports", self.lease)
        self._scratch = claim_folder(self.runtime.settings.scratch, "exports", self.lease)

    def run(self) -> None:
        """Ends with the export succeeded or failed, or back in the queue; writes nothing once the lease is lost."""
        try:
            with self._row.kept():
                ending = self._ending()
                insist(lambda: self._conclude(ending), self.runtime.patience)
        except LeaseLost as error:
            log.info("export %s is given up: %s", self.lease.row_id, error.detail)
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _ending(self) -> Ending:
        try:
            order = self._row.await_storage(self._order)
        except (ArtifactCorrupt, Stopped, OSError) as error:
            return unprepared(error, f"export {self.lease.row_id}")
        wall_seconds = self.runtime.settings.export_seconds
        # Exporting takes no device: all of them are for trials.
        watch = self.runtime.watch(wall_seconds, self.runtime.memory.computing, self._scratch)
        return self._row.supervise(self.work, Order(order, {"CUDA_VISIBLE_DEVICES": ""}), watch)

    def _order(self) -> ExportOrder:
        store = self.runtime.store
        with store.read() as work:
            row = work.exports.get(self.lease.row_id)
            if row is None:
                raise LeaseLost("The export was deleted.")
            self._model_id, self._format = row.model_id, row.format
            config, weights = work.artifacts.find(row.model_id, CONFIG), work.artifacts.find(row.model_id, WEIGHTS)
        if config is None or weights is None:
            raise ArtifactCorrupt("The model lacks its configuration or its weights.")
        self._scratch.mkdir(parents=True, exist_ok=True)
        return ExportOrder(
            format=self._format,
            config=json.loads(store.artifacts.read_bytes(config)),
            weights=self._fetch(weights),
            digest=weights.sha256,
            target=self._scratch / EXPORT_FILES[self._format].name,
            threads=self.runtime.settings.worker_threads or 1,
        )

    def _fetch(self, weights: Artifact) -> Path:
        path = self._scratch / WEIGHTS
        with path.open("wb") as file:
            for piece in self.runtime.store.artifacts.read(weights):
                file.write(piece)
        return path

    def _conclude(self, ending: Ending) -> None:
        match ending:
            case Done(path):
                self._succeed(path)
            case Failed(problem) if problem == DISK_FULL:
                self._row.charge(problem)
            case Failed(problem):
                self._row.finish("failed", problem=problem)
            case Crashed(reason):
                self._row.charge(WorkerLost(reason).to_problem())
            case GaveUp():
                self._row.release()

    def _succeed(self, path: Path) -> None:
        """Stores the file, then says so: the row first, so that a model deleted meanwhile is left nothing. Where
        storing fails, the export is tried again.
        """
        file = EXPORT_FILES[self._format]
        try:
            artifact = self._row.await_storage(lambda: self._stored(path, file.media_type))
        except Stopped:
            self._row.release()
            return
        except OSError as error:
            log.exception("export %s cannot be stored", self.lease.row_id)
            self._row.charge(WorkerLost(why_not_stored(error)).to_problem())
            return
        with self.runtime.store.work() as work:
            self._row.leases(work).finish(self.lease, "succeeded")
            work.artifacts.attach({file.name: artifact}, self._model_id)

    def _stored(self, path: Path, media_type: str) -> Artifact:
        with path.open("rb") as source:
            return self.runtime.store.artifacts.write(source, media_type)
