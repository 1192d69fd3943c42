"""Jobs and their trials."""

from typing import Annotated, Literal

from fastapi import Path, Query, Response
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from service.deps import Caller, Nudging, Page, Stored, Waiting, Work
from service.errors import (
    BudgetExceeded,
    Conflict,
    Invalid,
    MalformedJson,
    NotFound,
    QuotaExceeded,
    TargetInvalid,
    UnknownBackbone,
    UnknownReference,
    UnsupportedMediaType,
)
from service.jobs import actions
from service.jobs.report import render_report
from service.jobs.schemas import JobList, JobPlan, JobRead, Rerun, TrialList, TrialRead
from service.problems import error_docs
from service.quotas import ROOM_FOR_A_JOB, ROOM_UNLESS_PLANNED
from service.routing import door_router
from service.specs.jobs import JobSpec
from service.streaming import PAGE_POLICY, stream_artifact

router = door_router("/jobs", "jobs")
SUBMIT_ERRORS = (BudgetExceeded, Conflict, Invalid, MalformedJson, QuotaExceeded, UnknownReference, UnknownBackbone,
                 TargetInvalid, UnsupportedMediaType)  # fmt: skip


@router.post(
    "",
    status_code=201,
    dependencies=[ROOM_UNLESS_PLANNED],
    responses={200: {"model": JobPlan}, **error_docs(*SUBMIT_ERRORS)},
)
async def submit_job(
    body: JobSpec, caller: Caller, desk: Waiting, nudges: Nudging, response: Response, dry_run: bool = False
) -> JobRead | JobPlan:
    """Accepts a training request; with `dry_run` only says what it would do."""
    if dry_run:
        response.status_code = 200
        return await desk.run(actions.dry_run, caller.project_id, body)
    job_id = await desk.run(actions.submit, nudges, caller.project_id, body)
    response.headers["Location"] = f"/v1/jobs/{job_id}"
    return await desk.settled(actions.read, caller.project_id, job_id)


@router.get("")
def list_jobs(work: Work, caller: Caller, page: Page) -> JobList:
    """The project's jobs, newest first."""
    return actions.page(work, caller.project_id, page)


@router.get("/{job_id}", responses=error_docs(NotFound))
async def read_job(job_id: str, caller: Caller, desk: Waiting) -> JobRead:
    """One job."""
    return await desk.settled(actions.read, caller.project_id, job_id)


@router.delete("/{job_id}", status_code=204, responses=error_docs(NotFound, Conflict))
def delete_job(job_id: str, work: Work, caller: Caller) -> None:
    """Deletes a job that has ended; its model stays."""
    actions.delete(work, caller.project_id, job_id)


@router.post("/{job_id}/cancel", responses=error_docs(NotFound, Conflict))
async def cancel_job(job_id: str, caller: Caller, desk: Waiting, nudges: Nudging) -> JobRead:
    """Stops a queued, running or paused job."""
    await desk.run(actions.cancel, nudges, caller.project_id, job_id)
    return await desk.settled(actions.read, caller.project_id, job_id)


@router.post("/{job_id}/pause", responses=error_docs(NotFound, Conflict))
async def pause_job(job_id: str, caller: Caller, desk: Waiting, nudges: Nudging) -> JobRead:
    """Pauses a running job at its last checkpoint."""
    await desk.run(actions.pause, nudges, caller.project_id, job_id)
    return await desk.settled(actions.read, caller.project_id, job_id)


@router.post("/{job_id}/resume", responses=error_docs(NotFound, Conflict))
async def resume_job(job_id: str, caller: Caller, desk: Waiting, nudges: Nudging) -> JobRead:
    """Queues a paused job again."""
    await desk.run(actions.resume, nudges, caller.project_id, job_id)
    return await desk.settled(actions.read, caller.project_id, job_id)


@router.post(
    "/{job_id}/rerun", status_code=201, dependencies=[ROOM_FOR_A_JOB], responses=error_docs(NotFound, *SUBMIT_ERRORS)
)
async def rerun_job(
    job_id: str, body: Rerun, caller: Caller, desk: Waiting, nudges: Nudging, response: Response
) -> JobRead:
    """Accepts a job like this one, with a merge patch on its spec."""
    new_id = await desk.run(actions.rerun, nudges, caller.project_id, job_id, body)
    response.headers["Location"] = f"/v1/jobs/{new_id}"
    return await desk.settled(actions.read, caller.project_id, new_id)


@router.get("/{job_id}/trials", responses=error_docs(NotFound))
def list_trials(
    job_id: str,
    work: Work,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> TrialList:
    """The job's trials by number."""
    return actions.trials(work, caller.project_id, job_id, limit=limit, first=cursor)


@router.get("/{job_id}/trials/{number}", responses=error_docs(NotFound))
async def read_trial(
    job_id: str, number: Annotated[int, Path(ge=0, le=2**31 - 1)], caller: Caller, desk: Waiting, store: Stored
) -> TrialRead:
    """One trial with its epochs."""
    trial_id = await run_in_threadpool(actions.find_trial, store, caller.project_id, job_id, number)
    return await desk.settled(actions.trial, trial_id)


@router.get("/{job_id}/plots/{plot}.{form}", response_class=Response, responses=error_docs(NotFound, Conflict))
def read_plot(
    job_id: str,
    plot: Literal[
        "learning_curves",
        "confusion_matrix",
        "calibration",
        "predicted_against_actual",
        "residuals",
        "tuning_history",
        "parameter_importances",
        "parallel_coordinate",
    ],
    form: Literal["png", "svg", "json"],
    work: Work,
    caller: Caller,
    store: Stored,
) -> Response:
    """A picture of a finished job, or the figures behind it; a search's importances need two trials that differ.

    Classes have a confusion matrix and a calibration, values predicted_against_actual and residuals.
    """
    name = "curves.json" if (plot, form) == ("learning_curves", "json") else f"{plot}.{form}"
    return stream_artifact(store, actions.plot(work, caller.project_id, job_id, name), None)


@router.get("/{job_id}/report", response_class=HTMLResponse, responses=error_docs(NotFound))
def read_report(job_id: str, caller: Caller, store: Stored) -> HTMLResponse:
    """The job as one self-contained HTML page."""
    with store.read() as work:
        job, trials, artifacts = actions.report_parts(work, caller.project_id, job_id)
    pictures = {name: store.artifacts.read_bytes(artifact) for name, artifact in artifacts.items()}
    return HTMLResponse(render_report(job, trials, pictures), headers={"Content-Security-Policy": PAGE_POLICY})
