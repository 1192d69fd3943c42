"""A study rebuilt from records suggests what a live study of Optuna would that saw the same trials happen."""

from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from service.specs.jobs import JobSpec
from service.specs.points import early_params
from service.specs.search_space import axes_of
from tests.searches import loss, search_spec
from worker.tuning.records import Record
from worker.tuning.study import ask, distributions, make_sampler, rebuild, seed_of

RANGES = {
    "training.learning_rate": {"low": 1e-5, "high": 1.0, "log": True},
    "training.weight_decay": {"low": 0.0, "high": 1.0},
}
TRIALS = {"tpe": 30, "gp": 16, "cma_es": 40}


class Live:
    """A study that is asked and told as Optuna means it; each question has the seed that we would give it."""

    def __init__(self, spec: JobSpec) -> None:
        assert spec.tuning is not None
        self.spec, self.name = spec, spec.tuning.sampler or "tpe"
        self.space = distributions(axes_of(spec))
        self.study = optuna.create_study(direction=spec.tuning.better)
        self.study.add_trial(optuna.trial.create_trial(state=TrialState.FAIL))  # a baseline outside the space

    def ask(self, number: int) -> tuple[optuna.Trial, dict[str, Any]]:
        self.study.sampler = make_sampler(self.name, seed_of(self.spec, number))
        early = early_params(self.spec, number)
        if early is not None:
            self.study.enqueue_trial(early)
            return self.study.ask(self.space), {}
        trial = self.study.ask(self.space)
        notes = self.study.trials[trial.number].system_attrs
        return trial, {key: value for key, value in notes.items() if key == "cma:generation"}


def states(number: int) -> str:
    """Some trials are pruned, some fail."""
    return {4: "failed", 7: "pruned", 12: "pruned", 15: "failed"}.get(number, "succeeded")


@pytest.mark.parametrize("sampler", TRIALS)
@pytest.mark.parametrize("metric", ["validation_loss", "validation_accuracy"])
def test_one_after_the_other(sampler: str, metric: str) -> None:
    spec = search_spec(RANGES, sampler=sampler, trials=100, seed=7, metric=metric, training={"weight_decay": 5.0})
    sign = 1.0 if metric == "validation_loss" else -1.0
    live = Live(spec)
    records = [Record(0, "succeeded", {}, sign * 3.0)]
    for number in range(1, TRIALS[sampler]):
        trial, notes = live.ask(number)
        if early_params(spec, number) is None:
            proposal = ask(spec, records)
            assert (proposal.params, proposal.notes) == (trial.params, notes), number
        value, state = sign * loss(trial.params), states(number)
        if state == "failed":
            live.study.tell(trial, state=TrialState.FAIL)
            records.append(Record(number, "failed", trial.params, notes=notes))
        elif state == "pruned":
            trial.report(value, 3)
            live.study.tell(trial, state=TrialState.PRUNED)
            records.append(Record(number, "pruned", trial.params, curve={3: value}, notes=notes))
        else:
            live.study.tell(trial, value)
            records.append(Record(number, "succeeded", trial.params, value, notes=notes))


def test_running_trials_are_seen() -> None:
    spec = search_spec(RANGES, trials=100, training={"weight_decay": 5.0})
    live, records, open_trials = Live(spec), [Record(0, "failed")], []
    for number in range(1, 24):
        trial, _ = live.ask(number)
        if early_params(spec, number) is None:
            assert ask(spec, records).params == trial.params
        open_trials.append(trial)
        records.append(Record(number, "running", trial.params))
        if len(open_trials) == 4:
            ended = open_trials.pop(0)
            live.study.tell(ended, loss(ended.params))
            records[ended.number] = Record(ended.number, "succeeded", ended.params, loss(ended.params))
    alone = [record if record.state == "succeeded" else Record(record.number, "failed") for record in records]
    assert ask(spec, alone).params != ask(spec, records).params


@pytest.mark.parametrize("sampler", ["tpe", "cma_es"])
def test_it_finds_the_bottom_of_a_bowl(sampler: str) -> None:
    spec = search_spec(RANGES, sampler=sampler, trials=100)
    records: list[Record] = []
    for number in range(80):
        params, notes = early_params(spec, number), {}
        if params is None:
            proposal = ask(spec, records)
            params, notes = proposal.params, proposal.notes
        value = loss(params or {"training.learning_rate": 0.001, "training.weight_decay": 0.01})
        records.append(Record(number, "succeeded", params, value, notes=notes))
    assert min(record.value or 0.0 for record in records) < 0.02


def test_the_baseline_is_told_with_the_values_that_it_has() -> None:
    records = [Record(0, "succeeded", {}, 1.0), Record(1, "cancelled", {}), Record(2, "queued", {})]
    trials = rebuild(search_spec(), records, make_sampler("tpe", 0)).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, TrialState.FAIL, TrialState.FAIL]
    assert trials[0].params["training.learning_rate"] == 0.001
    outside = search_spec({"training.learning_rate": {"low": 0.1, "high": 1.0}})
    assert rebuild(outside, records, make_sampler("tpe", 0)).trials[0].state == TrialState.FAIL


def test_the_same_question_has_the_same_answer() -> None:
    spec = search_spec()
    records = [Record(0, "failed")] + [
        Record(number, "succeeded", early_params(spec, number) or {}, loss(early_params(spec, number) or {}))
        for number in range(1, 10)
    ]
    assert ask(spec, records) == ask(spec, records)
    assert ask(spec, records) != ask(search_spec(seed=1), records)


def test_every_kind_of_axis_is_searched_in_its_own_kind() -> None:
    space = {
        "training.learning_rate": {"low": 1e-5, "high": 1.0, "log": True},
        "training.batch_size": {"low": 8, "high": 31, "step": 8},
        "training.image_size": {"low": 32, "high": 512, "log": True},
        "backbone.dropout": {"low": 0.1, "high": 0.35, "step": 0.1},
        "training.gradient_clip_norm": {"choices": [None, 1, 5.0]},
        "training.optimizer": {"choices": ["adam", "sgd"]},
    }
    spec = search_spec(space, trials=100)
    axes = axes_of(spec)
    records: list[Record] = [Record(0, "failed")]
    for number in range(1, 40):
        params = early_params(spec, number) or ask(spec, records).params
        assert {axis.path for axis in axes if axis.holds(params[axis.path])} == space.keys()
        records.append(Record(number, "succeeded", params, float(number % 7)))
