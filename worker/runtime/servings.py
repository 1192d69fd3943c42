"""One claimed prediction or explanation, computed in the worker's own process."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

import torch
from sqlalchemy.exc import SQLAlchemyError

from service.errors import ArtifactCorrupt, LeaseLost, ResourceExhausted, ServiceError, Stopped
from service.store import Artifact, Lease, StorageAway, UnitOfWork
from service.store.serving import Servings
from service.store.tables import ExplanationRow, PredictionRow
from worker.data.shortage import says_out_of_memory
from worker.runtime.asked_inputs import Sources
from worker.runtime.context import Runtime
from worker.runtime.lease_keeper import LeaseKeeper
from worker.runtime.model_cache import ModelCache

log = logging.getLogger(__name__)
Row = PredictionRow | ExplanationRow
MEDIA_TYPES = {".png": "image/png", ".html": "text/html"}
DRAWERS = 2
ENDING_SECONDS = 60.0


def end_process() -> None:
    """As if it was asked to from outside: other work is put back first, but not waited for for long."""
    timer = threading.Timer(ENDING_SECONDS, os._exit, (1,))
    timer.daemon = True
    timer.start()
    os.kill(os.getpid(), signal.SIGTERM)


@dataclass(frozen=True)
class Question:
    """A row, with all that it takes to answer it."""

    row: Row
    sources: Sources
    models: ModelCache
    drawers: ThreadPoolExecutor


@dataclass(frozen=True)
class Answer:
    """A row's result, and its pictures and pages by name."""

    result: dict[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass
class Serving:
    """Answers rows of one table; `noun` is the unit of work's name for it, `give_up` ends the process."""

    runtime: Runtime
    models: ModelCache
    noun: str
    compute: Callable[[Question, Callable[[int, int], None]], Answer]
    drawers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(DRAWERS, "drawer"))
    give_up: Callable[[], None] = end_process

    def claim(self) -> Lease | None:
        """The next row for this worker. Without any, others may have the GPU's memory that torch has kept."""
        with self.runtime.store.work(quick=True) as work:
            lease = self._rows(work).leases.claim(self.runtime.worker_id, self.runtime.settings.lease_seconds)
        if lease is None:
            torch.cuda.empty_cache()
        return lease

    def run(self, lease: Lease) -> None:
        """Ends with the row succeeded, failed, or back in the queue."""
        started = time.perf_counter()
        try:
            with LeaseKeeper(lambda: self._renew(lease), self.runtime.settings.heartbeat_seconds) as keeper:
                answer = self._answer(lease, keeper)
                hold = self.runtime.store.artifacts.hold
                stored = {name: hold(data, MEDIA_TYPES[PurePath(name).suffix]) for name, data in answer.files.items()}
            self._finish(lease, "succeeded", stored, result=answer.result, compute_seconds=_since(started))
        except LeaseLost:
            log.info("%s %s is gone, or somebody else's now", self.noun, lease.row_id)
        except Stopped:
            self._put_back(lease)
        except ServiceError as error:
            self._fail(lease, _of_the_request(error), started)
        except (SQLAlchemyError, StorageAway):
            raise  # the lease runs out and the row is taken again
        except Exception as error:
            log.exception("%s %s", self.noun, lease.row_id)
            if _breaks_the_device(error):
                self._leave(lease, _safe(error))
            else:
                self._fail(lease, _safe(error), started)

    def _answer(self, lease: Lease, keeper: LeaseKeeper) -> Answer:
        with self.runtime.store.read() as work:
            row = self._rows(work).get(lease.row_id)
            kept = {str(artifact.name): artifact for artifact in work.artifacts.of(row.id)}
        sources = Sources(self.runtime.store, self.runtime.cache, row.inputs, kept)

        def progress(_done: int, _total: int) -> None:
            if keeper.lost.is_set():
                raise LeaseLost("The row was deleted or taken.")
            if self.runtime.draining.is_set():
                raise Stopped("The worker is ending.")

        return self.compute(Question(row, sources, self.models, self.drawers), progress)

    def _renew(self, lease: Lease) -> None:
        with self.runtime.store.work(quick=True) as work:
            self._rows(work).leases.renew(lease)

    def _finish(self, lease: Lease, state: str, stored: dict[str, Artifact], **values: Any) -> None:
        """Pictures of a row that was deleted meanwhile go with it."""
        try:
            with self.runtime.store.work(quick=True) as work:
                work.artifacts.attach(stored, lease.row_id)
                self._rows(work).leases.finish(lease, state, **values)
        except LeaseLost:
            self.runtime.store.artifacts.delete(stored.values())
            raise

    def _fail(self, lease: Lease, error: ServiceError, started: float) -> None:
        try:
            self._finish(lease, "failed", {}, problem=error.to_problem(), compute_seconds=_since(started))
        except LeaseLost:
            log.info("%s %s is gone, or somebody else's now", self.noun, lease.row_id)

    def _put_back(self, lease: Lease) -> None:
        try:
            with self.runtime.store.work(quick=True) as work:
                self._rows(work).leases.release(lease)
        except LeaseLost:
            log.info("%s %s is gone, or somebody else's now", self.noun, lease.row_id)

    def _leave(self, lease: Lease, error: ServiceError) -> None:
        """After an error that CUDA repeats at every later call: this process can answer nothing any more."""
        log.error("the GPU is lost to this process, which ends so that another takes its place")
        self.runtime.draining.set()
        try:
            with self.runtime.store.work(quick=True) as work:
                self._rows(work).leases.charge(lease, self.runtime.settings.max_attempts, error.to_problem())
        except LeaseLost:
            log.info("%s %s is gone, or somebody else's now", self.noun, lease.row_id)
        finally:
            self.give_up()

    def _rows(self, work: UnitOfWork) -> Servings[Any]:
        rows: Servings[Any] = getattr(work, self.noun)
        return rows


def _breaks_the_device(error: Exception) -> bool:
    return isinstance(error, torch.AcceleratorError) and not says_out_of_memory(error)


def _of_the_request(error: ServiceError) -> ServiceError:
    """With places as the client knows them: fields of the body."""
    faults = [
        fault if fault.loc[:1] == ("body",) else replace(fault, loc=("body", *fault.loc)) for fault in error.errors
    ]
    return type(error)(error.detail, errors=faults) if faults else error


def _safe(error: Exception) -> ServiceError:
    if says_out_of_memory(error):
        return ResourceExhausted("The memory does not suffice for this request.")
    return ArtifactCorrupt(f"The work failed with {type(error).__name__}; the worker's log has the reason.")


def _since(started: float) -> float:
    return round(time.perf_counter() - started, 4)
