"""Rules for models and aliases."""

from service.erasure import erase_model
from service.errors import Fault, NotFound, UnknownReference
from service.models.schemas import AliasList, AliasPut, AliasRead, ModelList, ModelRead
from service.store import Artifact, UnitOfWork
from service.store.pages import PageQuery
from service.store.tables import ModelRow


def read(work: UnitOfWork, project_id: str, reference: str) -> ModelRead:
    """One model by id or alias; raises `NotFound`."""
    return _shown(work, _find(work, project_id, reference))[0]


def page(work: UnitOfWork, project_id: str, query: PageQuery) -> ModelList:
    """A project's models, newest first."""
    rows, cursor = work.models.page(project_id, query)
    return ModelList(data=_shown(work, *rows), next_cursor=cursor)


def artifact(work: UnitOfWork, project_id: str, reference: str, name: str) -> Artifact:
    """One file of a model; raises `NotFound`."""
    found = work.artifacts.find(_find(work, project_id, reference).id, name)
    if found is None:
        raise NotFound("The model has no such artifact.")
    return found


def delete(work: UnitOfWork, project_id: str, reference: str) -> None:
    """Deletes a model with all that it answered; raises `NotFound`."""
    erase_model(work, _find(work, project_id, reference).id)


def put_alias(work: UnitOfWork, project_id: str, name: str, body: AliasPut) -> AliasRead:
    """Points an alias at a model; raises `UnknownReference`."""
    model = work.models.find(project_id, body.model_id)
    if model is None:
        fault = Fault(("body", "model_id"), "unknown-reference", "no such model")
        raise UnknownReference("The model is unknown.", errors=[fault])
    return AliasRead.from_row(work.models.point(project_id, name, model.id))


def aliases(work: UnitOfWork, project_id: str) -> AliasList:
    """All of a project's aliases."""
    return AliasList(data=[AliasRead.from_row(row) for row in work.models.aliases(project_id)])


def delete_alias(work: UnitOfWork, project_id: str, name: str) -> None:
    """Removes an alias; raises `NotFound`."""
    if not work.models.unpoint(project_id, name):
        raise NotFound("No such alias.")


def _find(work: UnitOfWork, project_id: str, reference: str) -> ModelRow:
    row = work.models.find(project_id, reference)
    if row is None:
        raise NotFound("No such model.")
    return row


def _shown(work: UnitOfWork, *rows: ModelRow) -> list[ModelRead]:
    ids = [row.id for row in rows]
    artifacts, aliases = work.artifacts.of_all(ids), work.models.aliases_of(ids)
    return [ModelRead.from_row(row, artifacts.get(row.id, []), aliases.get(row.id, [])) for row in rows]
