"""The only decider of a job's fate: asks what its trials came to, makes more, and publishes, closes or waits.

All of that is a matter of rows alone, so that it can be done in whichever worker ended a trial, and again by
anybody when that worker died just then. What takes time is found out between two steps, without the lock:
`worker.runtime.pursuit`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from service.errors import ResourceExhausted
from service.specs.base import new_id
from service.specs.points import early_params
from service.store import Artifact, UnitOfWork
from service.store.jobs import TERMINAL
from service.store.tables import JobRow, ModelRow, TrialRow
from worker.runtime.diagnoses import diagnose_job
from worker.runtime.model_files import weights_name
from worker.runtime.search import Search, read_search
from worker.tuning.records import Proposal

WHY_ENDED = {
    "target": "The search ended: a trial has reached the target.",
    "limit": "The search ended: the time limit of the job was reached.",
    "no_improvement": "The search ended: the latest trials did not improve on the best.",
}


@dataclass(frozen=True)
class Proposed:
    """What the sampler proposes for a trial of that number."""

    number: int
    proposal: Proposal


@dataclass(frozen=True)
class Drawn:
    """Pictures of the whole search, stored; none if they could not be drawn."""

    files: Mapping[str, Artifact]


@dataclass(frozen=True)
class Step:
    """How many trials a step has made, and what it needs to be told for another one."""

    made: int = 0
    wants: Literal["proposal", "pictures"] | None = None
    number: int = 0


def advance(work: UnitOfWork, job_id: str, found: Proposed | Drawn | None = None) -> Step:
    """Takes a job one step, under its row's lock; does nothing where there is nothing to do."""
    job = work.jobs.lock(job_id)
    if job is None or job.state in TERMINAL:
        return Step()
    search = read_search(work, job)
    if job.state == "cancelling" or search.ended_by:
        work.trials.cancel_queued(job_id)
    if search.best and search.is_tuned:
        work.artifacts.abandon_trials([job_id], but=search.id_of(search.best))
    if job.state == "cancelling":
        if not search.running:
            work.jobs.move(job_id, "cancelled")
        return Step()
    if job.state == "pausing" and not search.running and (search.queued or search.missing):
        work.jobs.move(job_id, "paused")
        return Step()
    if job.state == "paused" or (job.state == "pausing" and search.running):
        return Step()
    step = _make_trials(work, job, search, found)
    if step.made or step.wants or search.running or search.queued:
        return step
    return _close(work, job, search, found)


def _make_trials(work: UnitOfWork, job: JobRow, search: Search, found: Proposed | Drawn | None) -> Step:
    made = 0
    while made < search.free_places:
        number = len(search.records) + made
        params = early_params(search.spec, number)
        proposal = Proposal(params) if params is not None else None
        if proposal is None and isinstance(found, Proposed) and found.number == number:
            proposal = found.proposal
        if proposal is None:
            return Step(made, "proposal", number)
        row = TrialRow(id=new_id("trl"), job_id=job.id, number=number, state="queued",
                       params=proposal.params, notes=proposal.notes)  # fmt: skip
        work.trials.add(row)
        data = {"number": number, "state": "queued", "params": proposal.params}
        work.events.append(job.id, "trial", f"trial {number} queued", data=data)
        made += 1
    return Step(made)


def _close(work: UnitOfWork, job: JobRow, search: Search, found: Proposed | Drawn | None) -> Step:
    if search.best and search.is_tuned and not isinstance(found, Drawn):
        return Step(wants="pictures")
    job.trials_total = len(search.records)
    if search.ended_by and len(search.records) < search.planned:
        work.events.append(job.id, "log", WHY_ENDED[search.ended_by], data={"reason": search.ended_by})
    if search.best is None:
        limit = ResourceExhausted("The time limit of the job was reached before a trial had ended.").to_problem()
        failed = work.trials.first_failed(job.id)
        problem = failed.problem if failed else limit if search.ended_by == "limit" else None
        work.jobs.move(job.id, "failed", problem=problem, diagnosis=diagnose_job(work, job, failed))
        return Step()
    if isinstance(found, Drawn):
        work.artifacts.attach(found.files, search.id_of(search.best))
    _publish(work, job, work.trials.get(search.id_of(search.best)))
    return Step()


def _publish(work: UnitOfWork, job: JobRow, winner: TrialRow) -> None:
    config: dict[str, Any] = winner.config or {}
    metrics = winner.metrics or {}
    weights = work.artifacts.find(winner.id, weights_name(config))
    assert weights is not None, "a winner's files are kept"
    model = ModelRow(
        id=new_id("mdl"),
        project_id=job.project_id,
        name=job.name,
        labels=dict(job.labels),
        job_id=job.id,
        dataset_id=job.dataset_id,
        problem=job.spec["problem"],
        backbone=config.get("backbone"),
        estimator=config.get("estimator"),
        classes=config["classes"],
        input=config["input"],
        metrics=metrics,
        digest=weights.sha256,
        size_bytes=weights.size_bytes,
    )
    work.models.add(model)
    work.artifacts.move(winner.id, model.id)
    shown = {split: metrics.get(split) for split in ("validation", "test", "baseline")}
    found = {"metrics": shown, "best_trial": winner.number, "model_id": model.id, "device": winner.device}
    found["diagnosis"] = diagnose_job(work, job, winner)
    work.jobs.move(job.id, "running")
    if not work.jobs.move(job.id, "succeeded", **found):
        raise RuntimeError(f"a job that is {job.state} cannot succeed")
