"""A search as plain records of its trials: what everything in this package decides from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from service.specs.search_space import Params
from service.specs.tuning import Monitor, TuningSpec, better_of

TrialState = Literal["queued", "running", "succeeded", "pruned", "failed", "cancelled"]
Reason = Literal["target", "no_improvement", "limit"]
FINISHED = ("succeeded", "pruned", "failed")


@dataclass(frozen=True)
class Record:
    """One trial.

    Attributes:
        value: the tuned metric at the best epoch, of a trial that succeeded.
        curve: the metric by epoch (from 1), as far as the reader needs it: of a pruned trial at least the last.
        notes: what its sampler left for later.
    """

    number: int
    state: TrialState
    params: Params = field(default_factory=dict)
    value: float | None = None
    curve: dict[int, float] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Proposal:
    """The parameters of the next trial, and what its sampler wants to find again."""

    params: Params
    notes: dict[str, Any] = field(default_factory=dict)


def best_of(metric: Monitor, records: Sequence[Record]) -> Record | None:
    """The best trial on validation that succeeded, the first of equals; one without a value only if none has any."""
    sign = 1.0 if better_of(metric) == "minimize" else -1.0
    done = [record for record in records if record.state == "succeeded"]
    return min(
        done, key=lambda record: (record.value is None, sign * (record.value or 0.0), record.number), default=None
    )


def ending(tuning: TuningSpec, records: Sequence[Record], *, seconds_left: float) -> Reason | None:
    """Why no more trials are to be made, if so.

    Improvement is counted along the trials' numbers: of what has ended, the trials after the best.
    """
    best = best_of(tuning.metric, records)
    if best is not None and tuning.reaches_target(best.value):
        return "target"
    if seconds_left <= 0:
        return "limit"
    patience = tuning.max_trials_without_improvement
    if best is not None and patience is not None:
        since = sum(record.number > best.number and record.state in FINISHED for record in records)
        if since >= patience:
            return "no_improvement"
    return None
