"""Predictions of a model."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from service.answers import CSV, DEFAULT_WAIT_SECONDS, Accept, csv_response, wanted
from service.deps import Caller, Nudging, Page, Stored, Waiting, Work
from service.errors import NotFound
from service.inputs.asking import INPUT_ERRORS, read_asked
from service.inputs.openapi import multipart_or_json
from service.predictions import actions
from service.predictions.schemas import PredictionList, PredictionRead
from service.problems import error_docs
from service.quotas import ROOM_FOR_AN_ANSWER
from service.routing import door_router
from service.specs.explanations import PredictionSpec

asked_of_models = door_router("/models", "predictions")
kept = door_router("/predictions", "predictions")
CSV_ANSWER: dict[int | str, dict[str, Any]] = {200: {"content": {CSV: {"schema": {"type": "string"}}}}}


@asked_of_models.post(
    "/{model_id}/predictions",
    dependencies=[ROOM_FOR_AN_ANSWER],
    openapi_extra=multipart_or_json(PredictionSpec),
    response_model=PredictionRead,
    responses={**CSV_ANSWER, 202: {"model": PredictionRead}, **error_docs(*INPUT_ERRORS)},
)
async def predict(
    model_id: str,
    request: Request,
    response: Response,
    caller: Caller,
    desk: Waiting,
    store: Stored,
    nudges: Nudging,
    accept: Accept = "application/json",
) -> PredictionRead | Response:
    """Answers for images, rows, texts, or samples of a dataset; 202 when the wait is over first.

    With `Accept: text/csv` as a table, once it is settled.
    """
    asked = await read_asked(request)
    row_id = await run_in_threadpool(actions.submit, store, nudges, caller.project_id, model_id, asked)
    read = await desk.settled(actions.read, caller.project_id, row_id, default_seconds=DEFAULT_WAIT_SECONDS)
    response.headers["Location"] = f"/v1/predictions/{row_id}"
    if read.state in ("queued", "running"):
        response.status_code = 202
        response.headers["Retry-After"] = "1"
    return _shown(read, accept, response.headers)


@kept.get("")
def list_predictions(work: Work, caller: Caller, page: Page) -> PredictionList:
    """The project's predictions, newest first."""
    return actions.page(work, caller.project_id, page)


@kept.get("/{prediction_id}", response_model=PredictionRead, responses={**CSV_ANSWER, **error_docs(NotFound)})
async def read_prediction(
    prediction_id: str, caller: Caller, desk: Waiting, accept: Accept = "application/json"
) -> PredictionRead | Response:
    """One prediction; with `Accept: text/csv` as a table, once it has succeeded."""
    return _shown(await desk.settled(actions.read, caller.project_id, prediction_id), accept)


@kept.delete("/{prediction_id}", status_code=204, responses=error_docs(NotFound))
def delete_prediction(prediction_id: str, work: Work, caller: Caller) -> None:
    """Deletes a prediction with its inputs; one that still runs is stopped."""
    actions.delete(work, caller.project_id, prediction_id)


def _shown(read: PredictionRead, accept: str, headers: Mapping[str, str] | None = None) -> PredictionRead | Response:
    if wanted(accept) != CSV or read.state != "succeeded":
        return read
    answer = csv_response(read.id, read.csv_columns(), read.csv_rows())
    answer.headers.update(headers or {})
    return answer


router = APIRouter()
router.include_router(asked_of_models)
router.include_router(kept)
