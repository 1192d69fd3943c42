"""Predictions of a model."""

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from service.deps import Caller, Nudging, Page, Stored, Waiting, Work
from service.errors import NotFound
from service.inputs import INPUT_ERRORS, multipart_or_json, read_asked
from service.predictions import actions
from service.predictions.schemas import PredictionList, PredictionRead
from service.problems import error_docs
from service.routing import door_router
from service.specs.explanations import PredictionSpec

asked_of_models = door_router("/models", "predictions")
kept = door_router("/predictions", "predictions")
DEFAULT_WAIT_SECONDS = 30.0


@asked_of_models.post(
    "/{model_id}/predictions",
    openapi_extra=multipart_or_json(PredictionSpec),
    responses={202: {"model": PredictionRead}, **error_docs(*INPUT_ERRORS)},
)
async def predict(
    model_id: str,
    request: Request,
    response: Response,
    caller: Caller,
    desk: Waiting,
    store: Stored,
    nudges: Nudging,
) -> PredictionRead:
    """Answers for images of a form, or for samples of a dataset; 202 when the wait is over first."""
    asked = await read_asked(request)
    row_id = await run_in_threadpool(actions.submit, store, nudges, caller.project_id, model_id, asked)
    read = await desk.settled(actions.read, caller.project_id, row_id, default_seconds=DEFAULT_WAIT_SECONDS)
    response.headers["Location"] = f"/v1/predictions/{row_id}"
    if read.state in ("queued", "running"):
        response.status_code = 202
        response.headers["Retry-After"] = "1"
    return read


@kept.get("")
def list_predictions(work: Work, caller: Caller, page: Page) -> PredictionList:
    """The project's predictions, newest first."""
    return actions.page(work, caller.project_id, page)


@kept.get("/{prediction_id}", responses=error_docs(NotFound))
async def read_prediction(prediction_id: str, caller: Caller, desk: Waiting) -> PredictionRead:
    """One prediction."""
    return await desk.settled(actions.read, caller.project_id, prediction_id)


@kept.delete("/{prediction_id}", status_code=204, responses=error_docs(NotFound))
def delete_prediction(prediction_id: str, work: Work, caller: Caller) -> None:
    """Deletes a prediction with its inputs; one that still runs is stopped."""
    actions.delete(work, caller.project_id, prediction_id)


router = APIRouter()
router.include_router(asked_of_models)
router.include_router(kept)
