"""Small image datasets and trial orders."""

import hashlib
import io
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from service.specs.datasets import ImageSample, Manifest, Split
from service.specs.jobs import JobSpec
from service.specs.resolving import DatasetFacts, resolve
from worker.backbones.sources import WeightSources
from worker.data.disk_cache import DiskCache
from worker.training.order import EpochRecord, ToBeat, TrialOrder, TrialOutcome
from worker.training.trial import run_trial

CLASSES = ("blue", "green", "red")
UNBEATABLE = ToBeat("validation_loss", 0.0)
"""Whoever is beaten is scored, and writes nothing."""


def png(pixels: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def tinted(label: str, number: int, *, strength: int = 24, side: int = 36) -> bytes:
    """Noise with a tint in one channel: learnable, but not at once."""
    generator = np.random.default_rng([CLASSES.index(label), number])
    pixels = generator.integers(0, 200, (side, side + 4, 3))
    pixels[..., 2 - CLASSES.index(label)] += strength
    return png(pixels.astype(np.uint8))


def write_archive(path: Path, files: dict[str, bytes]) -> Manifest:
    """A dataset zip of `[split/]class/file` and its manifest."""
    samples: list[ImageSample] = []
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # the same bytes at any time
            *folder, label, _ = name.split("/")
            split: Split | None = folder[0] if folder else None  # type: ignore[assignment]
            digest = hashlib.sha256(content).hexdigest()
            samples.append(ImageSample(path=name, label=label, split=split, sha256=digest))
    return Manifest(classes=sorted({sample.label for sample in samples}), samples=samples)


def tinted_archive(path: Path, *, per_class: int = 16, strength: int = 24) -> Manifest:
    files = {
        f"{label}/{number}.png": tinted(label, number, strength=strength)
        for label in CLASSES
        for number in range(per_class)
    }
    return write_archive(path, files)


def spec(**changes: dict[str, Any] | Any) -> JobSpec:
    """A resolved spec of a small network on 32 pixels."""
    request: dict[str, Any] = {
        "dataset_id": "ds_x",
        "backbone": {"name": "small_cnn"} | changes.pop("backbone", {}),
        "augmentation": changes.pop("augmentation", {"policy": "none"}),
        "training": {"epochs": 3, "batch_size": 8, "image_size": 32} | changes.pop("training", {}),
        **changes,
    }
    return resolve(JobSpec(**request), DatasetFacts(median_side=32))


def order(folder: Path, job: JobSpec, *, per_class: int = 16, scratch: str = "scratch", **more: Any) -> TrialOrder:
    """An order on a tinted dataset in `folder`; the cache is shared by all orders of that folder.

    The trial writes all that a winner has; its pictures, which take most of a small trial's time, only if it `draws`.
    """
    archive = folder / f"tinted-{per_class}.zip"
    manifest = tinted_archive(archive, per_class=per_class, strength=more.pop("strength", 24))
    (folder / scratch).mkdir(exist_ok=True)
    return TrialOrder(
        spec=job,
        archive=archive,
        manifest=manifest,
        dataset_digest=hashlib.sha256(archive.read_bytes()).hexdigest(),
        scratch=folder / scratch,
        cache=more.pop("cache", DiskCache(folder / "cache", budget_bytes=10**9)),
        sources=more.pop("sources", WeightSources()),
        draws=more.pop("draws", False),
        **more,
    )


@dataclass
class RecordingSink:
    """Remembers everything; asks to stop once `stop_after` epochs are done."""

    stop_after: int | None = None
    epochs: list[EpochRecord] = field(default_factory=list)
    fractions: list[float] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)

    def epoch(self, record: EpochRecord) -> None:
        self.epochs.append(record)

    def progress(self, epoch: int, fraction: float) -> None:
        self.fractions.append(fraction)

    def event(self, type: str, message: str, data: dict[str, object]) -> None:
        self.events.append((type, message))

    def stop_requested(self) -> bool:
        return self.stop_after is not None and len(self.epochs) >= self.stop_after


EVERYTHING: dict[str, Any] = {
    "training": {
        "epochs": 5,
        "ema_decay": 0.9,
        "label_smoothing": 0.1,
        "schedule": "plateau",
        "class_weights": "balanced",
    },
    "augmentation": {"horizontal_flip": 0.5, "rotation_degrees": 5.0, "mixup_alpha": 0.2},
    "backbone": {"dropout": 0.3},
}


def run(made: TrialOrder, **sink: Any) -> tuple[TrialOutcome, RecordingSink]:
    recording = RecordingSink(**sink)
    return run_trial(made, recording), recording


def without_seconds(sink: RecordingSink) -> list[Any]:
    return [replace(record, seconds=0.0) for record in sink.epochs]


def scored(outcome: TrialOutcome, split: str, score: str = "accuracy") -> float:
    value: float = outcome.metrics[split][score]  # type: ignore[index]
    return value
