"""What is wrong with a search space: every bound and choice is tried on the field that it would set."""

from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

from pydantic import ValidationError

from service.errors import Fault
from service.specs.base import Spec, rule_in_words
from service.specs.jobs import JobSpec, Problem
from service.specs.points import grid_size
from service.specs.search_space import Axis, Params, applied, axes_of, axis_of, field_at
from service.specs.tuning import Choice, Dimension, TuningSpec

TUNABLE = ("backbone", "estimator", "training", "augmentation", "early_stopping")
NOT_TUNABLE = ("early_stopping.monitor",)
ONLY_OF: dict[str, Problem] = {
    "training.image_size": "image_classification",
    "training.max_tokens": "text_classification",
}


def space_faults(spec: JobSpec) -> list[Fault]:
    """The faults of a resolved spec's space, those of single fields first; none where trials can be made of it."""
    tuning = spec.tuning
    if tuning is None:
        return []
    found: list[Fault] = []
    for path, dimension in tuning.space.items():
        fault = _path_fault(spec, path)
        found += [fault] if fault else _value_faults(spec, path, dimension)
    return found or [*_combination_faults(spec), *_strategy_faults(spec, tuning)]


def _at(path: str, *more: str | int) -> tuple[str | int, ...]:
    return ("body", "tuning", "space", path, *more)


def _path_fault(spec: JobSpec, path: str) -> Fault | None:
    names = path.split(".")
    if names[0] in JobSpec.model_fields and (names[0] not in TUNABLE or path in NOT_TUNABLE):
        return Fault(_at(path), "not-tunable", f"only fields of {', '.join(TUNABLE)} can be tuned")
    if spec.problem != ONLY_OF.get(path, spec.problem):
        return Fault(_at(path), "other-modality", f"only jobs of {ONLY_OF[path]} have it")
    part: Any = spec
    for name in names:
        if part is None:
            return Fault(_at(path), "unknown-path", "the spec has null where the path leads through")
        if not isinstance(part, Spec) or name not in type(part).model_fields:
            return Fault(_at(path), "unknown-path", "the spec has no such field")
        part = getattr(part, name)
    if isinstance(part, Spec) or len(names) == 1:
        return Fault(_at(path), "unknown-path", "the path names a part of the spec, not a field")
    return None


def _value_faults(spec: JobSpec, path: str, dimension: Dimension) -> list[Fault]:
    named: list[tuple[tuple[str | int, ...], Choice]] = [(("low",), dimension.low), (("high",), dimension.high)]
    if dimension.choices is not None:
        named = [(("choices", number), choice) for number, choice in enumerate(dimension.choices)]
    found: list[Fault] = []
    for suffix, value in named:
        try:
            field_at(spec, path).validate_python(value)
        except ValidationError as error:
            first = error.errors()[0]
            found.append(Fault(_at(path, *suffix), str(first["type"]).replace("_", "-"), str(first["msg"])[:500]))
    return found or _axis_faults(axis_of(spec, path, dimension))


def _axis_faults(axis: Axis) -> list[Fault]:
    if axis.kind == "choice":
        if len({(type(choice), choice) for choice in axis.choices}) < len(axis.choices):
            return [Fault(_at(axis.path, "choices"), "repeated", "two choices are the same to the field")]
    elif axis.kind == "int" and isinstance(axis.step, float):
        return [Fault(_at(axis.path, "step"), "int-type", "the field takes whole numbers only")]
    return []


def _combination_faults(spec: JobSpec) -> Iterator[Fault]:
    """Every two edges together, the other paths at their first: nothing is tried that no trial can meet."""
    axes = axes_of(spec)
    start: Params = {axis.path: axis.edges[0] for axis in axes}
    for pair in combinations(axes, 2) if len(axes) > 1 else [(axes[0],)]:
        for values in product(*(axis.edges for axis in pair)):
            changed = {axis.path: value for axis, value in zip(pair, values, strict=True)}
            try:
                applied(spec, start | changed)
            except ValidationError as error:
                yield _combination_fault(pair, error)
                break


def _combination_fault(pair: tuple[Axis, ...], error: ValidationError) -> Fault:
    rule = rule_in_words(error.errors()[0])
    beside = f" beside all of {pair[1].path}" if len(pair) > 1 else ""
    return Fault(_at(pair[0].path), "combination", f"not every value is valid{beside}: {rule}"[:500])


def _strategy_faults(spec: JobSpec, tuning: TuningSpec) -> Iterator[Fault]:
    axes = axes_of(spec)
    if tuning.strategy == "grid":
        endless = [axis.path for axis in axes if axis.count is None]
        for path in endless:
            yield Fault(_at(path), "grid", "a grid needs choices, a step, or whole numbers on a linear scale")
        if not endless and (size := grid_size(spec)) > tuning.trials:
            rule = f"the grid and the spec as written make {size} trials; allow as many"
            yield Fault(("body", "tuning", "trials"), "grid", rule)
    if tuning.sampler == "cma_es" and sum(axis.kind != "choice" for axis in axes) < 2:
        yield Fault(("body", "tuning", "sampler"), "cma-es", "cma_es searches two ranges at least")
