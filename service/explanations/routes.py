"""Explanations of a model's answers."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from service.answers import CSV, DEFAULT_WAIT_SECONDS, PNG, Accept, csv_response, wanted
from service.deps import Caller, Nudging, Page, Stored, Waiting, Work
from service.errors import ExplanationUnsupported, Invalid, NotFound
from service.explanations import actions
from service.explanations.schemas import ExplanationList, ExplanationRead
from service.explanations.segments import label_of
from service.inputs.asking import INPUT_ERRORS, read_asked
from service.inputs.openapi import multipart_or_json
from service.problems import error_docs, problem_response
from service.quotas import ROOM_FOR_AN_ANSWER
from service.routing import door_router
from service.specs.explanations import ExplanationSpec
from service.store import Store
from service.streaming import PAGE_POLICY, stream_artifact

asked_of_models = door_router("/models", "explanations")
kept = door_router("/explanations", "explanations")


@asked_of_models.post(
    "/{model_id}/explanations",
    dependencies=[ROOM_FOR_AN_ANSWER],
    openapi_extra=multipart_or_json(ExplanationSpec),
    response_model=ExplanationRead,
    responses={
        200: {"content": {PNG: {}, CSV: {"schema": {"type": "string"}}}},
        202: {"model": ExplanationRead},
        **error_docs(*INPUT_ERRORS, ExplanationUnsupported),
    },
)
async def explain(
    model_id: str,
    request: Request,
    response: Response,
    caller: Caller,
    desk: Waiting,
    store: Stored,
    nudges: Nudging,
    accept: Accept = "application/json",
) -> ExplanationRead | Response:
    """Explains images, rows, texts, or samples of a dataset.

    With `Accept: image/png` the overlay of one image or text itself; with `text/csv` the attributions as a table.
    """
    asked, form = await read_asked(request), wanted(accept)
    submit = partial(actions.submit, store, nudges, caller.project_id, model_id, asked, form)
    row_id = await run_in_threadpool(submit)
    read = await desk.settled(actions.read, caller.project_id, row_id, default_seconds=DEFAULT_WAIT_SECONDS)
    location = {"Location": f"/v1/explanations/{row_id}"}
    response.headers.update(location)
    if read.state in ("queued", "running"):
        response.status_code = 202
        response.headers["Retry-After"] = "1"
        return read
    if form == PNG:
        if read.problem is not None:
            return problem_response(request, read.problem.model_dump(exclude_none=True), headers=location)
        png = await run_in_threadpool(_overlay, store, caller.project_id, read)
        return Response(png, media_type=PNG, headers=location)
    return _shown(read, form, location)


@kept.get("")
def list_explanations(work: Work, caller: Caller, page: Page) -> ExplanationList:
    """The project's explanations, newest first."""
    return actions.page(work, caller.project_id, page)


@kept.get(
    "/{explanation_id}",
    response_model=ExplanationRead,
    responses={200: {"content": {CSV: {"schema": {"type": "string"}}}}, **error_docs(NotFound, Invalid)},
)
async def read_explanation(
    explanation_id: str, caller: Caller, desk: Waiting, accept: Accept = "application/json"
) -> ExplanationRead | Response:
    """One explanation; of rows and texts with `Accept: text/csv` as a table, once it has succeeded."""
    return _shown(await desk.settled(actions.read, caller.project_id, explanation_id), wanted(accept))


@kept.get("/{explanation_id}/plots/{plot}.png", response_class=Response, responses=error_docs(NotFound))
def read_plot(
    explanation_id: str, plot: Literal["bar", "beeswarm"], work: Work, caller: Caller, store: Stored
) -> Response:
    """All rows of a table together: how much each column matters (`bar`), and in which direction (`beeswarm`)."""
    return stream_artifact(store, actions.plot(work, caller.project_id, explanation_id, plot), None)


@kept.get("/{explanation_id}/items/{index}/page.html", response_class=HTMLResponse, responses=error_docs(NotFound))
def read_page(
    explanation_id: str, index: Annotated[int, Path(ge=0, le=2**31 - 1)], work: Work, caller: Caller, store: Stored
) -> HTMLResponse:
    """A text with its words in colours, as a self-contained page."""
    page = store.artifacts.read_bytes(actions.page_of_item(work, caller.project_id, explanation_id, index))
    return HTMLResponse(page, headers={"Content-Security-Policy": PAGE_POLICY})


@kept.delete("/{explanation_id}", status_code=204, responses=error_docs(NotFound))
def delete_explanation(explanation_id: str, work: Work, caller: Caller) -> None:
    """Deletes an explanation with its inputs and pictures; one that still runs is stopped."""
    actions.delete(work, caller.project_id, explanation_id)


@kept.get(
    "/{explanation_id}/items/{index}/{label:path}/{picture}.png",
    response_class=Response,
    responses=error_docs(NotFound),
)
def read_picture(
    explanation_id: str,
    index: Annotated[int, Path(ge=0, le=2**31 - 1)],
    label: str,
    picture: Literal["heatmap", "overlay"],
    work: Work,
    caller: Caller,
    store: Stored,
) -> Response:
    """The attribution alone (`heatmap`) or over the input (`overlay`), in the input's size."""
    artifact = actions.picture(work, caller.project_id, explanation_id, (index, label_of(label), picture))
    return stream_artifact(store, artifact, None)


def _overlay(store: Store, project_id: str, read: ExplanationRead) -> bytes:
    place = (0, str(read.items[0].targets[0].label), "overlay")
    with store.read() as work:
        artifact = actions.picture(work, project_id, read.id, place)
    return store.artifacts.read_bytes(artifact)


def _shown(read: ExplanationRead, form: str, headers: Mapping[str, str] | None = None) -> ExplanationRead | Response:
    if form != CSV or read.state != "succeeded":
        return read
    if read.is_of_images:
        raise Invalid("`Accept: text/csv` is for attributions of rows and texts.")
    answer = csv_response(read.id, read.csv_columns(), read.csv_rows())
    answer.headers.update(headers or {})
    return answer


router = APIRouter()
router.include_router(asked_of_models)
router.include_router(kept)
