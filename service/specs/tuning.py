"""The tuning part of a job spec: what is searched, how, and when the search has seen enough.

What can be said without the rest of the spec is checked here; `service.specs.search_space` checks every bound
against the field that it would set.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from service.specs.base import Spec, broken_rule

Monitor = Literal[
    "validation_loss",
    "validation_accuracy",
    "validation_balanced_accuracy",
    "validation_macro_f1",
    "validation_rmse",
    "validation_mae",
    "validation_r2",
]
Direction = Literal["minimize", "maximize"]
Path = Annotated[str, Field(min_length=1, max_length=100)]
Choice = bool | int | float | Annotated[str, Field(max_length=100)] | None

MOST_EDGES = 128
"""Bounds and choices of a whole space: each is checked beside each other one at submit."""


class Dimension(Spec):
    """What one field may be: a range (`low`, `high`, on request in `step`s or on a `log` scale), or `choices`.

    Whole numbers are searched as whole numbers where the field takes only those.
    """

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    step: int | float | None = Field(None, gt=0)
    choices: list[Choice] | None = Field(None, min_length=1, max_length=64)

    @model_validator(mode="after")
    def _range_or_choices(self) -> Self:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.step is not None or self.log:
                raise ValueError("give either low and high, or choices")
            if len({(type(choice), choice) for choice in self.choices}) < len(self.choices):
                raise ValueError("a choice is given twice")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give low and high, or choices")
        if self.low > self.high:
            raise ValueError("low must not be greater than high")
        if self.log and self.low <= 0:
            raise ValueError("a log scale needs low > 0")
        if self.log and self.step is not None:
            raise ValueError("give either log or step")
        return self


class TuningSpec(Spec):
    """A search over `space`, whose keys are dotted paths into the job spec.

    `trials` is the most that are made; trial 0, the spec as written, is one of them. A grid makes its cells and the
    baseline, for which `trials` must suffice. `direction` follows from `metric` and may be left out;
    `early_stopping.monitor` is the metric unless it is set, and then it must be. `sampler` is for `bayesian` only.
    `max_trials_without_improvement` counts trials that ended after the best by number; `target_value` ends the
    search and stops what runs.
    """

    strategy: Literal["grid", "random", "bayesian", "quasi_random"] = "bayesian"
    trials: int = Field(30, ge=1, le=1000)
    parallel: int = Field(1, ge=1, le=64)
    metric: Monitor = "validation_loss"
    direction: Direction | None = None
    space: dict[Path, Dimension] = Field(min_length=1, max_length=32)
    sampler: Literal["tpe", "gp", "cma_es"] | None = None
    pruner: Literal["none", "median", "percentile", "hyperband"] = "median"
    max_trials_without_improvement: int | None = Field(None, ge=1, le=1000)
    target_value: float | None = None

    @model_validator(mode="after")
    def _direction_agrees_with_metric(self) -> Self:
        if self.direction not in (None, self.better):
            raise broken_rule("direction", f"{self.metric} is there to {self.better}")
        return self

    @model_validator(mode="after")
    def _sampler_is_for_bayesian(self) -> Self:
        if self.sampler is not None and self.strategy != "bayesian":
            raise broken_rule("sampler", "sampler is for the strategy bayesian only")
        return self

    @model_validator(mode="after")
    def _space_is_not_too_wide(self) -> Self:
        edges = sum(len(dimension.choices or (0, 0)) for dimension in self.space.values())
        if edges > MOST_EDGES:
            raise broken_rule("space", f"at most {MOST_EDGES} bounds and choices together")
        return self

    @property
    def better(self) -> Direction:
        """Which way `metric` improves."""
        return better_of(self.metric)

    def resolve(self) -> "TuningSpec":
        """The same with every default decided."""
        sampler = (self.sampler or "tpe") if self.strategy == "bayesian" else None
        return self.model_copy(update={"direction": self.better, "sampler": sampler})

    def reaches_target(self, value: float | None) -> bool:
        """Whether the search may end with this value."""
        if value is None or self.target_value is None:
            return False
        return value == self.target_value or is_better(self.metric, value, self.target_value)


def better_of(metric: Monitor) -> Direction:
    """Which way a metric improves."""
    return "minimize" if metric in ("validation_loss", "validation_rmse", "validation_mae") else "maximize"


def monitors_of(is_regression: bool) -> tuple[Monitor, ...]:
    """What an epoch reports of validation."""
    if is_regression:
        return ("validation_loss", "validation_rmse", "validation_mae", "validation_r2")
    return ("validation_loss", "validation_accuracy", "validation_balanced_accuracy", "validation_macro_f1")


def is_better(metric: Monitor, value: float, than: float) -> bool:
    """Whether `value` is strictly better."""
    return value < than if better_of(metric) == "minimize" else value > than
