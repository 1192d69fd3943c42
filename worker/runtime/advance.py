"""The only decider of a job's fate: asks what its trials came to, and publishes, closes or waits.

Closing a job is a matter of rows alone, so that it can be done in whichever worker ended a trial, and again by
anybody when that worker died just then.
"""

from typing import Any

from service.specs.base import new_id
from service.store import UnitOfWork
from service.store.jobs import TERMINAL
from service.store.tables import JobRow, ModelRow, TrialRow
from worker.runtime.diagnoses import diagnose_job

LOWER_IS_BETTER = {"validation_loss"}


def advance(work: UnitOfWork, job_id: str) -> None:
    """Takes a job one step, under its row's lock; does nothing where there is nothing to do."""
    job = work.jobs.lock(job_id)
    if job is None or job.state in TERMINAL:
        return
    trials = work.trials.of(job_id)
    running = any(trial.state == "running" for trial in trials)
    if job.state == "cancelling":
        work.trials.cancel_queued(job_id)
        if not running:
            work.jobs.move(job_id, "cancelled")
        return
    if job.state == "pausing" and not running and any(trial.state == "queued" for trial in trials):
        work.jobs.move(job_id, "paused")
        return
    if job.state == "paused" or any(trial.state in ("queued", "running") for trial in trials):
        return
    winner = _winner(job, trials)
    if winner is None:
        failed = next((trial for trial in reversed(trials) if trial.problem), None)
        diagnosis = diagnose_job(work, job, failed)
        work.jobs.move(job_id, "failed", problem=failed.problem if failed else None, diagnosis=diagnosis)
    else:
        _publish(work, job, winner)


def _winner(job: JobRow, trials: list[TrialRow]) -> TrialRow | None:
    """The best trial on validation; test scores have no say."""
    monitor = (job.spec.get("early_stopping") or {}).get("monitor", "validation_loss")
    sign = -1.0 if monitor in LOWER_IS_BETTER else 1.0
    metric = monitor.removeprefix("validation_")

    def score(trial: TrialRow) -> float:
        value = ((trial.metrics or {}).get("validation") or {}).get(metric)
        return sign * float(value) if value is not None else float("-inf")

    return max((trial for trial in trials if trial.state == "succeeded"), key=score, default=None)


def _publish(work: UnitOfWork, job: JobRow, winner: TrialRow) -> None:
    config: dict[str, Any] = winner.config or {}
    metrics = winner.metrics or {}
    artifacts = {artifact.name: artifact for artifact in work.artifacts.of(winner.id)}
    model = ModelRow(
        id=new_id("mdl"),
        project_id=job.project_id,
        name=job.name,
        labels=dict(job.labels),
        job_id=job.id,
        problem=job.spec["problem"],
        backbone=config["backbone"],
        classes=config["classes"],
        input=config["input"],
        metrics=metrics,
        digest=artifacts["model.safetensors"].sha256,
        size_bytes=artifacts["model.safetensors"].size_bytes,
    )
    work.models.add(model)
    work.artifacts.move(winner.id, model.id)
    shown = {split: metrics.get(split) for split in ("validation", "test", "baseline")}
    found = {"metrics": shown, "best_trial": winner.number, "model_id": model.id, "device": winner.device}
    found["diagnosis"] = diagnose_job(work, job, winner)
    if not work.jobs.move(job.id, "succeeded", **found):
        raise RuntimeError(f"a job that is {job.state} cannot succeed")
