"""Models, their artifacts, and aliases."""

from typing import Annotated

from fastapi import Header, Path, Response

from service.deps import Caller, Page, Stored, Work
from service.errors import BadRange, NotFound, UnknownReference
from service.models import actions
from service.models.schemas import AliasList, AliasPut, AliasRead, ModelList, ModelRead
from service.problems import error_docs
from service.routing import door_router
from service.streaming import stream_artifact

router = door_router("/models", "models")
aliases_router = door_router("/aliases", "aliases")
AliasName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$")]


@router.get("")
def list_models(work: Work, caller: Caller, page: Page) -> ModelList:
    """The project's models, newest first."""
    return actions.page(work, caller.project_id, page)


@router.get("/{model_id}", responses=error_docs(NotFound))
def read_model(model_id: str, work: Work, caller: Caller) -> ModelRead:
    """One model by id or alias."""
    return actions.read(work, caller.project_id, model_id)


@router.delete("/{model_id}", status_code=204, responses=error_docs(NotFound))
def delete_model(model_id: str, work: Work, caller: Caller) -> None:
    """Deletes a model with its predictions and explanations."""
    actions.delete(work, caller.project_id, model_id)


@router.get("/{model_id}/artifacts/{name}", response_class=Response, responses=error_docs(NotFound, BadRange))
def download_artifact(
    model_id: str,
    name: str,
    work: Work,
    caller: Caller,
    store: Stored,
    range_header: Annotated[str | None, Header(alias="Range", max_length=10_000)] = None,
) -> Response:
    """One file of a model, whole or one byte range."""
    return stream_artifact(store, actions.artifact(work, caller.project_id, model_id, name), range_header)


@aliases_router.get("")
def list_aliases(work: Work, caller: Caller) -> AliasList:
    """All aliases by name."""
    return actions.aliases(work, caller.project_id)


@aliases_router.put("/{name}", responses=error_docs(UnknownReference))
def put_alias(name: AliasName, body: AliasPut, work: Work, caller: Caller) -> AliasRead:
    """Points an alias at a model; it then works wherever a model id does."""
    return actions.put_alias(work, caller.project_id, name, body)


@aliases_router.delete("/{name}", status_code=204, responses=error_docs(NotFound))
def delete_alias(name: AliasName, work: Work, caller: Caller) -> None:
    """Removes an alias; its model stays."""
    actions.delete_alias(work, caller.project_id, name)
