"""What a project may have at once. Looked up before the work: requests at the very same moment may pass together."""

from fastapi import Depends
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from service.deps import Caller, Configured, Stored
from service.errors import QuotaExceeded, RateLimited

RETRY_JOBS_SECONDS = 60
RETRY_ANSWERS_SECONDS = 2


def room_for_a_job(caller: Caller, store: Stored, settings: Configured) -> None:
    """Raises `QuotaExceeded` when as many jobs are queued as may be."""
    with store.read() as work:
        queued = work.jobs.queued(caller.project_id)
    if queued >= settings.max_queued_jobs:
        limit = settings.max_queued_jobs
        raise QuotaExceeded(f"{limit} jobs of the project are queued already.", retry_after_seconds=RETRY_JOBS_SECONDS)


def room_unless_planned(caller: Caller, store: Stored, settings: Configured, dry_run: bool = False) -> None:
    """As `room_for_a_job`; a plan alone needs no room."""
    if not dry_run:
        room_for_a_job(caller, store, settings)


def room_for_an_answer(caller: Caller, store: Stored, settings: Configured) -> None:
    """Raises `RateLimited` while as many predictions and explanations are pending as may be."""
    with store.read() as work:
        pending = work.predictions.pending(caller.project_id) + work.explanations.pending(caller.project_id)
    if pending >= settings.max_pending_answers:
        detail = f"{settings.max_pending_answers} predictions and explanations of the project are pending already."
        raise RateLimited(detail, retry_after_seconds=RETRY_ANSWERS_SECONDS)


def room_for_an_upload(request: Request, caller: Caller, store: Stored, settings: Configured) -> None:
    """Raises `QuotaExceeded` when datasets and models together would pass what a project may keep."""
    form: FormData = getattr(request, "_form", None) or FormData()
    size = sum(part.size or 0 for _, part in form.multi_items() if isinstance(part, UploadFile))
    with store.read() as work:
        kept = work.datasets.total_bytes(caller.project_id) + work.models.total_bytes(caller.project_id)
    if kept + size > settings.max_project_bytes:
        raise QuotaExceeded(f"The project may keep {settings.max_project_bytes} bytes of datasets and models.")


ROOM_FOR_A_JOB = Depends(room_for_a_job)
ROOM_UNLESS_PLANNED = Depends(room_unless_planned)
ROOM_FOR_AN_ANSWER = Depends(room_for_an_answer)
ROOM_FOR_AN_UPLOAD = Depends(room_for_an_upload)
