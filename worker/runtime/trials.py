"""One claimed trial, from its row to its result."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from service.errors import ArtifactCorrupt, Invalid, LeaseLost, Stopped, WorkerLost
from service.logs import log_ids
from service.specs.jobs import JobSpec
from service.store import Artifact, Lease, UnitOfWork
from service.store.jobs import TERMINAL
from worker.runtime.assignments import Assignment, make_order, read_assignment
from worker.runtime.child import DISK_FULL, Reporter
from worker.runtime.children import Child
from worker.runtime.context import Runtime
from worker.runtime.devices import Device
from worker.runtime.judging import best_epoch_of, is_beaten, is_hopeless, is_judged, is_needless
from worker.runtime.lease_keeper import LeaseKeeper
from worker.runtime.messages import Again, Crashed, Done, Ending, Failed, GaveUp, Report
from worker.runtime.outages import await_storage, insist
from worker.runtime.pursuit import pursue, take_step
from worker.runtime.ranks import Ranks, start_ranks
from worker.runtime.scribe import Wish
from worker.runtime.storing import row_values, unprepared, why_not_stored
from worker.runtime.supervision import Supervisor, Watch
from worker.runtime.work import work_trial
from worker.training.order import TrialOrder, TrialOutcome

log = logging.getLogger(__name__)
WALL_GRACE_SECONDS = 120.0
"""The trial itself stops in time and still scores and writes its result."""
STOPPING_STATES = ("cancelling", "pausing", "paused", *TERMINAL)


@dataclass
class TrialRun:
    """Runs one trial under its lease; `work` is what the child does. `_over` says why its search needs no more of it;
    `_child` fits it.
    """

    runtime: Runtime
    lease: Lease
    devices: list[Device]
    work: Callable[[TrialOrder, Reporter], object] = work_trial
    _over: Literal["pruner", "target"] | None = field(default=None, init=False)
    _wishes_seen: int = field(default=-1, init=False)
    _task: Assignment = field(init=False)
    _spec: JobSpec = field(init=False)
    _child: Child | Ranks | None = field(default=None, init=False)

    def run(self) -> None:
        """Ends with the trial finished, failed, or back in the queue; writes nothing once the lease is lost."""
        try:
            with LeaseKeeper(self._renew, self.runtime.settings.heartbeat_seconds):
                self._task = read_assignment(self.runtime, self.lease)
                with log_ids(job_id=self._task.job_id, trial=self._task.number):
                    self._go_through()
        except LeaseLost as error:
            log.warning("trial %s is given up: %s", self.lease.row_id, error.detail)
        finally:
            self._await_child()

    def _go_through(self) -> None:
        if self._task.tuning:
            pursue(self.runtime, self._task.job_id)
        started = time.monotonic()
        ending = self._ending()
        insist(lambda: self._conclude(ending), self.runtime.patience)
        seconds = time.monotonic() - started
        told = type(ending).__name__.lower()
        self.runtime.figures.trial(told, seconds)
        log.info("trial over: %s", told, extra={"figures": {"seconds": round(seconds, 3)}})
        if self._task.tuning:
            pursue(self.runtime, self._task.job_id)

    def _ending(self) -> Ending:
        try:
            prepare = partial(make_order, self.runtime, self.lease, self.devices[0], self._task)
            order, archive = await_storage(prepare, self._look, self.runtime.patience)
        except (ArtifactCorrupt, Invalid, Stopped, OSError) as error:
            return unprepared(error, f"trial {self.lease.row_id}")
        self._spec = order.spec
        with archive:
            return self._fitted(order)

    def _fitted(self, order: TrialOrder) -> Ending:
        """How the trial ends; ranks whose memory has run out begin again with smaller passes, which is no crash."""
        ending = self._supervised(order)
        while isinstance(ending, Again):
            self._await_child()
            why = Report("warning", ending.reason, {"micro_batch_size": ending.micro_batch_size})
            ending = self._supervised(replace(order, micro_batch_size=ending.micro_batch_size), why)
        return ending

    def _supervised(self, order: TrialOrder, *reports: Report) -> Ending:
        self._child = start_ranks(self.work, order, self.devices, is_judged=is_judged(self._task))
        watch = self._watch(order.scratch)
        return Supervisor(
            self._child, watch, beat=self._beat, record=self._record, wish=self._wish, reports=reports
        ).run()

    def _await_child(self) -> None:
        """Before nothing else is begun on the device, and nobody hears that the trial has stopped."""
        if self._child is not None:
            self._child.await_end()

    def _watch(self, scratch: Path) -> Watch:
        seconds = max(0.0, self._task.seconds_left) + WALL_GRACE_SECONDS
        return self.runtime.watch(seconds, self.runtime.memory.computing, scratch)

    def _wish(self) -> Wish:
        if self.runtime.draining.is_set() or self._over:
            return "stop"
        wishes = self.runtime.wishes
        news, self._wishes_seen = wishes != self._wishes_seen, wishes
        return "look" if news else "go_on"

    def _renew(self) -> None:
        with self.runtime.store.work(quick=True) as work:
            work.trials.leases.renew(self.lease)

    def _beat(self) -> Wish:
        with self.runtime.store.work(quick=True) as work:
            work.trials.leases.renew(self.lease)
            state = work.jobs.state_of(self._task.job_id)
            if is_needless(work, self._task):
                self._over = "target"
        return "stop" if state is None or state in STOPPING_STATES or self._over else "go_on"

    def _look(self) -> Wish:
        return "stop" if self._wish() == "stop" else self._beat()

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
                    data = {"number": self._task.number, **report.payload}
                    work.events.append(self._task.job_id, report.kind, report.message, level=level, data=data)  # type: ignore[arg-type]
        if report.kind != "progress":
            self.runtime.nudges.announce()
        if report.kind == "epoch" and report.payload["epoch"] < self._spec.training.epochs:
            self._judge()

    def _record_epoch(self, work: UnitOfWork, record: dict[str, Any]) -> None:
        if work.trials.record_epoch(self.lease, record):
            message = f"epoch {record['epoch']}: validation loss {record['validation_loss']:.4f}"
            work.events.append(self._task.job_id, "epoch", message, data={"number": self._task.number, **record})

    def _judge(self) -> None:
        """Asks the pruner about the trial's epochs so far."""
        if self._task.tuning and is_hopeless(self.runtime.store, self._task, self._epochs()):
            self._over = "pruner"

    def _epochs(self) -> list[dict[str, Any]]:
        with self.runtime.store.read() as work:
            return work.trials.epochs(self.lease.row_id)

    def _conclude(self, ending: Ending) -> None:
        match ending:
            case Done(result):
                self._store_and_succeed(result)
            case Failed(problem) if problem == DISK_FULL:
                self._charge(problem["detail"], problem)
            case Failed(problem):
                self._finish("failed", problem=problem)
            case Crashed(reason):
                self._charge(reason)
            case GaveUp():
                if self._over != "pruner":
                    self._await_child()
                self._give_back()

    def _store_and_succeed(self, outcome: TrialOutcome) -> None:
        """Success is recorded once every byte is stored; where that fails, the trial is tried again."""
        try:
            stored = await_storage(lambda: self._stored(outcome), self._look, self.runtime.patience)
        except Stopped:
            self._give_back()
        except OSError as error:
            log.exception("the results of trial %s cannot be stored", self.lease.row_id)
            self._charge(why_not_stored(error))
        else:
            self._succeed(outcome, stored)

    def _stored(self, outcome: TrialOutcome) -> dict[str, Artifact]:
        stored: dict[str, Artifact] = {}
        with self.runtime.store.read() as work:
            kept = [] if is_beaten(work, self._task, outcome.metrics) else outcome.files
        for file in kept:
            with file.path.open("rb") as source:
                stored[file.name] = self.runtime.store.artifacts.write(source, file.media_type)
        return stored

    def _succeed(self, outcome: TrialOutcome, stored: dict[str, Artifact]) -> None:
        values = row_values(outcome)
        with self.runtime.store.work() as work:
            work.artifacts.attach(stored, self.lease.row_id)
            self._end(work, "succeeded", **values)

    def _finish(self, state: str, **values: Any) -> None:
        with self.runtime.store.work() as work:
            self._end(work, state, **values)

    def _charge(self, reason: str, problem: dict[str, Any] | None = None) -> None:
        problem = problem or WorkerLost(reason).to_problem()
        with self.runtime.store.work() as work:
            ended = work.trials.leases.charge(self.lease, self.runtime.settings.max_attempts, problem)
            state = "failed" if ended else "queued"
            data = {"number": self._task.number, "state": state, "reason": reason}
            message = f"trial {self._task.number}: {reason}"
            work.events.append(self._task.job_id, "trial", message, level="warning", data=data)
            take_step(work, self.runtime.nudges, self._task.job_id)

    def _give_back(self) -> None:
        with self.runtime.store.work() as work:
            state = work.jobs.state_of(self._task.job_id)
            if state in ("cancelling", *TERMINAL, None) or self._over == "target":
                self._end(work, "cancelled")
                return
            if self._over == "pruner":
                best = best_epoch_of(self._task, work.trials.epochs(self.lease.row_id))
                self._end(work, "pruned", stopped_by="pruner", best_epoch=best)
                return
            work.trials.leases.release(self.lease)
            message = f"trial {self._task.number} was put back after its last checkpoint"
            data = {"number": self._task.number, "state": "queued"}
            work.events.append(self._task.job_id, "trial", message, data=data)
            take_step(work, self.runtime.nudges, self._task.job_id)

    def _end(self, work: UnitOfWork, state: str, **values: Any) -> None:
        work.trials.leases.finish(self.lease, state, **values)
        level = "error" if state == "failed" else "info"
        data = {"number": self._task.number, "state": state} | {
            key: values[key] for key in ("problem", "best_epoch", "stopped_by") if key in values
        }
        message = f"trial {self._task.number} {state}"
        work.events.append(self._task.job_id, "trial", message, level=level, data=data)  # type: ignore[arg-type]
        take_step(work, self.runtime.nudges, self._task.job_id)
