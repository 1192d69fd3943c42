"""One claimed trial, from its row to its result."""

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.errors import ArtifactCorrupt, LeaseLost, WorkerLost
from service.specs.jobs import JobSpec
from service.store import Artifact, Lease, UnitOfWork
from service.store.datasets import ARCHIVE, MANIFEST
from service.store.jobs import TERMINAL
from worker.data.disk_cache import Entry
from worker.runtime.advance import advance
from worker.runtime.archives import fetch_archive, read_manifest
from worker.runtime.child import DISK_FULL, DISK_FULL_ERRNOS, Order
from worker.runtime.children import start_child
from worker.runtime.context import Runtime
from worker.runtime.devices import Device
from worker.runtime.lease_keeper import LeaseKeeper
from worker.runtime.messages import Crashed, Done, Ending, Failed, GaveUp, Report
from worker.runtime.supervision import Supervisor, Watch, Wish
from worker.runtime.work import work_trial
from worker.training.order import TrialOrder, TrialOutcome

log = logging.getLogger(__name__)
WALL_GRACE_SECONDS = 120.0
"""The trial itself stops in time and still scores and writes its result."""
STOPPING_STATES = ("cancelling", "pausing", "paused", *TERMINAL)


@dataclass
class TrialRun:
    """Runs one trial under its lease."""

    runtime: Runtime
    lease: Lease
    device: Device

    def run(self) -> None:
        """Ends with the trial finished, failed, or back in the queue; writes nothing once the lease is lost."""
        try:
            with LeaseKeeper(self._renew, self.runtime.settings.heartbeat_seconds):
                self._conclude(self._ending())
        except LeaseLost:
            log.warning("trial %s is somebody else's now", self.lease.row_id)

    def _ending(self) -> Ending:
        try:
            order, archive = self._order()
        except ArtifactCorrupt as error:
            return Crashed(error.detail)
        except OSError as error:
            log.exception("trial %s cannot be prepared", self.lease.row_id)
            return Failed(DISK_FULL) if error.errno in DISK_FULL_ERRNOS else Crashed("The files cannot be prepared.")
        with archive:
            child = start_child(work_trial, Order(order, {"CUDA_VISIBLE_DEVICES": self.device.visible}))
            return Supervisor(child, self._watch(), beat=self._beat, record=self._record, wish=self._wish).run()

    def _order(self) -> tuple[TrialOrder, Entry]:
        """The order, and the archive that it names, to be closed when the trial is over."""
        settings, store = self.runtime.settings, self.runtime.store
        with store.read() as work:
            trial = work.trials.get(self.lease.row_id)
            job = work.jobs.lock(trial.job_id)
            assert job is not None
            self._job_id, self._number = job.id, trial.number
            self._spec = JobSpec.model_validate(job.spec)
            archive = work.artifacts.find(job.dataset_id or "", ARCHIVE)
            manifest = work.artifacts.find(job.dataset_id or "", MANIFEST)
            digest = job.dataset_digest
        if archive is None or manifest is None:
            raise ArtifactCorrupt("The dataset is gone.")
        scratch = settings.scratch / "trials" / self.lease.row_id
        scratch.mkdir(parents=True, exist_ok=True)
        samples = read_manifest(store, manifest)
        fetched = fetch_archive(store, archive, self.runtime.cache)
        order = TrialOrder(
            spec=self._spec,
            archive=fetched.path,
            manifest=samples,
            dataset_digest=digest,
            scratch=scratch,
            cache=self.runtime.cache,
            sources=self.runtime.weight_sources,
            device=self.device.name,
            threads=self.device.threads,
        )
        return order, fetched

    def _watch(self) -> Watch:
        settings = self.runtime.settings
        return Watch(
            heartbeat_seconds=settings.heartbeat_seconds,
            grace_seconds=settings.cancel_grace_seconds,
            wall_seconds=self._spec.limits.wall_seconds + WALL_GRACE_SECONDS,
            stall_seconds=settings.stall_seconds,
            memory_bytes=settings.memory_limit_bytes,
        )

    def _wish(self) -> Wish:
        return "stop" if self.runtime.draining.is_set() else "go_on"

    def _renew(self) -> None:
        with self.runtime.store.work(quick=True) as work:
            work.trials.leases.renew(self.lease)

    def _beat(self) -> Wish:
        with self.runtime.store.work(quick=True) as work:
            work.trials.leases.renew(self.lease)
            state = work.jobs.state_of(self._job_id)
        return "stop" if state is None or state in STOPPING_STATES else "go_on"

    def _record(self, report: Report) -> None:
        with self.runtime.store.work(quick=True) as work:
            match report.kind:
                case "progress":
                    work.trials.leases.write(self.lease, fraction=float(report.payload["fraction"]))
                case "epoch":
                    self._record_epoch(work, report.payload)
                case _:
                    work.trials.leases.renew(self.lease)
                    level = "warning" if report.kind == "warning" else "info"
                    data = {"number": self._number, **report.payload}
                    work.events.append(self._job_id, report.kind, report.message, level=level, data=data)  # type: ignore[arg-type]

    def _record_epoch(self, work: UnitOfWork, record: dict[str, Any]) -> None:
        if work.trials.record_epoch(self.lease, record):
            message = f"epoch {record['epoch']}: validation loss {record['validation_loss']:.4f}"
            work.events.append(self._job_id, "epoch", message, data={"number": self._number, **record})

    def _conclude(self, ending: Ending) -> None:
        match ending:
            case Done(result):
                self._succeed(result)
            case Failed(problem):
                self._finish("failed", problem=problem)
            case Crashed(reason):
                self._charge(reason)
            case GaveUp():
                self._give_back()

    def _succeed(self, outcome: TrialOutcome) -> None:
        """Keeps the files, then the rows: success is recorded once every byte is stored."""
        stored: dict[str, Artifact] = {}
        for file in outcome.files:
            with file.path.open("rb") as source:
                stored[file.name] = self.runtime.store.artifacts.write(source, file.media_type)
        config = json.loads(_path_of(outcome, "config.json").read_text())
        with self.runtime.store.work() as work:
            work.artifacts.attach(stored, self.lease.row_id)
            self._end(
                work,
                "succeeded",
                metrics=outcome.metrics,
                best_epoch=outcome.best_epoch,
                stopped_by=outcome.stopped_by,
                device=outcome.device,
                config=config,
                fraction=1.0,
            )

    def _finish(self, state: str, **values: Any) -> None:
        with self.runtime.store.work() as work:
            self._end(work, state, **values)

    def _charge(self, reason: str) -> None:
        problem = WorkerLost(reason).to_problem()
        with self.runtime.store.work() as work:
            ended = work.trials.leases.charge(self.lease, self.runtime.settings.max_attempts, problem)
            state = "failed" if ended else "queued"
            data = {"number": self._number, "state": state, "reason": reason}
            work.events.append(self._job_id, "trial", f"trial {self._number}: {reason}", level="warning", data=data)
            advance(work, self._job_id)

    def _give_back(self) -> None:
        with self.runtime.store.work() as work:
            state = work.jobs.state_of(self._job_id)
            if state in ("cancelling", *TERMINAL, None):
                self._end(work, "cancelled")
                return
            work.trials.leases.release(self.lease)
            message = f"trial {self._number} was put back after its last checkpoint"
            work.events.append(self._job_id, "trial", message, data={"number": self._number, "state": "queued"})
            advance(work, self._job_id)

    def _end(self, work: UnitOfWork, state: str, **values: Any) -> None:
        work.trials.leases.finish(self.lease, state, **values)
        level = "error" if state == "failed" else "info"
        data = {"number": self._number, "state": state} | {
            key: values[key] for key in ("problem", "best_epoch", "stopped_by") if key in values
        }
        message = f"trial {self._number} {state}"
        work.events.append(self._job_id, "trial", message, level=level, data=data)  # type: ignore[arg-type]
        advance(work, self._job_id)


