"""Whether a running trial of a search is still worth its time, by the rows of its job."""

from typing import Any

from service.specs.search_space import largest
from service.store import Store, UnitOfWork
from worker.runtime.assignments import Assignment
from worker.runtime.search import records_of
from worker.tuning.records import Record, best_of


def is_judged(assignment: Assignment) -> bool:
    """Whether a pruner looks at the trial's epochs; trial 0, the spec as written, is seen through."""
    return assignment.tuning is not None and assignment.tuning.pruner != "none" and assignment.number > 0


def is_hopeless(store: Store, assignment: Assignment, epochs: list[dict[str, Any]]) -> bool:
    """Whether the pruner ends the trial after the last of its `epochs`."""
    tuning = assignment.tuning
    if tuning is None or not is_judged(assignment):
        return False
    from worker.tuning.pruning import epochs_that_matter, should_prune  # Optuna is only loaded where it is used

    mine = {int(record["epoch"]): float(record[tuning.metric]) for record in epochs}
    with store.read() as work:
        glances = work.trials.glances(assignment.job_id, tuning.metric)
        curves = work.trials.curves(assignment.job_id, tuning.metric, epochs_that_matter(tuning.pruner, max(mine)))
    records = records_of(glances, {**curves, assignment.number: mine})
    most = largest(assignment.job_spec, "training.epochs")
    return should_prune(tuning, records, assignment.number, epochs=most)


def is_needless(work: UnitOfWork, assignment: Assignment) -> bool:
    """Whether another trial has reached the target."""
    tuning = assignment.tuning
    if tuning is None or tuning.target_value is None:
        return False
    glances = work.trials.glances(assignment.job_id, tuning.metric)
    return any(tuning.reaches_target(glance.value) for glance in glances)


def is_beaten(work: UnitOfWork, assignment: Assignment, metrics: dict[str, Any]) -> bool:
    """Whether a trial with these metrics is not the job's best so far, so that nobody needs its files."""
    tuning = assignment.tuning
    if tuning is None:
        return False
    value = metrics["validation"][tuning.metric.removeprefix("validation_")]
    mine = Record(assignment.number, "succeeded", value=value)
    others = records_of(work.trials.glances(assignment.job_id, tuning.metric))
    best = best_of(tuning.metric, sorted([*others, mine], key=lambda record: record.number))
    return best is not None and best is not mine


def best_epoch_of(assignment: Assignment, epochs: list[dict[str, Any]]) -> int | None:
    """The best of a trial's epochs by the tuned metric, the first of equals; None before the first."""
    assert assignment.tuning is not None
    metric = assignment.tuning.metric
    choose = min if assignment.tuning.better == "minimize" else max
    best = choose(epochs, key=lambda record: float(record[metric]), default=None)
    return int(best["epoch"]) if best else None
