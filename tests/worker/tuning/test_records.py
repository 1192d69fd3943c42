"""Which trial is best, and when a search has seen enough."""

from itertools import permutations

import pytest

from tests.searches import search_spec
from worker.tuning.records import Record, best_of, ending


def records(*values: float | str) -> list[Record]:
    """A number is a success with that value, a word is a state."""
    return [
        Record(number, value) if isinstance(value, str) else Record(number, "succeeded", value=value)  # type: ignore[arg-type]
        for number, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("metric", "values", "best"),
    [
        ("validation_loss", (0.5, 0.2, 0.9), 1),
        ("validation_accuracy", (0.5, 0.2, 0.9), 2),
        ("validation_loss", (0.5, 0.2, 0.2), 1),
        ("validation_accuracy", ("failed", 0.2, 0.2), 1),
        ("validation_loss", ("failed", "pruned", "running"), None),
        ("validation_macro_f1", ("succeeded", "succeeded", -0.5), 2),
        ("validation_macro_f1", ("failed", "succeeded", "succeeded"), 1),
    ],
)
def test_the_best_is_the_first_of_equals(metric: str, values: tuple[float | str, ...], best: int | None) -> None:
    for order in permutations(records(*values)):
        found = best_of(metric, order)  # type: ignore[arg-type]
        assert (found.number if found else None) == best


@pytest.mark.parametrize(
    ("rules", "values", "seconds_left", "reason"),
    [
        ({}, (0.5, 0.6, 0.7), 1.0, None),
        ({}, (0.5, 0.6, 0.7), 0.0, "limit"),
        ({"target_value": 0.5}, (0.6, 0.5), 1.0, "target"),
        ({"target_value": 0.5}, (0.6, 0.51), 1.0, None),
        ({"target_value": 0.5}, (0.6, 0.4), 0.0, "target"),
        ({"target_value": 0.5, "metric": "validation_accuracy"}, (0.6, 0.4), 1.0, "target"),
        ({"target_value": 0.5, "metric": "validation_accuracy"}, (0.3, 0.4), 1.0, None),
        ({"max_trials_without_improvement": 2}, (0.5, 0.6), 1.0, None),
        ({"max_trials_without_improvement": 2}, (0.5, 0.6, 0.7), 1.0, "no_improvement"),
        ({"max_trials_without_improvement": 2}, (0.5, "pruned", "failed"), 1.0, "no_improvement"),
        ({"max_trials_without_improvement": 2}, (0.5, "running", "running"), 1.0, None),
        ({"max_trials_without_improvement": 2}, (0.5, 0.6, 0.4, 0.7), 1.0, None),
        ({"max_trials_without_improvement": 2}, ("failed", "failed", "failed"), 1.0, None),
    ],
)
def test_when_a_search_ends(
    rules: dict[str, object], values: tuple[float | str, ...], seconds_left: float, reason: str | None
) -> None:
    tuning = search_spec(**rules).tuning
    assert tuning is not None
    assert ending(tuning, records(*values), seconds_left=seconds_left) == reason
