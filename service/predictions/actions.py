"""Rules for predictions."""

from service.erasure import erase_servings
from service.errors import BudgetExceeded, Fault, NotFound
from service.inputs.asking import Asked, checked
from service.inputs.keeping import hold_asked, keep_inputs
from service.inputs.kept import dropped_on_refusal
from service.predictions.schemas import PredictionEntry, PredictionList, PredictionRead
from service.queue import Nudges, after_commit
from service.specs.base import new_id
from service.specs.explanations import MAX_SAMPLES, PredictionSpec
from service.specs.jobs import modality_of
from service.specs.tasks import PREDICT
from service.store import Store, UnitOfWork
from service.store.pages import PageQuery
from service.store.tables import PredictionRow

MAX_IMAGES = 1000
"""Of a dataset in one request; they are decoded together."""
MAX_NUMBERS = 2_000_000
"""Of an answer: inputs times classes."""


def submit(store: Store, nudges: Nudges, project_id: str, reference: str, asked: Asked) -> str:
    """Accepts a prediction; raises `NotFound`, `Invalid`, `BudgetExceeded` and as `keep_inputs`."""
    checked(PredictionSpec, asked.spec)
    with store.read() as work:
        model = work.models.find(project_id, reference)
    if model is None:
        raise NotFound("No such model.")
    most = MAX_IMAGES if modality_of(model.problem) == "image" else MAX_SAMPLES
    kept = keep_inputs(store, model, asked, most=most)
    with dropped_on_refusal(store, kept):
        if len(kept.rows) * len(model.classes) > MAX_NUMBERS:
            fault = Fault(("body",), "budget", f"inputs * {len(model.classes)} classes <= {MAX_NUMBERS}")
            raise BudgetExceeded("The answer would be too long.", errors=[fault])
    row_id = new_id("prd")
    with store.work(quick=True) as work:
        row = PredictionRow(
            id=row_id,
            project_id=project_id,
            model_id=model.id,
            dataset_id=kept.dataset_id,
            state="queued",
            spec={},
            inputs=kept.rows,
        )
        hold_asked(work, model, kept)
        work.predictions.add(row)
        work.artifacts.attach(kept.artifacts, row_id)
        work.accepted(f"/v1/predictions/{row_id}")
        work.after_commit(after_commit(nudges, PREDICT))
    return row_id


def read(work: UnitOfWork, project_id: str, prediction_id: str) -> PredictionRead:
    """One prediction; raises `NotFound`."""
    row = work.predictions.find(project_id, prediction_id)
    if row is None:
        raise NotFound("No such prediction.")
    return PredictionRead.from_row(row)


def page(work: UnitOfWork, project_id: str, query: PageQuery) -> PredictionList:
    """A project's predictions, newest first."""
    rows, cursor = work.predictions.page(project_id, query)
    return PredictionList(data=[PredictionEntry.from_row(row) for row in rows], next_cursor=cursor)


def delete(work: UnitOfWork, project_id: str, prediction_id: str) -> None:
    """Deletes a prediction, or stops one that runs; raises `NotFound`."""
    read(work, project_id, prediction_id)
    erase_servings(work, "predictions", "id", [prediction_id])
