"""Rules for explanations."""

from typing import Any

from service.errors import BudgetExceeded, ExplanationUnsupported, Fault, Invalid, NotFound
from service.explanations.schemas import ExplanationList, ExplanationRead
from service.inputs import Asked, checked, keep_inputs
from service.queue import Nudges, after_commit
from service.specs.backbones import CATALOGUE
from service.specs.base import new_id
from service.specs.explanations import ALLOWED_PARAMETERS, ExplanationSpec
from service.specs.tasks import EXPLAIN
from service.store import Artifact, Store, UnitOfWork
from service.store.pages import PageQuery
from service.store.tables import ExplanationRow, ModelRow

DEFAULT_EVALUATIONS = 500
DEFAULT_SAMPLES = 1000
MAX_EVALUATIONS = 64_000
"""As many inputs as a request may have, each by LIME's usual number of samples."""


def submit(store: Store, nudges: Nudges, project_id: str, reference: str, asked: Asked) -> str:
    """Accepts an explanation.

    Raises:
        NotFound: no such model.
        Invalid: fields, parameters or target labels that are not valid.
        ExplanationUnsupported: the method cannot explain this kind of network.
        ImageError, UnknownReference, Conflict: as `keep_inputs`.
    """
    spec: ExplanationSpec = checked(ExplanationSpec, asked.spec)
    with store.read() as work:
        model = work.models.find(project_id, reference)
    if model is None:
        raise NotFound("No such model.")
    _check_spec(spec, model)
    _check_budget(spec, len(asked.files) or (asked.dataset.limit if asked.dataset else 1))
    inputs, artifacts = keep_inputs(store, project_id, model.id, asked)
    row_id = new_id("exp")
    row = ExplanationRow(
        id=row_id, project_id=project_id, model_id=model.id, state="queued", spec=spec.model_dump(), inputs=inputs
    )
    with store.work(quick=True) as work:
        if not work.models.stands(model.id):
            raise NotFound("The model is gone.")
        work.explanations.add(row)
        work.artifacts.attach({f"inputs/{index}": artifact for index, artifact in enumerate(artifacts)}, row_id)
        work.accepted(f"/v1/explanations/{row_id}")
        work.after_commit(after_commit(nudges, EXPLAIN))
    return row_id


def read(work: UnitOfWork, project_id: str, explanation_id: str) -> ExplanationRead:
    """One explanation; raises `NotFound`."""
    return ExplanationRead.from_row(_find(work, project_id, explanation_id))


def page(work: UnitOfWork, project_id: str, query: PageQuery) -> ExplanationList:
    """A project's explanations, newest first."""
    rows, cursor = work.explanations.page(project_id, query)
    return ExplanationList(data=[ExplanationRead.from_row(row) for row in rows], next_cursor=cursor)


def picture(work: UnitOfWork, project_id: str, explanation_id: str, place: tuple[int, str, str]) -> Artifact:
    """One item's heatmap or overlay for one label; raises `NotFound`."""
    index, label, name = place
    row = _find(work, project_id, explanation_id)
    items: list[dict[str, Any]] = (row.result or {}).get("items", [])
    labels = [target["label"] for target in items[index]["targets"]] if 0 <= index < len(items) else []
    if label not in labels:
        raise NotFound("No such picture.")
    artifact = work.artifacts.find(row.id, f"items/{index}/{labels.index(label)}/{name}.png")
    if artifact is None:
        raise NotFound("No such picture.")
    return artifact


def delete(work: UnitOfWork, project_id: str, explanation_id: str) -> None:
    """Deletes an explanation, or stops one that runs; raises `NotFound`."""
    row = _find(work, project_id, explanation_id)
    work.artifacts.abandon(row.id)
    work.explanations.delete(row.id)


def _check_spec(spec: ExplanationSpec, model: ModelRow) -> None:
    given = {name for name, value in spec.parameters if value is not None}
    faults = [
        Fault(("body", "parameters", name), "other-method", f"not a parameter of {spec.method}")
        for name in sorted(given - ALLOWED_PARAMETERS[spec.method])
    ]
    if spec.targets != "predicted":
        faults += [
            Fault(("body", "targets", position), "unknown-label", f"one of the model's {len(model.classes)} classes")
            for position, label in enumerate(spec.targets)
            if label not in model.classes
        ]
    if faults:
        raise Invalid("The explanation's spec does not fit the model.", errors=faults)
    if spec.method == "grad_cam" and model.backbone and CATALOGUE[model.backbone].architecture == "mlp":
        fault = Fault(("body", "method"), "explanation-unsupported", "the network has no spatial layer; use shap")
        raise ExplanationUnsupported("grad_cam needs a spatial layer.", errors=[fault])


def _check_budget(spec: ExplanationSpec, inputs: int) -> None:
    asked, field = 1, "evaluations"
    if spec.method == "shap":
        asked = spec.parameters.evaluations or DEFAULT_EVALUATIONS
    elif spec.method == "lime":
        asked, field = spec.parameters.samples or DEFAULT_SAMPLES, "samples"
    if inputs * asked > MAX_EVALUATIONS:
        fault = Fault(("body", "parameters", field), "budget", f"inputs * {field} <= {MAX_EVALUATIONS}")
        raise BudgetExceeded("The explanation costs too many evaluations.", errors=[fault])


def _find(work: UnitOfWork, project_id: str, explanation_id: str) -> ExplanationRow:
    row = work.explanations.find(project_id, explanation_id)
    if row is None:
        raise NotFound("No such explanation.")
    return row
