"""One trial from order to outcome."""

import json
import math
from pathlib import Path

import torch

from service.specs.auto import settled
from service.specs.jobs import TrainingSpec
from service.specs.tuning import is_better
from worker.backbones.trained import CONFIG_FILE, save_trained
from worker.data.splits import paths_of
from worker.training.automatic import FINDER_FILE, decided
from worker.training.card import write_card
from worker.training.fitting import Fitted, fit
from worker.training.order import OutputFile, TrialOrder, TrialOutcome, TrialSink
from worker.training.plots import write_plots
from worker.training.reporting import Reporter
from worker.training.scoring import Scored, score
from worker.training.setting import Setting, set_up

SAME = 1e-12
_MEDIA_TYPES = {
    ".safetensors": "application/octet-stream",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".md": "text/markdown",
}


def run_trial(order: TrialOrder, sink: TrialSink) -> TrialOutcome:
    """Trains, scores and writes one trial; continues from a checkpoint in `order.scratch` if there is one.

    Sets torch's thread count and seeds its global generator: run it in a process of its own.

    Raises:
        Diverged: a loss is not finite.
        Stopped: `sink.stop_requested()`; the last checkpoint stands.
        UnknownBackbone: pretrained weights are not at hand.
        TargetInvalid, DatasetTooSmall: the samples cannot be dealt.
        ArtifactCorrupt: the pretrained weights do not fit.
    """
    torch.set_num_threads(order.threads)
    reporter = Reporter(sink, order.spec.training.epochs)
    setting = decided(set_up(order, reporter), reporter)
    _warn(setting, reporter)
    fitted = fit(setting, reporter)
    scored = score(setting, reporter)
    return TrialOutcome(
        best_epoch=fitted.best_epoch,
        stopped_by=fitted.stopped_by,
        metrics=scored.metrics,
        classes=setting.trained.classes,
        device=_device_name(setting),
        files=_write(setting, fitted, scored),
    )


def _warn(setting: Setting, reporter: Reporter) -> None:
    spec = setting.order.spec
    if setting.precision.replaced:
        reporter.warn("float16 is not for CPUs; the trial computes in float32.", precision="float32")
    if spec.network.trainable != "all" and spec.network.weights == "none":
        reporter.warn("Part of a network that was never trained is frozen.", trainable=spec.network.trainable)
    for name in ("validation", "test"):
        absent = len(setting.trained.classes) - len(set(setting.targets[setting.dealt[name]].tolist()))
        if absent:
            text = f"{absent} of {len(setting.trained.classes)} classes have no sample in the {name} split."
            reporter.warn(f"{text} Scores over classes leave them out.", split=name, absent=absent)


def _write(setting: Setting, fitted: Fitted, scored: Scored) -> list[OutputFile]:
    folder, order = setting.order.scratch, setting.order
    setting.trained.network.eval()
    save_trained(setting.trained, folder, dropout=order.spec.network.dropout, training=_effective(order.spec.training))
    if _is_beaten(order, scored):
        return [OutputFile(CONFIG_FILE, _MEDIA_TYPES[".json"], folder / CONFIG_FILE)]
    confusion = scored.metrics["test"]["confusion_matrix"]
    matrix = {"split": "test", "classes": setting.trained.classes, "matrix": confusion}
    curves = {"best_epoch": fitted.best_epoch, "epochs": [vars(record) for record in fitted.curve]}
    _write_json(folder / "split.json", paths_of(order.manifest.samples, setting.dealt))
    _write_json(folder / "curves.json", curves)
    _write_json(folder / "confusion_matrix.json", matrix)
    _write_json(folder / "calibration.json", scored.calibration)
    plots = write_plots(folder, fitted, matrix, scored.calibration)
    write_card(folder / "card.md", setting, fitted, scored.metrics)
    names = [
        "model.safetensors",
        "config.json",
        "split.json",
        "curves.json",
        "confusion_matrix.json",
        "calibration.json",
        *plots,
        "card.md",
        *([FINDER_FILE] if (folder / FINDER_FILE).is_file() else []),
    ]
    return [OutputFile(name, _MEDIA_TYPES[Path(name).suffix], folder / name) for name in names]


def _is_beaten(order: TrialOrder, scored: Scored) -> bool:
    """Whether another trial of the job is better: nobody will ask for more of this one than its scores.

    The other's value went through the database; what differs in the last digits only is the same.
    """
    if order.to_beat is None:
        return False
    metric = order.to_beat.metric
    mine: float = scored.metrics["validation"][metric.removeprefix("validation_")]
    is_same = math.isclose(mine, order.to_beat.value, rel_tol=SAME)
    return is_better(metric, order.to_beat.value, mine) and not is_same


def _effective(training: TrainingSpec) -> dict[str, object]:
    """What was trained with, where the spec may have left it open."""
    rate = settled(training.learning_rate)
    return {
        "learning_rate": rate,
        "backbone_learning_rate": training.backbone_learning_rate or rate,
        "batch_size": settled(training.batch_size),
    }


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _device_name(setting: Setting) -> str:
    if setting.device.type == "cuda":
        return torch.cuda.get_device_name(setting.device)
    threads = setting.order.threads
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"
