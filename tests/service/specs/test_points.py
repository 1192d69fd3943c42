"""Trials that wait for no results: the same set however many workers draw them, and well spread."""

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest, qmc

from service.specs.points import (
    PRIMES,
    early_params,
    grid_size,
    quasi_random_point,
    radical_inverse,
    random_point,
    trials_planned,
)
from service.specs.search_space import axes_of, baseline_params
from tests.searches import points, search_spec

GRID = {
    "training.batch_size": {"choices": [16, 32, 64]},
    "training.warmup_epochs": {"low": 0, "high": 3},
    "backbone.dropout": {"low": 0.0, "high": 0.4, "step": 0.2},
}


@given(st.sampled_from(["grid", "random", "quasi_random"]), st.integers(0, 2**31 - 1), st.permutations(range(12)))
def test_a_trial_depends_on_its_number_alone(strategy: str, seed: int, order: list[int]) -> None:
    """Drawn in any order, by any number of workers, also for a spec that was read back from the database."""
    spec = search_spec(GRID, strategy=strategy, trials=40, seed=seed)
    again = type(spec).model_validate_json(spec.model_dump_json())
    drawn = {number: early_params(again, number) for number in order}
    assert [drawn[number] for number in range(12)] == points(spec, 12)


@pytest.mark.parametrize("strategy", ["random", "quasi_random"])
def test_seeds_differ_and_values_lie_in_the_space(strategy: str) -> None:
    space = {
        **GRID,
        "training.learning_rate": {"low": 1e-5, "high": 1.0, "log": True},
        "training.image_size": {"low": 32, "high": 1024, "log": True},
        "training.weight_decay": {"low": 0.0, "high": 1.0},
    }
    one, other = (search_spec(space, strategy=strategy, seed=seed) for seed in (1, 2))
    assert points(one, 9)[1:] != points(other, 9)[1:]
    for params in points(one, 200)[1:]:
        assert params is not None
        assert all(axis.holds(params[axis.path]) for axis in axes_of(one))


def test_a_grid_is_every_cell_once_and_the_baseline_first() -> None:
    spec = search_spec(GRID, strategy="grid", trials=40)
    drawn = points(spec, 36)
    assert (grid_size(spec), trials_planned(spec), drawn[0]) == (36, 36, {})
    cells = {tuple(sorted(zip(sorted(GRID), cell, strict=True)))
             for cell in product([0.0, 0.2, 0.4], [16, 32, 64], [0, 1, 2, 3])}  # fmt: skip
    baseline = baseline_params(spec)
    assert baseline is not None
    seen = [tuple(sorted(params.items())) for params in (baseline, *drawn[1:]) if params]
    assert (len(seen), set(seen)) == (36, cells)


def test_a_grid_without_the_baseline_has_one_trial_more() -> None:
    spec = search_spec({"training.batch_size": {"choices": [8, 16]}}, strategy="grid")
    assert trials_planned(spec) == 3
    assert sorted(str(params) for params in points(spec, 3)[1:]) == [
        "{'training.batch_size': 16}", "{'training.batch_size': 8}",
    ]  # fmt: skip


@pytest.mark.parametrize("draw", [random_point, quasi_random_point])
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_draws_are_uniform_on_the_axis(draw, scale: str) -> None:  # type: ignore[no-untyped-def]
    path = "training.learning_rate"
    spec = search_spec({path: {"low": 1e-4, "high": 1.0, "log": scale == "log"}}, strategy="random", seed=3)
    values = [draw(spec, number)[path] for number in range(1, 400)]
    units = [math.log10(v) / 4 + 1 if scale == "log" else (v - 1e-4) / (1 - 1e-4) for v in values]
    assert kstest(units, "uniform").pvalue > 0.01


def test_whole_numbers_on_a_log_scale_have_their_logarithmic_shares() -> None:
    """As Optuna deals them: n has the share of [n - 1/2, n + 1/2]."""
    spec = search_spec({"training.batch_size": {"low": 2, "high": 4, "log": True}}, strategy="random")
    drawn = [random_point(spec, number)["training.batch_size"] for number in range(1, 4001)]
    for value in (2, 3, 4):
        share = math.log((value + 0.5) / (value - 0.5)) / math.log(4.5 / 1.5)
        assert drawn.count(value) / 4000 == pytest.approx(share, abs=0.03)


def test_digits_that_are_not_permuted_give_scipys_halton_sequence() -> None:
    expected = qmc.Halton(d=4, scramble=False).random(50)
    for index in range(50):
        for column, base in enumerate(PRIMES[:4]):
            identity = (tuple(range(base)),) * 20
            assert radical_inverse(index, base, identity) == pytest.approx(expected[index, column], abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_permuted_digits_keep_every_stratum_filled(seed: int) -> None:
    """What makes it quasi-random: of 27 points in a row, each 27th of an axis with base 3 has one."""
    space = {"training.learning_rate": {"low": 0.5, "high": 1.5}, "training.weight_decay": {"low": 0.0, "high": 1.0}}
    spec = search_spec(space, strategy="quasi_random", seed=seed)
    drawn = [quasi_random_point(spec, number) for number in range(27, 54)]
    assert sorted(int(float(params["training.weight_decay"] or 0) * 27) for params in drawn) == list(range(27))


def test_two_axes_are_covered_more_evenly_than_at_random() -> None:
    space = {"training.learning_rate": {"low": 0.5, "high": 1.5}, "training.weight_decay": {"low": 0.0, "high": 1.0}}

    def discrepancy(strategy: str) -> float:
        spec = search_spec(space, strategy=strategy)
        drawn = [params or {} for params in points(spec, 101)[1:]]
        return float(qmc.discrepancy([[p["training.learning_rate"] - 0.5, p["training.weight_decay"]] for p in drawn]))

    assert discrepancy("quasi_random") < 0.3 * discrepancy("random")


def test_bayesian_begins_at_random_and_then_asks() -> None:
    drawn = points(search_spec(sampler="tpe"), 12)
    assert drawn[:10] == points(search_spec(strategy="random"), 10)
    assert drawn[10:] == [None, None]
    assert points(search_spec(sampler="cma_es"), 3)[1:] == [drawn[1], None]
