"""What children are started for. Imported by the fork server; torch comes with trials and exports only."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.errors import Stopped
from service.specs.datasets import Modality
from service.specs.jobs import JobSpec
from service.specs.tables import TableOptions
from service.specs.text_files import TextColumns
from worker.backbones.sources import WeightSources
from worker.data.image_validation import ImageValidation, validate_images
from worker.exporting.order import ExportOrder
from worker.runtime.child import Reporter
from worker.training.order import TrialOrder, TrialOutcome
from worker.tuning.records import Proposal, Record

if TYPE_CHECKING:  # they import pyarrow and tokenizers, which the worker's own process does without
    from worker.data.tables.validation import TableValidation
    from worker.data.texts.validation import TextValidation

    Validation = ImageValidation | TableValidation | TextValidation

REPORT_SECONDS = 1.0


@dataclass(frozen=True)
class ValidationOrder:
    """A dataset to look through.

    Attributes:
        archive: the upload.
        options: of the dataset's row.
        samples: where the samples of tables and texts are to be written.
        sources: where the tokenizer of texts may come from.
    """

    modality: Modality
    archive: Path
    options: dict[str, Any]
    samples: Path
    sources: WeightSources


@dataclass(frozen=True)
class SearchOrder:
    """A search to look at, and the documents of its winner, by file stem, where those are to be drawn."""

    spec: JobSpec
    records: list[Record]
    documents: dict[str, Any] = field(default_factory=dict)


def work_trial(order: TrialOrder, reporter: Reporter) -> TrialOutcome | None:
    """Fits one trial; of several ranks that do, only the first has an outcome."""
    from worker.training.trial import follow_trial, run_trial

    if order.rank == 0:
        return run_trial(order, reporter)
    follow_trial(order, reporter)
    return None


def work_export(order: ExportOrder, reporter: Reporter) -> Path:
    """Writes one model in one format; the file's path."""
    from worker.exporting.export import export_model

    def step() -> None:
        if reporter.stop_requested():
            raise Stopped("The export was asked to stop.")

    export_model(order, step=step)
    return order.target


def work_validation(order: ValidationOrder, reporter: Reporter) -> "Validation":
    """Looks through one dataset."""
    progress = _told(reporter)
    if order.modality == "image":
        return validate_images(order.archive, progress=progress)
    if order.modality == "text":
        from worker.data.texts.validation import validate_texts

        columns = TextColumns(**order.options)
        return validate_texts(order.archive, columns, output=order.samples, sources=order.sources, progress=progress)
    from worker.data.tables.validation import validate_table

    said = {name: value for name, value in order.options.items() if name != "format"}
    options = TableOptions.model_validate(said)
    format = order.options["format"]
    return validate_table(order.archive, format=format, options=options, output=order.samples, progress=progress)


def _told(reporter: Reporter) -> Callable[[int, int], None]:
    """Hears stop requests at every step, and says once a second that there is one."""
    told_at = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal told_at
        if reporter.stop_requested():
            raise Stopped("Validation was asked to stop.")
        now = time.monotonic()
        if now - told_at >= REPORT_SECONDS:
            told_at = now
            reporter.progress(0, done / max(1, total))

    return progress


def work_proposal(order: SearchOrder, _reporter: Reporter) -> Proposal:
    """Asks the sampler for the trial after `order.records`."""
    from worker.tuning.study import ask

    return ask(order.spec, order.records)


def work_pictures(order: SearchOrder, _reporter: Reporter) -> dict[str, bytes]:
    """Draws the search, and what its winner came to."""
    from worker.training.pictures import draw_trial
    from worker.tuning.pictures import draw_search

    return draw_search(order.spec, order.records) | draw_trial(order.documents)
