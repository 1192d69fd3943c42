"""The model card: what was trained on what, how well it does, what it must not be trusted with."""

from pathlib import Path
from typing import Any

from service.specs.backbones import CATALOGUE
from worker.training.fitting import Fitted
from worker.training.setting import Setting

_SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss", "expected_calibration_error")


def write_card(path: Path, setting: Setting, fitted: Fitted, metrics: dict[str, Any]) -> None:
    """Writes Markdown to `path`."""
    sections = [_facts(setting, fitted), _scores(metrics), _classes(metrics["test"]["per_class"]), _limits(metrics)]
    path.write_text("\n".join(sections), encoding="utf-8")


def _facts(setting: Setting, fitted: Fitted) -> str:
    spec, entry = setting.order.spec, CATALOGUE[setting.trained.backbone]
    weights = "pretrained on ImageNet" if spec.network.weights == "pretrained" else "trained from scratch"
    counts = ", ".join(f"{len(indices)} {name}" for name, indices in setting.dealt.items())
    size = setting.trained.image_size
    return f"""# {_plain(spec.name or "Image classifier")}

- **Backbone**: {entry.name} ({entry.source}, {entry.license}), {weights}; trained part: {spec.network.trainable}
- **Input**: RGB, stretched to {size} x {size} pixels ({entry.interpolation})
- **Dataset**: `{setting.order.dataset_digest}`: {counts} images, {spec.split.strategy} split, seed {spec.seed}
- **Training**: {len(fitted.curve)} epochs, stopped by {fitted.stopped_by}; published is epoch {fitted.best_epoch}
- **Optimizer**: {spec.training.optimizer}, learning rate {spec.training.learning_rate:g}, {spec.training.schedule}, \
batch size {spec.training.batch_size}
- **Augmentation**: {spec.augmentation.policy or "explicit"}
"""


def _scores(metrics: dict[str, Any]) -> str:
    columns = ("train", "validation", "test", "baseline")
    intervals, before = metrics["test"]["intervals"], metrics["test"]["uncalibrated"]
    rows = [
        f"| {name.replace('_', ' ')} | "
        + " | ".join(_number(metrics[column][name]) for column in columns)
        + f" | {_range(intervals[name])} |"
        for name in _SCORES
    ]
    return "\n".join(
        [
            "## Scores",
            "",
            "The baseline always answers the most frequent class. The test images played no part in training.",
            "",
            "| | train | validation | test | baseline | test, 95 % |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            "The last column holds percentile intervals of 1,000 bootstrap resamples of the test images.",
            f"Probabilities are the softmax of logits divided by {metrics['temperature']:.4g}, a temperature chosen on",
            f"the validation images; with 1 instead the test log loss is {before['log_loss']:.3f} and the calibration",
            f"error {before['expected_calibration_error']:.3f}.",
            "",
        ]
    )


def _classes(per_class: list[dict[str, Any]]) -> str:
    rows = [
        f"| {_plain(row['name'])} | {_number(row['precision'])} | {_number(row['recall'])} | {row['support']} |"
        for row in per_class
    ]
    return "\n".join(
        ["## Classes, on test", "", "| class | precision | recall | images |", "|---|---|---|---|", *rows, ""]
    )


def _limits(metrics: dict[str, Any]) -> str:
    samples, interval = metrics["test"]["samples"], metrics["test"]["intervals"]["accuracy"]
    return f"""## Limits

The network answers one of the classes above for any image, also for images of something else. The scores hold for
images like those of the dataset; the test accuracy is that of {samples} images: {_range(interval)} (95 %).
"""


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _range(interval: list[float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _plain(text: str) -> str:
    """Text that stays text within Markdown."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]<>()#+!|" else letter for letter in text.replace("\n", " "))
