"""Trials whose parameters depend on nothing but the spec and their number, whoever asks and in whatever order.

All of `grid`, `random` and `quasi_random`, and the first ones of `bayesian`, before its sampler has seen enough.
Trial 0 is the spec as written and has no parameters.
"""

import math
import random
from functools import lru_cache

from service.specs.jobs import JobSpec
from service.specs.search_space import Axis, Params, axes_of, baseline_params
from service.specs.tuning import Choice

STARTUP = {"tpe": 10, "gp": 10, "cma_es": 2}
"""Trials before the sampler is asked, the baseline among them: TPE and GP begin with as many in Optuna."""
PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
          107, 109, 113, 127, 131)  # fmt: skip
UNIT_BITS = 53


def trials_planned(spec: JobSpec) -> int:
    """How many trials a job makes if nothing ends its search."""
    if spec.tuning is None:
        return 1
    return grid_size(spec) if spec.tuning.strategy == "grid" else spec.tuning.trials


def early_params(spec: JobSpec, number: int) -> Params | None:
    """The parameters of trial `number`; None when they depend on the results of others."""
    tuning = spec.tuning
    if number == 0 or tuning is None:
        return {}
    if tuning.strategy == "grid":
        return grid_point(spec, number)
    if tuning.strategy == "quasi_random":
        return quasi_random_point(spec, number)
    if tuning.strategy == "random" or number < STARTUP[tuning.sampler or "tpe"]:
        return random_point(spec, number)
    return None


def grid_size(spec: JobSpec) -> int:
    """The cells and the baseline, which may be one of them. Every axis is countable."""
    cells = math.prod(axis.count or 1 for axis in axes_of(spec))
    return cells if baseline_params(spec) is not None else cells + 1


def grid_point(spec: JobSpec, number: int) -> Params:
    """The cell of trial `number` >= 1; cells come in an order shuffled by the job's seed, without the baseline's."""
    axes = axes_of(spec)
    counts = [axis.count or 1 for axis in axes]
    cells = list(range(math.prod(counts)))
    baseline = baseline_params(spec)
    if baseline is not None:
        cells.remove(_cell_of(axes, counts, baseline))
    random.Random(f"{spec.seed}:grid").shuffle(cells)
    rest, params = cells[number - 1], {}
    for axis, count in zip(reversed(axes), reversed(counts), strict=True):
        rest, index = divmod(rest, count)
        params[axis.path] = axis.value(index)
    return params


def random_point(spec: JobSpec, number: int) -> Params:
    """Independent uniform draws (on log axes: of the logarithm)."""
    return {
        axis.path: spread(axis, random.Random(f"{spec.seed}:{number}:{axis.path}").random()) for axis in axes_of(spec)
    }


def quasi_random_point(spec: JobSpec, number: int) -> Params:
    """Point `number` of a Halton sequence whose digits are permuted at random (Owen 2017, arXiv:1706.02808)."""
    return {
        axis.path: spread(axis, radical_inverse(number, base, _permutations(spec.seed, base)))
        for axis, base in zip(axes_of(spec), PRIMES, strict=False)
    }


def radical_inverse(index: int, base: int, permutations: tuple[tuple[int, ...], ...]) -> float:
    """The digits of `index` mirrored at the point, each mapped by the permutation of its place; in [0, 1)."""
    value, weight = 0.0, 1.0
    for permutation in permutations:
        index, digit = divmod(index, base)
        weight /= base
        value += permutation[digit] * weight
    return min(value, math.nextafter(1.0, 0.0))


def spread(axis: Axis, unit: float) -> Choice:
    """The value at `unit` in [0, 1) of an axis: equal shares for values that can be counted, else linear or log."""
    if axis.count is not None:
        return axis.value(int(unit * axis.count))
    if axis.kind == "int":
        value = math.exp(_between(math.log(axis.low - 0.5), math.log(axis.high + 0.5), unit))
        return min(max(round(value), int(axis.low)), int(axis.high))
    if axis.log:
        value = math.exp(_between(math.log(axis.low), math.log(axis.high), unit))
    else:
        value = _between(axis.low, axis.high, unit)
    return min(max(value, float(axis.low)), float(axis.high))


def _between(low: float, high: float, unit: float) -> float:
    return low + unit * (high - low)


def _cell_of(axes: list[Axis], counts: list[int], params: Params) -> int:
    cell = 0
    for axis, count in zip(axes, counts, strict=True):
        place = next(index for index in range(count) if axis.value(index) == params[axis.path])
        cell = cell * count + place
    return cell


@lru_cache(maxsize=256)
def _permutations(seed: int, base: int) -> tuple[tuple[int, ...], ...]:
    """One permutation of the digits for each place, down to the resolution of a float."""
    generator = random.Random(f"{seed}:halton:{base}")
    places = math.ceil(UNIT_BITS / math.log2(base))
    return tuple(tuple(generator.sample(range(base), base)) for _ in range(places))
