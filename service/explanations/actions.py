"""Rules for explanations."""

from typing import Any

from service.answers import PNG
from service.erasure import erase_servings
from service.errors import Fault, Invalid, NotFound
from service.explanations.checks import check_budget, check_form, check_spec, most_inputs
from service.explanations.schemas import ExplanationEntry, ExplanationList, ExplanationRead
from service.inputs.asking import Asked, checked
from service.inputs.keeping import hold_asked, keep_inputs
from service.inputs.kept import dropped_on_refusal
from service.queue import Nudges, after_commit
from service.specs.base import new_id
from service.specs.explanations import ExplanationSpec
from service.specs.jobs import modality_of
from service.specs.tasks import EXPLAIN
from service.store import Artifact, Store, UnitOfWork
from service.store.pages import PageQuery
from service.store.tables import ExplanationRow


def submit(store: Store, nudges: Nudges, project_id: str, reference: str, asked: Asked, form: str) -> str:
    """Accepts an explanation; `form` is the media type that it will be answered in.

    Raises:
        NotFound: no such model.
        Invalid: fields, parameters or target labels that are not valid.
        ExplanationUnsupported: the method cannot explain this model.
        BudgetExceeded: as `check_budget`.
        And as `keep_inputs`.
    """
    spec: ExplanationSpec = checked(ExplanationSpec, asked.spec)
    with store.read() as work:
        model = work.models.find(project_id, reference)
    if model is None:
        raise NotFound("No such model.")
    check_spec(spec, model)
    if spec.method == "permutation" and asked.dataset is None:
        fault = Fault(("body", "dataset_id"), "no-targets", "permutation needs rows with their targets: name a dataset")
        raise Invalid("Permutation importance needs targets.", errors=[fault])
    check_form(form, spec, model)
    kept = keep_inputs(store, model, asked, most=most_inputs(spec, modality_of(model.problem)))
    with dropped_on_refusal(store, kept):
        if form == PNG and len(kept.rows) != 1:
            raise Invalid("`Accept: image/png` needs one input.")
        check_budget(spec, model, len(kept.rows))
    row_id = new_id("exp")
    row = ExplanationRow(
        id=row_id,
        project_id=project_id,
        model_id=model.id,
        dataset_id=kept.dataset_id,
        state="queued",
        spec=spec.model_dump(),
        inputs=kept.rows,
    )
    with store.work(quick=True) as work:
        hold_asked(work, model, kept)
        work.explanations.add(row)
        work.artifacts.attach(kept.artifacts, row_id)
        work.accepted(f"/v1/explanations/{row_id}")
        work.after_commit(after_commit(nudges, EXPLAIN))
    return row_id


def read(work: UnitOfWork, project_id: str, explanation_id: str) -> ExplanationRead:
    """One explanation; raises `NotFound`."""
    return ExplanationRead.from_row(_find(work, project_id, explanation_id))


def page(work: UnitOfWork, project_id: str, query: PageQuery) -> ExplanationList:
    """A project's explanations, newest first."""
    rows, cursor = work.explanations.page(project_id, query)
    return ExplanationList(data=[ExplanationEntry.from_row(row) for row in rows], next_cursor=cursor)


def picture(work: UnitOfWork, project_id: str, explanation_id: str, place: tuple[int, str, str]) -> Artifact:
    """One item's heatmap or overlay for one label; raises `NotFound`."""
    index, label, name = place
    row = _find(work, project_id, explanation_id)
    items: list[dict[str, Any]] = (row.result or {}).get("items", [])
    labels = [target["label"] for target in items[index]["targets"]] if 0 <= index < len(items) else []
    if label not in labels:
        raise NotFound("No such picture.")
    return _drawn(work, row.id, f"items/{index}/{labels.index(label)}/{name}.png")


def page_of_item(work: UnitOfWork, project_id: str, explanation_id: str, index: int) -> Artifact:
    """The web page of one text; raises `NotFound`."""
    return _drawn(work, _find(work, project_id, explanation_id).id, f"items/{index}/page.html")


def plot(work: UnitOfWork, project_id: str, explanation_id: str, name: str) -> Artifact:
    """A picture of all rows together; raises `NotFound`."""
    return _drawn(work, _find(work, project_id, explanation_id).id, f"plots/{name}.png")


def delete(work: UnitOfWork, project_id: str, explanation_id: str) -> None:
    """Deletes an explanation, or stops one that runs; raises `NotFound`."""
    erase_servings(work, "explanations", "id", [_find(work, project_id, explanation_id).id])


def _find(work: UnitOfWork, project_id: str, explanation_id: str) -> ExplanationRow:
    row = work.explanations.find(project_id, explanation_id)
    if row is None:
        raise NotFound("No such explanation.")
    return row


def _drawn(work: UnitOfWork, row_id: str, name: str) -> Artifact:
    artifact = work.artifacts.find(row_id, name)
    if artifact is None:
        raise NotFound("No such picture.")
    return artifact
