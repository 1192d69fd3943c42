"""Takes a job as many steps as it can be taken now; what a step needs to know is found out in a child process.

A sampler may import torch, take seconds or crash, and drawing changes global state: nothing of that belongs into
the worker's own process, or under the job's lock.
"""

import json
import logging
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from service.errors import LeaseLost
from service.queue import Nudges, after_commit
from service.specs.jobs import JobSpec
from service.specs.points import random_point
from service.specs.tasks import RUN_TRIALS
from service.store import Store, UnitOfWork
from worker.runtime.advance import Drawn, Proposed, Step, advance
from worker.runtime.child import Order
from worker.runtime.children import start_child
from worker.runtime.context import Runtime
from worker.runtime.messages import Done, Ending, GaveUp
from worker.runtime.scribe import Wish
from worker.runtime.search import read_records, read_search
from worker.runtime.supervision import Supervisor
from worker.runtime.work import SearchOrder, work_pictures, work_proposal
from worker.training.order import PICTURE_OF
from worker.tuning.records import Proposal

log = logging.getLogger(__name__)
CHORE_SECONDS = 120.0
MEDIA_TYPES = {".json": "application/json", ".png": "image/png", ".svg": "image/svg+xml"}


def pursue(runtime: Runtime, job_id: str) -> None:
    """Steps until there is nothing to do, another worker is at it, or this one drains.

    Whoever looks next goes on from the rows; of several that look, one finds out, so that nothing is drawn twice.
    """
    found: Proposed | Drawn | None = None
    seconds = runtime.settings.lease_seconds
    while True:
        with runtime.store.work() as work:
            if found is not None:
                work.jobs.end_pursuit(job_id)
            step = take_step(work, runtime.nudges, job_id, found)
            if step.wants is None or runtime.draining.is_set() or not work.jobs.begin_pursuit(job_id, seconds):
                return
        try:
            found = _find_out(runtime, job_id, step)
        except OSError:
            log.exception("job %s goes on once the storage does", job_id)
            found = None
        if found is None:
            with runtime.store.work() as work:
                work.jobs.end_pursuit(job_id)
            return


def take_step(work: UnitOfWork, nudges: Nudges, job_id: str, found: Proposed | Drawn | None = None) -> Step:
    """One step; once it is safe, a worker is woken for each trial that it made."""
    step = advance(work, job_id, found)
    for _ in range(step.made):
        work.after_commit(after_commit(nudges, RUN_TRIALS))
    return step


def _find_out(runtime: Runtime, job_id: str, step: Step) -> Proposed | Drawn | None:
    with runtime.store.read() as work:
        job = work.jobs.get(job_id)
        if job is None:
            return None
        spec = JobSpec.model_validate(job.spec)
        records = read_records(work, job_id, spec)
    if step.wants == "proposal":
        return _proposed(runtime, job_id, step.number, SearchOrder(spec, records[: step.number]))
    documents = _documents_of_best(runtime.store, job_id)
    ending = _in_child(runtime, job_id, work_pictures, SearchOrder(spec, records, documents))
    if isinstance(ending, GaveUp):
        return None
    if not isinstance(ending, Done):
        _warn(runtime, job_id, "The pictures of the search could not be drawn.")
        return Drawn({})
    hold = runtime.store.artifacts.hold
    return Drawn({name: hold(data, MEDIA_TYPES[PurePath(name).suffix]) for name, data in ending.result.items()})


def _documents_of_best(store: Store, job_id: str) -> dict[str, Any]:
    """What the best trial's pictures are drawn from, by file stem."""
    with store.read() as work:
        job = work.jobs.get(job_id)
        search = read_search(work, job) if job else None
        stored = work.artifacts.of(search.id_of(search.best)) if search and search.best else []
    return {
        PurePath(artifact.name or "").stem: json.loads(store.artifacts.read_bytes(artifact))
        for artifact in stored
        if PurePath(artifact.name or "").stem in PICTURE_OF and artifact.media_type == MEDIA_TYPES[".json"]
    }


def _proposed(runtime: Runtime, job_id: str, number: int, order: SearchOrder) -> Proposed | None:
    ending = _in_child(runtime, job_id, work_proposal, order)
    if isinstance(ending, GaveUp):
        return None
    if isinstance(ending, Done):
        return Proposed(number, ending.result)
    _warn(runtime, job_id, f"The sampler failed: trial {number} is drawn at random.")
    return Proposed(number, Proposal(random_point(order.spec, number)))


def _in_child(runtime: Runtime, job_id: str, work: Any, order: SearchOrder) -> Ending:
    limits = runtime.watch(CHORE_SECONDS, runtime.memory.reading)
    watch = replace(limits, grace_seconds=0.0, stall_seconds=CHORE_SECONDS)

    def wish() -> Wish:
        return "stop" if runtime.draining.is_set() else "go_on"

    def beat() -> Wish:
        with runtime.store.work(quick=True) as unit:
            unit.jobs.go_on_pursuing(job_id, runtime.settings.lease_seconds)
        return "go_on"

    child = start_child(work, Order(order, {"CUDA_VISIBLE_DEVICES": ""}))
    try:
        ending = Supervisor(child, watch, beat=beat, record=lambda _: None, wish=wish).run()
    except LeaseLost:  # of a database that was away; whoever looks next goes on
        ending = GaveUp()
    if not isinstance(ending, Done):
        log.warning("%s ended with %s", work.__name__, type(ending).__name__)
    return ending


def _warn(runtime: Runtime, job_id: str, message: str) -> None:
    with runtime.store.work() as work:
        work.events.append(job_id, "warning", message, level="warning")
