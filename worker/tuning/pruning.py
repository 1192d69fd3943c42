"""Whether a trial is worth its next epoch, by Optuna's pruners, from the rows of its job."""

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.trial import TrialState

from service.specs.tuning import TuningSpec
from worker.tuning.records import Record
from worker.tuning.study import STUDY_NAME, state_of

REDUCTION = 3
"""Hyperband's eta (Li et al. 2018)."""
KEPT_PERCENT = 25.0
UNJUDGED_SHARE = 10
"""The median and percentile pruners judge from the end of the first tenth of a trial's epochs on."""


def should_prune(tuning: TuningSpec, records: Sequence[Record], number: int, *, epochs: int) -> bool:
    """Whether trial `number` is to be stopped after its newest epoch.

    Never the baseline, and never before another trial has succeeded. `records` are all trials of the job; their
    curves hold at least `epochs_that_matter`, the trial's own all. `epochs` is the most that a trial can have.
    """
    mine = next(record for record in records if record.number == number)
    others_done = any(record.state == "succeeded" for record in records if record.number != number)
    if tuning.pruner == "none" or number == 0 or not others_done or max(mine.curve, default=epochs) >= epochs:
        return False
    pruner = make_pruner(tuning.pruner, epochs)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=tuning.better, study_name=STUDY_NAME)
    for record in sorted(records, key=lambda record: record.number):
        rungs = _rungs_climbed(study, pruner, record, judged=record is mine)
        study.add_trial(_without_params(record, rungs))
    return bool(pruner.prune(study, study.get_trials(deepcopy=False)[number]))


def epochs_that_matter(pruner: str, epoch: int) -> list[int]:
    """At which epochs other trials are looked at when one has reached `epoch`."""
    if pruner != "hyperband":
        return [epoch]
    rungs = [1]
    while rungs[-1] * REDUCTION <= epoch:
        rungs.append(rungs[-1] * REDUCTION)
    return rungs


def make_pruner(name: str, epochs: int) -> optuna.pruners.BasePruner:
    """Optuna's pruner."""
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=REDUCTION)
    first_judged = max(1, epochs // UNJUDGED_SHARE)
    if name == "percentile":
        return optuna.pruners.PercentilePruner(KEPT_PERCENT, n_warmup_steps=first_judged)
    return optuna.pruners.MedianPruner(n_warmup_steps=first_judged)


def _rungs_climbed(
    study: optuna.Study, pruner: optuna.pruners.BasePruner, record: Record, *, judged: bool
) -> dict[str, float]:
    """What Hyperband noted on a trial as it went: its value at each rung of its bracket.

    The trial that is being judged has not been noted at the epoch that it has just reached.
    """
    if not isinstance(pruner, optuna.pruners.HyperbandPruner):
        return {}
    pruner.prune(study, optuna.trial.create_trial(state=TrialState.RUNNING))  # deals out its brackets
    bracket = pruner._get_bracket_id(study, record)  # type: ignore[arg-type]  # looks at its number only
    noted: dict[str, float] = {}
    step = REDUCTION**bracket
    while step in record.curve and not (judged and step == max(record.curve)):
        noted[f"completed_rung_{len(noted)}"] = record.curve[step]
        step *= REDUCTION
    return noted


def _without_params(record: Record, attributes: dict[str, Any]) -> optuna.trial.FrozenTrial:
    """A trial as pruners see it: its curve."""
    state = state_of(record)
    return optuna.trial.create_trial(
        state=state,
        value=record.value if state == TrialState.COMPLETE else None,
        intermediate_values=record.curve,
        system_attrs=attributes,
    )
