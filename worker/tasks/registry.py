"""Celery's tasks: shells around the runtime. A nudge makes a worker take rows until none is left."""

import logging
from collections.abc import Callable
from typing import Any

from celery import Celery
from sqlalchemy.exc import SQLAlchemyError

from service.specs.tasks import ADVANCE_JOB, EXPLAIN, PREDICT, RUN_TRIALS, VALIDATE_DATASETS
from service.store import Lease
from worker.runtime.advance import advance
from worker.runtime.context import Runtime
from worker.runtime.devices import Device
from worker.runtime.trials import TrialRun, claim_trial, remove_old_scratch
from worker.runtime.validations import ValidationRun

log = logging.getLogger(__name__)


def register_tasks(celery: Celery, runtime: Runtime) -> None:
    """Binds the tasks of this worker's queues."""
    if "train" in runtime.queues:
        _bind(celery, RUN_TRIALS, lambda: run_trials(runtime))
    if "control" in runtime.queues:
        _bind(celery, VALIDATE_DATASETS, lambda: validate_datasets(runtime))
        _bind(celery, ADVANCE_JOB, lambda: advance_jobs(runtime))
    if "explain" in runtime.queues:
        _bind_servings(celery, runtime)


def run_trials(runtime: Runtime) -> None:
    """Takes trials while there is a free device and a queued trial."""
    device = runtime.take_device()
    if device is None:
        return
    try:
        take_all(runtime, lambda: claim_trial(runtime), lambda lease: run_one(runtime, lease, device))
    finally:
        runtime.give_device(device)


def run_one(runtime: Runtime, lease: Lease, device: Device) -> None:
    """One trial, and the scratch of all that are over."""
    TrialRun(runtime, lease, device).run()
    remove_old_scratch(runtime)


def validate_datasets(runtime: Runtime) -> None:
    """Looks through datasets until none is waiting."""

    def claim() -> Lease | None:
        with runtime.store.work() as work:
            return work.datasets.leases.claim(runtime.worker_id, runtime.settings.lease_seconds)

    take_all(runtime, claim, lambda lease: ValidationRun(runtime, lease).run())


def advance_jobs(runtime: Runtime) -> None:
    """Decides jobs of which nothing is live any more."""
    with runtime.store.read() as work:
        job_ids = work.jobs.without_live_trials()
    for job_id in job_ids:
        with runtime.store.work() as work:
            advance(work, job_id)


def take_all(runtime: Runtime, claim: Callable[[], Lease | None], run: Callable[[Lease], None]) -> None:
    """Claims and runs until nothing is left or the worker drains; a database that is away ends the round."""
    try:
        while not runtime.draining.is_set():
            lease = claim()
            if lease is None:
                return
            run(lease)
    except SQLAlchemyError as error:
        log.warning("round ended, the sweeper will nudge again: %s", error, exc_info=error)


def _bind(celery: Celery, name: str, work: Callable[[], Any]) -> None:
    def task() -> None:
        work()

    celery.task(name=name)(task)


def _bind_servings(celery: Celery, runtime: Runtime) -> None:
    """Imported here: only the explain worker's own process holds torch."""
    from worker.tasks.serving import make_servings

    predictions, explanations = make_servings(runtime)
    _bind(celery, PREDICT, lambda: take_all(runtime, predictions.claim, predictions.run))
    _bind(celery, EXPLAIN, lambda: take_all(runtime, explanations.claim, explanations.run))
