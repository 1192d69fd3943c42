"""Exports of a model."""

from fastapi import Response
from starlette.concurrency import run_in_threadpool

from service.deps import Caller, Nudging, Stored, Waiting, Work
from service.errors import Conflict, Invalid, MalformedJson, NotFound, PayloadTooLarge, UnsupportedMediaType
from service.exports import actions
from service.exports.schemas import ExportList, ExportRead
from service.problems import error_docs
from service.routing import door_router
from service.specs.exports import ExportFormat, ExportSpec

router = door_router("/models", "exports")
DEFAULT_WAIT_SECONDS = 30.0
SUBMIT_ERRORS = (Conflict, Invalid, MalformedJson, NotFound, PayloadTooLarge, UnsupportedMediaType)


@router.post("/{model_id}/exports", responses={202: {"model": ExportRead}, **error_docs(*SUBMIT_ERRORS)})
async def export_model(
    model_id: str, body: ExportSpec, response: Response, caller: Caller, desk: Waiting, nudges: Nudging
) -> ExportRead:
    """Exports a model once in each format; what has failed is tried again. 202 when the wait is over first."""
    export_id, path = await desk.run(actions.submit, nudges, caller.project_id, model_id, body)
    read = await desk.settled(actions.read, caller.project_id, export_id, default_seconds=DEFAULT_WAIT_SECONDS)
    response.headers["Location"] = path
    if read.state in ("queued", "running"):
        response.status_code = 202
        response.headers["Retry-After"] = "1"
    return read


@router.get("/{model_id}/exports", responses=error_docs(NotFound))
def list_exports(model_id: str, work: Work, caller: Caller) -> ExportList:
    """The model's exports by format."""
    return actions.all_of(work, caller.project_id, model_id)


@router.get("/{model_id}/exports/{format}", responses=error_docs(NotFound, Invalid))
async def read_export(model_id: str, format: ExportFormat, caller: Caller, desk: Waiting, store: Stored) -> ExportRead:
    """The model's export in that format."""
    export_id = await run_in_threadpool(actions.find_id, store, caller.project_id, model_id, format)
    return await desk.settled(actions.read, caller.project_id, export_id)
