"""How far a job is."""

from service.jobs.schemas import Progress
from service.store.tables import JobRow
from service.store.trials import Tally

NOTHING = Tally(finished=0, fraction=0.0, mean_seconds=None, seconds=0.0, epochs=0)


def progress_of(job: JobRow, tally: Tally | None) -> Progress:
    """Over all trials that the job will have; the epoch is that of its newest running trial."""
    seen = tally or NOTHING
    epochs = int(job.spec["training"]["epochs"])
    done = seen.finished + seen.fraction
    fraction = 1.0 if job.state == "succeeded" else min(1.0, done / max(1, job.trials_total))
    return Progress(
        trials_finished=seen.finished,
        trials_total=job.trials_total,
        epoch=seen.epochs,
        epochs=epochs,
        fraction=round(fraction, 4),
        estimated_seconds_left=_seconds_left(job, seen, epochs, job.trials_total - done),
    )


def _seconds_left(job: JobRow, seen: Tally, epochs: int, trials_left: float) -> float | None:
    """By the mean of finished trials, else by the running one's epochs; trials run side by side."""
    a_trial = seen.mean_seconds
    if a_trial is None and seen.epochs:
        a_trial = seen.seconds / seen.epochs * epochs
    if job.state != "running" or a_trial is None:
        return None
    parallel: int = (job.spec.get("tuning") or {}).get("parallel", 1)
    return round(a_trial * max(0.0, trials_left) / min(parallel, max(1.0, trials_left)), 1)
