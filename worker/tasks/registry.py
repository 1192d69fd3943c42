"""Celery's tasks: shells around the runtime. A nudge makes a worker take rows until none is left."""

import logging
import time
from collections.abc import Callable
from threading import BoundedSemaphore
from typing import Any, TypeVar

from celery import Celery
from sqlalchemy.exc import SQLAlchemyError

from service.logs import log_ids
from service.specs.tasks import ADVANCE_JOB, EXPLAIN, EXPORT_MODELS, PREDICT, RUN_TRIALS, VALIDATE_DATASETS
from service.store import Lease, StorageAway
from worker.runtime.claims import Claimed, claim_trial
from worker.runtime.context import Runtime
from worker.runtime.exports import ExportRun
from worker.runtime.pursuit import pursue
from worker.runtime.scratch import remove_old_scratch
from worker.runtime.trials import TrialRun
from worker.runtime.validations import ValidationRun

log = logging.getLogger(__name__)
Taken = TypeVar("Taken")
EXPLANATIONS_AT_ONCE = 2
"""Fewer than the explain worker has threads, so that predictions always find one."""


def register_tasks(celery: Celery, runtime: Runtime) -> None:
    """Binds the tasks of this worker's queues."""
    if "train" in runtime.queues:
        _bind(celery, RUN_TRIALS, lambda: run_trials(runtime))
    if "control" in runtime.queues:
        _bind_chores(celery, runtime, VALIDATE_DATASETS, "datasets", lambda lease: ValidationRun(runtime, lease).run())
        _bind_chores(celery, runtime, EXPORT_MODELS, "exports", lambda lease: ExportRun(runtime, lease).run())
        _bind(celery, ADVANCE_JOB, lambda: advance_jobs(runtime))
    if "explain" in runtime.queues:
        _bind_servings(celery, runtime)


def run_trials(runtime: Runtime) -> None:
    """Takes trials while there are queued ones and free devices. Whoever ends one looks for the next."""
    take_all(runtime, lambda: claim_trial(runtime), lambda claimed: run_one(runtime, claimed))


def run_one(runtime: Runtime, claimed: Claimed) -> None:
    """One trial, and the scratch of all that are over."""
    try:
        TrialRun(runtime, claimed.lease, claimed.devices).run()
        remove_old_scratch(runtime.store, runtime.settings.scratch)
    finally:
        runtime.devices.give(claimed.devices)
    for _ in claimed.devices[1:]:  # this thread goes on with one trial; others may take what else is free now
        runtime.nudges.nudge(RUN_TRIALS)


def take_in_turn(runtime: Runtime, places: BoundedSemaphore, noun: str, take: Callable[[], None]) -> None:
    """`take()` if there is a place; whoever leaves one looks for rows whose nudge was passed over meanwhile."""
    while places.acquire(blocking=False):
        try:
            take()
        finally:
            places.release()
        with runtime.store.read() as work:
            if runtime.draining.is_set() or not getattr(work, noun).leases.waiting(0.0):
                return


def advance_jobs(runtime: Runtime) -> None:
    """Decides jobs of which nothing is live any more."""
    with runtime.store.read() as work:
        job_ids = work.jobs.without_live_trials()
    for job_id in job_ids:
        try:
            pursue(runtime, job_id)
        except Exception:
            log.exception("job %s cannot be advanced", job_id)
        else:
            runtime.nudges.announce()


def take_all(runtime: Runtime, claim: Callable[[], Taken | None], run: Callable[[Taken], None]) -> None:
    """Claims and runs until nothing is left or the worker drains; a database or storage that is away ends the round."""
    try:
        while not runtime.draining.is_set():
            taken = claim()
            if taken is None:
                return
            run(taken)
            runtime.nudges.announce()
    except (SQLAlchemyError, StorageAway) as error:
        log.warning("round ended, the sweeper will nudge again: %s", type(error).__name__, exc_info=error)


def _bind(celery: Celery, name: str, work: Callable[[], Any]) -> None:
    def task() -> None:
        try:
            work()
        except Exception:
            log.exception("%s failed", name)  # Celery would write the error's message, whatever that quotes

    celery.task(name=name)(task)


def _bind_chores(celery: Celery, runtime: Runtime, task: str, noun: str, run: Callable[[Lease], None]) -> None:
    """Rows of one kind until none is waiting, one at a time, so that other chores are not kept waiting."""
    places = BoundedSemaphore(1)

    def claim() -> Lease | None:
        with runtime.store.work() as work:
            lease: Lease | None = getattr(work, noun).leases.claim(runtime.worker_id, runtime.settings.lease_seconds)
            return lease

    def take() -> None:
        take_all(runtime, claim, run)

    _bind(celery, task, lambda: take_in_turn(runtime, places, noun, take))


def _timed(runtime: Runtime, kind: str, run: Callable[[Lease], None]) -> Callable[[Lease], None]:
    def timed(lease: Lease) -> None:
        started = time.monotonic()
        with log_ids(**{f"{kind}_id": lease.row_id}):
            run(lease)
        runtime.figures.answer(kind, time.monotonic() - started)

    return timed


def _bind_servings(celery: Celery, runtime: Runtime) -> None:
    """Imported here: only the explain worker's own process holds torch."""
    from worker.tasks.serving import make_servings

    predictions, explanations = make_servings(runtime)
    predict, run = _timed(runtime, "prediction", predictions.run), _timed(runtime, "explanation", explanations.run)
    _bind(celery, PREDICT, lambda: take_all(runtime, predictions.claim, predict))
    places = BoundedSemaphore(EXPLANATIONS_AT_ONCE)

    def explain() -> None:
        take_all(runtime, explanations.claim, run)

    _bind(celery, EXPLAIN, lambda: take_in_turn(runtime, places, "explanations", explain))
