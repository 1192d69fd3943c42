"""A job's search space in terms of the fields that it sets: axes, and the spec of a trial."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, TypeAdapter

from service.specs.base import Spec
from service.specs.jobs import EarlyStoppingSpec, JobSpec
from service.specs.resolving import DatasetFacts, resolve
from service.specs.tuning import Choice, Dimension

NEVER_STOPS = 1000
"""A patience that no trial outlasts: there are no more epochs than that."""
Params = dict[str, Choice]


@dataclass(frozen=True)
class Axis:
    """One field's values: a range of whole or of any numbers, or choices.

    Attributes:
        step: between the values of a range; None for a continuum, and on a log scale.
    """

    path: str
    kind: Literal["int", "float", "choice"]
    low: int | float = 0
    high: int | float = 0
    log: bool = False
    step: int | float | None = None
    choices: tuple[Choice, ...] = ()

    @property
    def count(self) -> int | None:
        """How many values there are; None where they are not counted out."""
        if self.kind == "choice":
            return len(self.choices)
        if self.step is None:
            return None
        return int((_exact(self.high) - _exact(self.low)) // _exact(self.step)) + 1

    def value(self, index: int) -> Choice:
        """The value at `index` of `count`."""
        if self.kind == "choice":
            return self.choices[index]
        exact = _exact(self.low) + index * _exact(self.step or 0)
        return int(exact) if self.kind == "int" else float(exact)

    def holds(self, value: Choice) -> bool:
        """Whether the value can be sampled."""
        if self.kind == "choice":
            return any(value == choice and type(value) is type(choice) for choice in self.choices)
        if isinstance(value, bool | str) or value is None or not self.low <= value <= self.high:
            return False
        return self.step is None or (_exact(value) - _exact(self.low)) % _exact(self.step) == 0

    @property
    def edges(self) -> tuple[Choice, ...]:
        """All choices, or both ends of the range."""
        if self.kind == "choice":
            return self.choices
        return (self.low,) if self.low == self.high else (self.low, self.high)


def axes_of(spec: JobSpec) -> list[Axis]:
    """The axes by path, for a space that `space_faults` finds nothing wrong with; none without tuning."""
    space = spec.tuning.space if spec.tuning else {}
    return [axis_of(spec, path, space[path]) for path in sorted(space)]


def axis_of(spec: JobSpec, path: str, dimension: Dimension) -> Axis:
    """One axis, its values as the field keeps them: 1 becomes 1.0 where any number is taken.

    Raises:
        ValidationError: the field does not take a value.
    """
    keep = field_at(spec, path).validate_python
    if dimension.choices is not None:
        return Axis(path, "choice", choices=tuple(keep(choice) for choice in dimension.choices))
    low, high = keep(dimension.low), keep(dimension.high)
    whole = isinstance(low, int)
    step = dimension.step if dimension.step is not None or not whole or dimension.log else 1
    axis = Axis(path, "int" if whole else "float", low, high, dimension.log, step)
    if axis.count is None:
        return axis
    last: Any = axis.value(axis.count - 1)
    return Axis(path, axis.kind, low, last, axis.log, step)


def field_at(spec: JobSpec, path: str) -> TypeAdapter[Any]:
    """The validator of the field that a path leads to."""
    *parents, last = path.split(".")
    part: Spec = value_at(spec, ".".join(parents))
    return _field(type(part), last)


def value_at(spec: JobSpec, path: str) -> Any:
    """What the spec says at a path."""
    found: Any = spec
    for name in path.split("."):
        found = getattr(found, name)
    return found


def applied(spec: JobSpec, params: Mapping[str, Choice]) -> JobSpec:
    """The spec with values set at paths.

    Raises:
        ValidationError: the spec's own rules refuse the combination.
    """
    document = spec.model_dump()
    for path, value in params.items():
        *parents, last = path.split(".")
        part = document
        for name in parents:
            part = part[name]
        part[last] = value
    return JobSpec.model_validate(document)


def trial_spec(spec: JobSpec, params: Mapping[str, Choice], facts: DatasetFacts) -> JobSpec:
    """What one trial of a tuned job does: a spec that, posted without tuning, would do the same.

    Raises:
        ValidationError: as `applied`.
    """
    assert spec.tuning is not None
    changed = applied(spec, params)
    early = changed.early_stopping
    if early is None and spec.tuning.metric != "validation_loss":
        # Nothing stops early, yet the best epoch is the best by the metric that trials are compared by.
        early = EarlyStoppingSpec(monitor=spec.tuning.metric, patience=NEVER_STOPS)
    alone = changed.model_copy(update={"tuning": None, "early_stopping": early})
    return resolve(alone, facts)


def edges_of(spec: JobSpec, path: str) -> list[Choice]:
    """The bounds or choices of a field over all trials, the baseline's value first."""
    return [value_at(spec, path), *(edge for axis in axes_of(spec) if axis.path == path for edge in axis.edges)]


def largest(spec: JobSpec, path: str) -> Any:
    """The most that a number can be in any trial, the baseline included."""
    return max((value for value in edges_of(spec, path) if isinstance(value, int | float)), default=None)


def backbones_of(spec: JobSpec) -> list[str]:
    """The backbones that a trial may have: the baseline's, and the choices."""
    return [*dict.fromkeys(map(str, edges_of(spec, "backbone.name")))]


def baseline_params(spec: JobSpec) -> Params | None:
    """What the spec as written has at the paths; None where the space does not hold that."""
    axes = axes_of(spec)
    params = {axis.path: value_at(spec, axis.path) for axis in axes}
    return params if all(axis.holds(params[axis.path]) for axis in axes) else None


@lru_cache(maxsize=256)
def _field(part: type[Spec], name: str) -> TypeAdapter[Any]:
    field = part.model_fields[name]
    annotated: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return TypeAdapter(annotated, config=ConfigDict(strict=True, allow_inf_nan=False))


def _exact(value: float) -> Decimal:
    """Decimal arithmetic, so that 0.1 + 2 · 0.1 is 0.3."""
    return Decimal(str(value))
