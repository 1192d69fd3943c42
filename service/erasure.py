"""Deleting what hangs on jobs and models: rows go at once, bytes are abandoned to the sweeper.

As many statements for many as for one: a dataset may have had thousands of jobs, a model a million predictions.
"""

from collections.abc import Sequence

from service.specs.exports import EXPORT_FILES
from service.store import UnitOfWork

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
        for noun, servings in (("predictions", work.predictions), ("explanations", work.explanations)):
            work.artifacts.abandon_all(servings.of_models(some))
            work.idempotency.forget(servings.of_models(some, prefix=f"/v1/{noun}/"))
            servings.delete_of(some)
        work.exports.delete_of(some)  # first: an export that ends just now has attached its file, or never will
        work.artifacts.abandon_all(some)
        paths = [f"/v1/models/{model_id}" for model_id in some]
        work.idempotency.forget([*paths, *(f"{path}/exports/{format}" for path in paths for format in EXPORT_FILES)])
        work.models.delete(some)


def _batches(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE)]
