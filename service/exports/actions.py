"""Rules for exports."""

from service.errors import Fault, Invalid, NotFound
from service.exports.schemas import ExportList, ExportRead
from service.queue import Nudges, after_commit
from service.specs.exports import EXPORT_FILES, ExportFormat, ExportSpec
from service.specs.tasks import EXPORT_MODELS
from service.store import Store, UnitOfWork
from service.store.tables import ExportRow, ModelRow


def submit(work: UnitOfWork, nudges: Nudges, project_id: str, reference: str, spec: ExportSpec) -> tuple[str, str]:
    """The id and the path of the model's export in that format, asked for now or before.

    Raises:
        NotFound: no such model.
        Invalid: it is no model of images.
    """
    model = _find_model(work, project_id, reference)
    if model.problem != "image_classification":
        rule = f"image_classification has exports; this model is of {model.problem}"
        text = "Only models of images are exported; this one runs by its own artifacts."
        raise Invalid(text, errors=[Fault(("body", "format"), "not-exported", rule)])
    row, is_work = work.exports.ask(model, spec.format)
    path = f"/v1/models/{row.model_id}/exports/{row.format}"
    work.accepted(path)
    if is_work:
        work.after_commit(after_commit(nudges, EXPORT_MODELS))
    return row.id, path


def find_id(store: Store, project_id: str, reference: str, format: ExportFormat) -> str:
    """The id of an export that was asked for; raises `NotFound`."""
    with store.read() as work:
        row = work.exports.find(_find_model(work, project_id, reference).id, format)
    if row is None:
        raise NotFound("The model was not exported in this format.")
    return row.id


def read(work: UnitOfWork, project_id: str, export_id: str) -> ExportRead:
    """One export; raises `NotFound`."""
    row = work.exports.get(export_id)
    if row is None or row.project_id != project_id:
        raise NotFound("No such export.")
    return _shown(work, row)


def all_of(work: UnitOfWork, project_id: str, reference: str) -> ExportList:
    """A model's exports by format; raises `NotFound`."""
    model = _find_model(work, project_id, reference)
    return ExportList(data=[_shown(work, row) for row in work.exports.of(model.id)])


def _find_model(work: UnitOfWork, project_id: str, reference: str) -> ModelRow:
    model = work.models.find(project_id, reference)
    if model is None:
        raise NotFound("No such model.")
    return model


def _shown(work: UnitOfWork, row: ExportRow) -> ExportRead:
    name = EXPORT_FILES[row.format].name
    return ExportRead.from_row(row, work.artifacts.find(row.model_id, name) if row.state == "succeeded" else None)
