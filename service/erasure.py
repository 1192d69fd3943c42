"""Deleting what hangs on a job or a model: rows go at once, bytes are abandoned to the sweeper."""

from service.store import UnitOfWork


def erase_job(work: UnitOfWork, job_id: str) -> None:
    """Removes a job, its trials, epochs, events and their artifacts; its model stays."""
    work.artifacts.abandon_trials(job_id)
    work.artifacts.abandon(job_id)
    work.idempotency.forget(job_id)
    work.jobs.delete(job_id)


def erase_model(work: UnitOfWork, model_id: str) -> None:
    """Removes a model, its aliases and exports, and every prediction and explanation that it gave."""
    for servings in (work.predictions, work.explanations):
        for row_id in servings.ids_of_model(model_id):
            work.artifacts.abandon(row_id)
            work.idempotency.forget(row_id)
            servings.delete(row_id)
    work.exports.delete_of(model_id)  # first: an export that ends just now has attached its file, or never will
    work.artifacts.abandon(model_id)
    work.idempotency.forget(model_id)
    work.models.delete(model_id)
