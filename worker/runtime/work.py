"""What children are started for. Imported by the fork server; torch comes with trials and exports only."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.errors import Stopped
from service.specs.jobs import JobSpec
from worker.data.image_validation import ImageValidation, validate_images
from worker.exporting.order import ExportOrder
from worker.runtime.child import Reporter
from worker.training.order import TrialOrder, TrialOutcome
from worker.tuning.records import Proposal, Record

REPORT_EVERY = 50


@dataclass(frozen=True)
class ValidationOrder:
    """A dataset to look through."""

    archive: Path


@dataclass(frozen=True)
class SearchOrder:
    """A search to look at, and the documents of its winner, by file stem, where those are to be drawn."""

    spec: JobSpec
    records: list[Record]
    documents: dict[str, Any] = field(default_factory=dict)


def work_trial(order: TrialOrder, reporter: Reporter) -> TrialOutcome:
    """Fits one trial."""
    from worker.training.trial import run_trial

    return run_trial(order, reporter)


def work_export(order: ExportOrder, reporter: Reporter) -> Path:
    """Writes one model in one format; the file's path."""
    from worker.exporting.export import export_model

    def step() -> None:
        if reporter.stop_requested():
            raise Stopped("The export was asked to stop.")

    export_model(order, step=step)
    return order.target


def work_validation(order: ValidationOrder, reporter: Reporter) -> ImageValidation:
    """Looks through one image dataset."""

    def progress(done: int, total: int) -> None:
        if reporter.stop_requested():
            raise Stopped("Validation was asked to stop.")
        if done % REPORT_EVERY == 0:
            reporter.progress(0, done / max(1, total))

    return validate_images(order.archive, progress=progress)


def work_proposal(order: SearchOrder, _reporter: Reporter) -> Proposal:
    """Asks the sampler for the trial after `order.records`."""
    from worker.tuning.study import ask

    return ask(order.spec, order.records)


def work_pictures(order: SearchOrder, _reporter: Reporter) -> dict[str, bytes]:
    """Draws the search, and what its winner came to."""
    from worker.training.pictures import draw_trial
    from worker.tuning.pictures import draw_search

    return draw_search(order.spec, order.records) | draw_trial(order.documents)
