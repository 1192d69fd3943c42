"""Deleting what hangs on datasets, jobs and models: rows go at once, bytes are abandoned to the sweeper.

As many statements for many as for one: a dataset may have had thousands of jobs, a model a million predictions.
"""

from collections.abc import Sequence
from typing import Literal

from service.specs.exports import EXPORT_FILES
from service.store import UnitOfWork
from service.store.serving import Of

AT_ONCE = 500
"""Statements take only so many parameters."""


def erase_job(work: UnitOfWork, job_id: str) -> None:
    """Removes a job, its trials, epochs, events and their artifacts; its model stays."""
    erase_jobs(work, [job_id])


def erase_jobs(work: UnitOfWork, job_ids: Sequence[str]) -> None:
    """As `erase_job`, of many."""
    for some in _batches(job_ids):
        work.artifacts.abandon_trials(some)
        work.artifacts.abandon_all(some)
        work.idempotency.forget([f"/v1/jobs/{job_id}" for job_id in some])
        work.jobs.delete(some)


def erase_model(work: UnitOfWork, model_id: str) -> None:
    """Removes a model, its aliases and exports, and every prediction and explanation that it gave."""
    erase_models(work, [model_id])


def erase_models(work: UnitOfWork, model_ids: Sequence[str]) -> None:
    """As `erase_model`, of many."""
    for some in _batches(model_ids):
        work.models.hold(some)  # first: whoever asks something of one just now is through, or finds it gone
        erase_servings(work, "predictions", "model_id", some)
        erase_servings(work, "explanations", "model_id", some)
        work.exports.delete_of(some)  # first: an export that ends just now has attached its file, or never will
        work.artifacts.abandon_all(some)
        paths = [f"/v1/models/{model_id}" for model_id in some]
        work.idempotency.forget([*paths, *(f"{path}/exports/{format}" for path in paths for format in EXPORT_FILES)])
        work.models.delete(some)


def erase_dataset(work: UnitOfWork, dataset_id: str) -> None:
    """Removes a dataset, and whatever any model said of its samples; jobs and models stay."""
    erase_servings(work, "predictions", "dataset_id", [dataset_id])
    erase_servings(work, "explanations", "dataset_id", [dataset_id])
    work.artifacts.abandon(dataset_id)
    work.idempotency.forget([f"/v1/datasets/{dataset_id}"])
    work.datasets.delete(dataset_id)


def erase_servings(work: UnitOfWork, noun: Literal["predictions", "explanations"], of: Of, ids: Sequence[str]) -> None:
    """Removes predictions or explanations with their files, as many as there are of some rows, models or datasets."""
    servings = work.predictions if noun == "predictions" else work.explanations
    servings.hold_live(of, ids)
    work.artifacts.abandon_all(servings.ids_of(of, ids))
    work.idempotency.forget(servings.ids_of(of, ids, prefix=f"/v1/{noun}/"))
    servings.delete_of(of, ids)


def _batches(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE)]
