"""When to stop, and which epoch was best."""

import math

from service.specs.jobs import EarlyStoppingSpec, Monitor
from service.specs.tuning import better_of
from worker.training.order import EpochRecord


def badness(record: EpochRecord, monitor: Monitor) -> float:
    """The monitored score as something to be made small; infinite where it is undefined."""
    value: float | None = getattr(record, monitor)
    if value is None:
        return math.inf
    return value if better_of(monitor) == "minimize" else -value


class EarlyStopping:
    """Counts evaluations in a row that did not improve on the best by more than `min_delta`."""

    def __init__(self, spec: EarlyStoppingSpec | None) -> None:
        self.spec = spec
        self.reference = math.inf
        self.without_improvement = 0

    @property
    def monitor(self) -> Monitor:
        """What decides which epoch is best, whether or not anything stops early."""
        return self.spec.monitor if self.spec else "validation_loss"

    @property
    def exhausted(self) -> bool:
        """Whether patience is used up."""
        return self.spec is not None and self.without_improvement >= self.spec.patience

    def see(self, record: EpochRecord) -> None:
        """Takes an evaluation into account."""
        value = badness(record, self.monitor)
        if value < self.reference - (self.spec.min_delta if self.spec else 0.0):
            self.reference, self.without_improvement = value, 0
        else:
            self.without_improvement += 1

    def restart_counting(self) -> None:
        """Gives full patience again, as when more of the network starts to train."""
        self.without_improvement = 0


def best_epoch(curve: list[EpochRecord], monitor: Monitor) -> int:
    """The number of the epoch with the best score, the first of equals."""
    return min(curve, key=lambda record: badness(record, monitor)).epoch
