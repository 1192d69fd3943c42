"""Rules for jobs."""

from typing import Any

from pydantic import ValidationError

from service.erasure import erase_job
from service.errors import Conflict, Fault, Invalid, NotFound
from service.jobs.planning import Plan, plan
from service.jobs.progress import progress_of
from service.jobs.schemas import JobList, JobPlan, JobRead, Rerun, TrialList, TrialRead
from service.problems import invalid_body
from service.queue import Nudges, after_commit
from service.specs.base import new_id
from service.specs.jobs import JobSpec
from service.specs.merge_patch import merge_patch
from service.specs.points import trials_planned
from service.specs.resolving import without_derived
from service.specs.tasks import ADVANCE_JOB, RUN_TRIALS
from service.store import Artifact, Store, UnitOfWork
from service.store.jobs import TERMINAL
from service.store.pages import PageQuery
from service.store.tables import JobRow, TrialRow

TUNING_PLOTS = ("tuning_history", "parameter_importances", "parallel_coordinate")
PICTURES = ("learning_curves", "confusion_matrix", "calibration", "predicted_against_actual", "residuals",
            *TUNING_PLOTS)  # fmt: skip


def dry_run(work: UnitOfWork, project_id: str, spec: JobSpec) -> JobPlan:
    """What the job would do."""
    return plan(work, project_id, spec).to_body()


def submit(work: UnitOfWork, nudges: Nudges, project_id: str, spec: JobSpec) -> str:
    """Accepts a job with its first trial; raises as `plan`."""
    return _accept(work, nudges, project_id, plan(work, project_id, spec))


def rerun(work: UnitOfWork, nudges: Nudges, project_id: str, job_id: str, body: Rerun) -> str:
    """Accepts a job like another one, with remedies of its diagnosis and a merge patch on its spec.

    Patches are applied in order, the override last: where two set the same field, the later one wins. What the stored
    spec has only because it follows from a field follows from that field's new value.

    Raises:
        NotFound, Invalid: a remedy that the job's diagnosis does not have, or patches that make no valid spec.
    """
    job = _find(work, project_id, job_id)
    spec: Any = job.spec
    for patch in [*_patches(job, body.apply), body.override]:
        spec = merge_patch(without_derived(spec, patch), patch)
    try:
        patched = JobSpec.model_validate(spec)
    except ValidationError as error:
        at_fault = "override" if body.override else "apply"
        raise invalid_body(error, at_fault) from error
    return submit(work, nudges, project_id, patched)


def _patches(job: JobRow, remedy_ids: list[str]) -> list[dict[str, Any]]:
    if remedy_ids and job.diagnosis is None:
        fault = Fault(("body", "apply"), "no-diagnosis", "a job has remedies once it has ended and was diagnosed")
        raise Invalid(f"The job is `{job.state}` and has no diagnosis to take remedies from.", errors=[fault])
    known = {remedy["id"]: remedy["patch"] for remedy in (job.diagnosis or {}).get("remedies", [])}
    message = f"the job's diagnosis has: {', '.join(known) or 'no remedies'}"
    faults = [
        Fault(("body", "apply", position), "unknown-remedy", message)
        for position, remedy_id in enumerate(remedy_ids)
        if remedy_id not in known
    ]
    if faults:
        raise Invalid("The job's diagnosis has no such remedy.", errors=faults)
    return [known[remedy_id] for remedy_id in remedy_ids]


def read(work: UnitOfWork, project_id: str, job_id: str) -> JobRead:
    """One job; raises `NotFound`."""
    return _shown(work, _find(work, project_id, job_id))[0]


def page(work: UnitOfWork, project_id: str, query: PageQuery) -> JobList:
    """A project's jobs, newest first."""
    rows, cursor = work.jobs.page(project_id, query)
    return JobList(data=_shown(work, *rows), next_cursor=cursor)


def cancel(work: UnitOfWork, nudges: Nudges, project_id: str, job_id: str) -> None:
    """Stops a job: at once when nothing of it runs, else as soon as its worker has seen it.

    Raises:
        NotFound, Conflict: it has ended.
    """
    job = _find(work, project_id, job_id, lock=True)
    if job.state == "cancelling":
        return
    if not work.jobs.move(job_id, "cancelling"):
        raise Conflict(f"The job is `{job.state}`; only a live job can be cancelled.")
    work.trials.cancel_queued(job_id)
    if not any(trial.state == "running" for trial in work.trials.of(job_id)):
        work.jobs.move(job_id, "cancelled")
    _tell(work, nudges)


def pause(work: UnitOfWork, nudges: Nudges, project_id: str, job_id: str) -> None:
    """Asks the worker to stop after its last checkpoint; raises `NotFound`, `Conflict`."""
    job = _find(work, project_id, job_id, lock=True)
    if not work.jobs.move(job_id, "pausing"):
        raise Conflict(f"The job is `{job.state}`; only a running job can be paused.")
    if not any(trial.state == "running" for trial in work.trials.of(job_id)):
        work.jobs.move(job_id, "paused")
    _tell(work, nudges)


