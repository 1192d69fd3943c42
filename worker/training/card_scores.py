"""The model card's tables of scores, and what its reader must not trust the model with."""

from collections.abc import Mapping, Sequence
from typing import Any

_SPLITS = ("train", "validation", "test", "baseline")
_CLASSIFICATION = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss", "expected_calibration_error")
_REGRESSION = ("rmse", "mae", "r2", "loss")
Metrics = Mapping[str, Any]


def classification_sections(metrics: Metrics, samples: str) -> list[str]:
    """Scores, classes, limits."""
    before = metrics["test"]["uncalibrated"]
    notes = [
        f"Probabilities are the softmax of logits divided by {metrics['temperature']:.4g}, a temperature chosen on",
        f"the validation {samples}; with 1 instead the test log loss is {before['log_loss']:.3f} and the calibration",
        f"error {before['expected_calibration_error']:.3f}.",
    ]
    test = metrics["test"]
    return [
        _scores(metrics, _CLASSIFICATION, "The baseline always answers the most frequent class.", samples, notes),
        _classes(test["per_class"], samples),
        _limits("one of the classes above", "accuracy", test, samples),
    ]


def regression_sections(metrics: Metrics, samples: str) -> list[str]:
    """Scores, limits."""
    test = metrics["test"]
    notes = ["All but r2 are in the target's units; the loss is the mean squared error."]
    return [
        _scores(metrics, _REGRESSION, "The baseline always answers the mean of the train targets.", samples, notes),
        _limits("a number", "rmse", test, samples),
    ]


def plain(text: str) -> str:
    """Text that stays text within Markdown."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]<>()#+!|" else letter for letter in text.replace("\n", " "))


def _scores(metrics: Metrics, names: Sequence[str], baseline: str, samples: str, notes: list[str]) -> str:
    intervals = metrics["test"]["intervals"]
    rows = [
        f"| {name.replace('_', ' ')} | "
        + " | ".join(_number(metrics[split][name]) for split in _SPLITS)
        + f" | {_range(intervals[name])} |"
        for name in names
    ]
    return "\n".join(
        [
            "## Scores",
            "",
            f"{baseline} The test {samples} played no part in training.",
            "",
            "| | train | validation | test | baseline | test, 95 % |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            f"The last column holds percentile intervals of 1,000 bootstrap resamples of the test {samples}.",
            *notes,
            "",
        ]
    )


def _classes(per_class: list[dict[str, Any]], samples: str) -> str:
    rows = [
        f"| {plain(row['name'])} | {_number(row['precision'])} | {_number(row['recall'])} | {row['support']} |"
        for row in per_class
    ]
    head = ["## Classes, on test", "", f"| class | precision | recall | {samples} |", "|---|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def _limits(answer: str, score: str, test: Metrics, samples: str) -> str:
    interval = _range(test["intervals"][score])
    return f"""## Limits

The model answers {answer} for any input, also for {samples} of something else. The scores hold for
{samples} like those of the dataset; the test {score} is that of {test["samples"]} {samples}: {interval} (95 %).
"""


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if abs(value) < 1000 else f"{value:.4g}"


def _range(interval: list[float] | None) -> str:
    return "-" if interval is None else f"{_number(interval[0])} to {_number(interval[1])}"