def claim_trial(runtime: Runtime) -> Lease | None:
    """The next trial for this worker; its job runs from here on."""
    while True:
        with runtime.store.work() as work:
            lease = work.trials.claim(runtime.worker_id, runtime.settings.lease_seconds)
            if lease is None or _begin(work, lease):
                return lease


def _begin(work: UnitOfWork, lease: Lease) -> bool:
    """Says that the trial runs; puts it back where its job was paused or cancelled in the very moment of the claim."""
    trial = work.trials.get(lease.row_id)
    job = work.jobs.lock(trial.job_id)
    if job is None or job.state in ("cancelling", *TERMINAL):
        work.trials.leases.finish(lease, "cancelled")
        advance(work, trial.job_id)
        return False
    if job.state not in ("queued", "running"):
        work.trials.leases.release(lease)
        advance(work, trial.job_id)
        return False
    work.jobs.move(trial.job_id, "running")
    data = {"number": trial.number, "state": "running", "attempt": trial.attempt}
    work.events.append(trial.job_id, "trial", f"trial {trial.number} running", data=data)
    return True


def remove_old_scratch(runtime: Runtime) -> None:
    """Removes the scratch of trials that can no longer go on from it."""
    folders = {path.name: path for path in (runtime.settings.scratch / "trials").glob("*")}
    if folders:
        with runtime.store.read() as work:
            live = work.trials.live(folders)
        for name in folders.keys() - live:
            shutil.rmtree(folders[name], ignore_errors=True)


def _path_of(outcome: TrialOutcome, name: str) -> Path:
    return next(file.path for file in outcome.files if file.name == name)
