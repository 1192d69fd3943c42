"""Explanations of a model's answers."""

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from service.deps import Caller, Nudging, Page, Stored, Waiting, Work
from service.errors import ExplanationUnsupported, Invalid, NotFound
from service.explanations import actions
from service.explanations.schemas import ExplanationList, ExplanationRead
from service.inputs import INPUT_ERRORS, Asked, multipart_or_json, read_asked
from service.problems import error_docs, problem_response
from service.routing import door_router
from service.specs.explanations import ExplanationSpec
from service.store import Store
from service.streaming import stream_artifact

asked_of_models = door_router("/models", "explanations")
kept = door_router("/explanations", "explanations")
DEFAULT_WAIT_SECONDS = 30.0


@asked_of_models.post(
    "/{model_id}/explanations",
    openapi_extra=multipart_or_json(ExplanationSpec),
    response_model=ExplanationRead,
    responses={
        200: {"content": {"image/png": {}}},
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
    accept: Annotated[str, Header(max_length=500)] = "application/json",
) -> ExplanationRead | Response:
    """Explains images of a form, or samples of a dataset; with `Accept: image/png` the overlay itself."""
    asked = await read_asked(request)
    wants_png = accept.split(",")[0].split(";")[0].strip() == "image/png"
    if wants_png:
        _check_one_picture(asked)
    row_id = await run_in_threadpool(actions.submit, store, nudges, caller.project_id, model_id, asked)
    read = await desk.settled(actions.read, caller.project_id, row_id, default_seconds=DEFAULT_WAIT_SECONDS)
    location = {"Location": f"/v1/explanations/{row_id}"}
    response.headers.update(location)
    if read.state in ("queued", "running"):
        response.status_code = 202
        response.headers["Retry-After"] = "1"
    elif wants_png:
        if read.problem is not None:
            return problem_response(request, read.problem.model_dump(exclude_none=True), headers=location)
        png = await run_in_threadpool(_overlay, store, caller.project_id, row_id, read.items[0].targets[0].label)
        return Response(png, media_type="image/png", headers=location)
    return read


@kept.get("")
def list_explanations(work: Work, caller: Caller, page: Page) -> ExplanationList:
    """The project's explanations, newest first."""
    return actions.page(work, caller.project_id, page)


@kept.get("/{explanation_id}", responses=error_docs(NotFound))
async def read_explanation(explanation_id: str, caller: Caller, desk: Waiting) -> ExplanationRead:
    """One explanation."""
    return await desk.settled(actions.read, caller.project_id, explanation_id)


@kept.delete("/{explanation_id}", status_code=204, responses=error_docs(NotFound))
def delete_explanation(explanation_id: str, work: Work, caller: Caller) -> None:
    """Deletes an explanation with its inputs and pictures; one that still runs is stopped."""
    actions.delete(work, caller.project_id, explanation_id)


@kept.get(
    "/{explanation_id}/items/{index}/{label}/{picture}.png", response_class=Response, responses=error_docs(NotFound)
)
def read_picture(
    explanation_id: str,
    index: Annotated[int, Path(ge=0)],
    label: str,
    picture: Literal["heatmap", "overlay"],
    work: Work,
    caller: Caller,
    store: Stored,
) -> Response:
    """The attribution alone (`heatmap`) or over the input (`overlay`), in the input's size."""
    artifact = actions.picture(work, caller.project_id, explanation_id, (index, label, picture))
    return stream_artifact(store, artifact, None)


def _check_one_picture(asked: Asked) -> None:
    targets = asked.spec.get("targets", "predicted")
    one_target = targets == "predicted" or (isinstance(targets, list) and len(targets) == 1)
    one_image = len(asked.files) == 1 or (asked.dataset is not None and asked.dataset.limit == 1)
    if not (one_image and one_target):
        raise Invalid("`Accept: image/png` needs one image and one target.")


def _overlay(store: Store, project_id: str, row_id: str, label: str) -> bytes:
    with store.read() as work:
        artifact = actions.picture(work, project_id, row_id, (0, label, "overlay"))
    return store.artifacts.read_bytes(artifact)


router = APIRouter()
router.include_router(asked_of_models)
router.include_router(kept)