def resume(work: UnitOfWork, nudges: Nudges, project_id: str, job_id: str) -> None:
    """Queues a paused job again; raises `NotFound`, `Conflict`."""
    job = _find(work, project_id, job_id, lock=True)
    if not work.jobs.move(job_id, "queued"):
        raise Conflict(f"The job is `{job.state}`; only a paused job can be resumed.")
    queued = sum(trial.state == "queued" for trial in work.trials.of(job_id))
    for task in [RUN_TRIALS] * queued or [ADVANCE_JOB]:
        work.after_commit(after_commit(nudges, task))


def delete(work: UnitOfWork, project_id: str, job_id: str) -> None:
    """Deletes a job that has ended; its model stays. Raises `NotFound`, `Conflict`."""
    job = _find(work, project_id, job_id, lock=True)
    if job.state not in TERMINAL:
        raise Conflict(f"The job is `{job.state}`; cancel it first.")
    erase_job(work, job_id)


def trials(work: UnitOfWork, project_id: str, job_id: str, *, limit: int, first: int) -> TrialList:
    """A job's trials from the number `first` on; raises `NotFound`."""
    _find(work, project_id, job_id)
    rows, following = work.trials.some_of(job_id, limit=limit, first=first)
    epochs = work.trials.epochs_of([row.id for row in rows])
    data = [TrialRead.from_row(row, epochs.get(row.id, [])) for row in rows]
    return TrialList(data=data, next_cursor=None if following is None else str(following))


def find_trial(store: Store, project_id: str, job_id: str, number: int) -> str:
    """A trial's id; raises `NotFound`."""
    with store.read() as work:
        _find(work, project_id, job_id)
        row = work.trials.find(job_id, number)
    if row is None:
        raise NotFound("The job has no such trial.")
    return row.id


def trial(work: UnitOfWork, trial_id: str) -> TrialRead:
    """One trial, by the id that `find_trial` gave; raises `NotFound` when it was deleted since."""
    row = work.session.get(TrialRow, trial_id)
    if row is None:
        raise NotFound("The job has no such trial.")
    return TrialRead.from_row(row, work.trials.epochs(row.id))


def plot(work: UnitOfWork, project_id: str, job_id: str, name: str) -> Artifact:
    """A picture of a finished job, kept with its model; raises `NotFound`, `Conflict`."""
    job = _find(work, project_id, job_id)
    if job.state not in TERMINAL:
        raise Conflict(f"The job is `{job.state}`; its plots are drawn when it has succeeded.")
    artifact = work.artifacts.find(job.model_id, name) if job.model_id else None
    if artifact is None:
        raise NotFound(_why_no_plot(job, name))
    return artifact


def _why_no_plot(job: JobRow, name: str) -> str:
    if name.partition(".")[0] not in TUNING_PLOTS:
        return "The job has no such plot."
    if not job.spec.get("tuning"):
        return "The job was not tuned; it has no plots of a search."
    if name.startswith("parameter_importances"):
        return "Importances need at least two trials of the space that succeeded with different values."
    return "The search could not be drawn."


def report_parts(
    work: UnitOfWork, project_id: str, job_id: str
) -> tuple[JobRead, list[TrialRead], dict[str, Artifact]]:
    """What a job's report is made of, of a search only the best trial's epochs; raises `NotFound`."""
    job = read(work, project_id, job_id)
    found = {name: work.artifacts.find(job.model_id or "", f"{name}.png") for name in PICTURES}
    pictures = {name: artifact for name, artifact in found.items() if artifact is not None}
    shown = {job.best_trial} if job.spec.tuning else None
    rows = work.trials.of(job_id)
    epochs = {row.id: work.trials.epochs(row.id) for row in rows if shown is None or row.number in shown}
    return job, [TrialRead.from_row(row, epochs.get(row.id, [])) for row in rows], pictures


def _accept(work: UnitOfWork, nudges: Nudges, project_id: str, planned: Plan) -> str:
    spec = planned.spec
    job = JobRow(
        id=new_id("job"),
        project_id=project_id,
        name=spec.name,
        labels=dict(spec.metadata),
        dataset_id=planned.dataset.id,
        dataset_digest=planned.dataset.digest,
        state="queued",
        spec=spec.model_dump(),
        warnings=[warning.model_dump() for warning in planned.warnings],
        trials_total=trials_planned(spec),
    )
    work.jobs.add(job)
    work.trials.add(TrialRow(id=new_id("trl"), job_id=job.id, number=0, state="queued"))
    work.accepted(f"/v1/jobs/{job.id}")
    work.after_commit(after_commit(nudges, RUN_TRIALS))
    return job.id


def _tell(work: UnitOfWork, nudges: Nudges) -> None:
    """Once it is safe: the workers that are to stop, and those who wait for the job."""
    work.after_commit(nudges.interrupt)
    work.after_commit(nudges.announce)


def _find(work: UnitOfWork, project_id: str, job_id: str, *, lock: bool = False) -> JobRow:
    row = work.jobs.find(project_id, job_id, lock=lock)
    if row is None:
        raise NotFound("No such job.")
    return row


def _shown(work: UnitOfWork, *jobs: JobRow) -> list[JobRead]:
    tallies = work.trials.tallies(job.id for job in jobs)
    return [JobRead.from_row(job, progress_of(job, tallies.get(job.id))) for job in jobs]
