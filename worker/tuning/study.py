"""Optuna as an engine: a study rebuilt from records, asked once, thrown away (docs/decisions/0002)."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from service.specs.jobs import JobSpec
from service.specs.search_space import Axis, axes_of, baseline_params
from worker.tuning.records import Proposal, Record

STUDY_NAME = "job"
"""The same for every job: Hyperband deals trials to brackets by it."""
GENERATION = "cma:generation"
OPTIMIZER = "cma:optimizer"
STATES = {
    "queued": TrialState.RUNNING,
    "running": TrialState.RUNNING,
    "succeeded": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "cancelled": TrialState.FAIL,
}


def ask(spec: JobSpec, records: Sequence[Record]) -> Proposal:
    """What the sampler proposes for trial `len(records)`; the same for the same records and seed.

    Records are all trials so far by number, live ones included, so that parallel proposals keep clear of each other.
    """
    assert spec.tuning is not None
    sampler = make_sampler(spec.tuning.sampler or "tpe", seed_of(spec, len(records)))
    seen = with_optimizer(spec, records) if spec.tuning.sampler == "cma_es" else records
    study = rebuild(spec, seen, sampler)
    trial = study.ask(distributions(axes_of(spec)))
    kept = study.get_trials(deepcopy=False)[trial.number].system_attrs
    return Proposal(dict(trial.params), {key: kept[key] for key in (GENERATION,) if key in kept})


def seed_of(spec: JobSpec, number: int) -> int:
    """A sampler's seed for one question."""
    return random.Random(f"{spec.seed}:{number}:sampler").getrandbits(31)


def make_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """Optuna's sampler with Optuna's defaults."""
    if name == "gp":
        return optuna.samplers.GPSampler(seed=seed)
    if name == "cma_es":
        return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
    return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def rebuild(spec: JobSpec, records: Iterable[Record], sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    """An in-memory study that has seen the records; trials keep their numbers.

    The baseline counts as a trial with the spec's own values, if the space holds them. It and every other trial
    without parameters is told as failed, as lost and cancelled ones are: samplers pass over these.
    """
    assert spec.tuning is not None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction=spec.tuning.better, sampler=sampler, pruner=optuna.pruners.NopPruner(), study_name=STUDY_NAME
    )
    space, baseline = distributions(axes_of(spec)), baseline_params(spec)
    for record in records:
        seen = replace(record, params=baseline or {}) if record.number == 0 else record
        study.add_trial(_frozen(seen, space))
    return study


def distributions(axes: Iterable[Axis]) -> dict[str, BaseDistribution]:
    """Optuna's names for the axes, by path."""
    return {axis.path: _distribution(axis) for axis in axes}


def with_optimizer(spec: JobSpec, records: Sequence[Record]) -> list[Record]:
    """The records with the state that CMA-ES has reached.

    Optuna keeps it, pickled, with the first trial of each generation; we keep only which generation a trial belongs
    to. Telling a fresh optimizer one whole generation after the other gives the same state.
    """
    done = [record for record in records if record.state == "succeeded"]
    generations: dict[int, list[Record]] = {}
    for record in done:
        if GENERATION in record.notes:
            generations.setdefault(record.notes[GENERATION], []).append(record)
    study = rebuild(spec, [record for record in done if GENERATION not in record.notes], make_sampler("cma_es", 0))
    space, optimizer = distributions(axes_of(spec)), dict[str, Any]()
    *whole, newest = sorted(generations) or [0]
    for generation in whole:
        first, *rest = generations[generation]
        for record in (replace(first, notes=first.notes | optimizer), *rest):
            study.add_trial(_frozen(record, space))
        trial = study.ask(space)
        attributes = study.get_trials(deepcopy=False)[trial.number].system_attrs
        optimizer = {key: value for key, value in attributes.items() if key.startswith(OPTIMIZER)}
        study.tell(trial, state=TrialState.FAIL)
    bearer = generations[newest][0] if generations else None
    return [replace(record, notes=record.notes | optimizer) if record is bearer else record for record in records]


def _distribution(axis: Axis) -> BaseDistribution:
    if axis.kind == "choice":
        return CategoricalDistribution(axis.choices)
    if axis.kind == "int":
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log, step=int(axis.step or 1))
    return FloatDistribution(axis.low, axis.high, log=axis.log, step=axis.step)


def state_of(record: Record) -> TrialState:
    """Optuna's word for it; a trial whose metric is undefined has failed."""
    return TrialState.FAIL if record.state == "succeeded" and record.value is None else STATES[record.state]


def _frozen(record: Record, space: dict[str, BaseDistribution]) -> FrozenTrial:
    state = state_of(record) if record.params.keys() == space.keys() else TrialState.FAIL
    return optuna.trial.create_trial(
        state=state,
        value=record.value if state == TrialState.COMPLETE else None,
        params=record.params if state != TrialState.FAIL else {},
        distributions=space if state != TrialState.FAIL else {},
        intermediate_values=record.curve,
        system_attrs=record.notes,
    )
