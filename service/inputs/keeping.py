"""The one door for a request's inputs: checked by what the model takes, then kept."""

from service.errors import Fault, Invalid, NotFound, TooManyItems
from service.inputs.asking import Asked
from service.inputs.images import keep_images
from service.inputs.kept import Kept
from service.inputs.samples import choose_samples, unknown_dataset
from service.inputs.values import keep_rows, keep_texts
from service.specs.jobs import modality_of
from service.store import Store, UnitOfWork
from service.store.tables import ModelRow


def keep_inputs(store: Store, model: ModelRow, asked: Asked, *, most: int) -> Kept:
    """What the row says of its inputs, and the artifacts to attach to it.

    `most` is how many may come from a dataset, or from a file of rows or texts.

    Raises:
        TooManyItems: more than `most`.
        ImageError, BudgetExceeded, PayloadTooLarge: as `keep_images`.
        Invalid, CsvMalformed, DuplicateColumn, MalformedJson, UnsupportedMediaType: as `keep_rows` and `keep_texts`.
        UnknownReference, Conflict, Invalid: as `choose_samples`.
    """
    modality = modality_of(model.problem)
    if asked.dataset is not None:
        if asked.dataset.limit > most:
            fault = Fault(("body", "limit"), "too-many", f"at most {most}")
            raise TooManyItems(f"At most {most} samples are taken here.", errors=[fault])
        return choose_samples(store, model, modality, asked.dataset)
    if modality == "image":
        if not asked.files:
            fault = Fault(("body", "inputs"), "image-parts", "images are sent as multipart `file` parts")
            raise Invalid("This model takes images.", errors=[fault])
        return keep_images(store, asked.files)
    keep = keep_rows if modality == "tabular" else keep_texts
    kept = keep(store, model.input, asked)
    if len(kept.rows) > most:
        raise TooManyItems(f"At most {most} inputs are taken here.")
    return kept


def hold_asked(work: UnitOfWork, model: ModelRow, kept: Kept) -> None:
    """Makes sure that what a request is about is still there, and stays until the unit of work ends: first the dataset,
    as whoever deletes both does.

    Raises:
        UnknownReference: the dataset was deleted meanwhile.
        NotFound: the model was.
    """
    if kept.dataset_id is not None and work.datasets.hold(model.project_id, kept.dataset_id) is None:
        raise unknown_dataset()
    if not work.models.stands(model.id):
        raise NotFound("The model is gone.")
