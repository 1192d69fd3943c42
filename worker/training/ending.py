"""When a trial has had its last epoch."""

from service.specs.jobs import JobSpec
from worker.training.early_stopping import EarlyStopping
from worker.training.order import EpochRecord, StoppedBy
from worker.training.reporting import Reporter


def stopped_by(
    curve: list[EpochRecord], spec: JobSpec, stopping: EarlyStopping, *, spared: int = 0, reporter: Reporter
) -> StoppedBy | None:
    """Why no further epoch is due, if so. Patience does not end the first `spared` epochs."""
    if len(curve) >= spec.training.epochs:
        return "epochs"
    if stopping.exhausted and len(curve) > spared:
        return "early_stopping"
    seconds = [record.seconds for record in curve]
    if seconds and sum(seconds) + seconds[-1] > spec.limits.wall_seconds:
        text = f"The {spec.limits.wall_seconds} s of the job do not suffice for another epoch."
        reporter.warn(text, epochs=len(curve))
        return "limit"
    return None
