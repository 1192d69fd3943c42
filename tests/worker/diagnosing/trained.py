"""Real trials of small networks on pictures made for one phenomenon, and their courses."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from service.errors import Diverged
from service.specs.jobs import JobSpec
from tests.worker.training.orders import UNBEATABLE, RecordingSink, png, spec, write_archive
from worker.backbones.sources import WeightSources
from worker.data.disk_cache import DiskCache
from worker.diagnosing.course import Course, Epoch, Scores
from worker.training.order import TrialOrder, TrialOutcome
from worker.training.trial import run_trial

CLASSES = ("blue", "green", "red")
Picture = Callable[[np.random.Generator, int], np.ndarray[Any, Any]]


def tinted(strength: int, side: int = 32) -> Picture:
    """Noise with a tint in one channel: the class is in the mean colour, everything else is there to be memorised."""

    def picture(generator: np.random.Generator, label: int) -> np.ndarray[Any, Any]:
        pixels = generator.integers(0, 200, (side, side, 3))
        pixels[..., label] += strength
        return pixels.astype(np.uint8)

    return picture


def marked(generator: np.random.Generator, label: int) -> np.ndarray[Any, Any]:
    """Noise that says nothing, with a patch in a corner that gives the class away: a planted leak."""
    pixels = generator.integers(0, 256, (32, 32, 3))
    pixels[2:10, 2:10] = 0
    pixels[2:10, 2:10, label] = 255
    return pixels.astype(np.uint8)


def dataset(path: Path, picture: Picture, *, samples: int, wrong: float = 0.0, seed: int = 0) -> Any:
    """An archive of `samples` pictures in three classes, of which the share `wrong` is labelled at random."""
    generator = np.random.default_rng(seed)
    files = {}
    for number in range(samples):
        shown = number % len(CLASSES)
        said = int(generator.integers(len(CLASSES))) if generator.random() < wrong else shown
        files[f"{CLASSES[said]}/{number}.png"] = png(picture(generator, shown))
    return write_archive(path, files)


def request(**changes: Any) -> JobSpec:
    """A resolved spec without any regularisation."""
    backbone = {"name": "simple_nn", "dropout": 0.0} | changes.pop("backbone", {})
    training = {"epochs": 30, "batch_size": 16, "weight_decay": 0.0} | changes.pop("training", {})
    return spec(backbone=backbone, training=training, split={"validation": 0.3, "test": 0.15}, **changes)


def train(folder: Path, job: JobSpec, picture: Picture, **data: Any) -> Course:
    """The course of one trial; a diverged one has no scores."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / "archive.zip"
    manifest = dataset(archive, picture, **data)
    (folder / "scratch").mkdir(exist_ok=True)
    order = TrialOrder(
        spec=job,
        archive=archive,
        manifest=manifest,
        dataset_digest=hashlib.sha256(archive.read_bytes()).hexdigest(),
        scratch=folder / "scratch",
        cache=DiskCache(folder / "cache", budget_bytes=10**9),
        sources=WeightSources(),
        to_beat=UNBEATABLE,
    )
    sink = RecordingSink()
    try:
        outcome: TrialOutcome | None = run_trial(order, sink)
    except Diverged:
        outcome = None
    metrics: dict[str, Any] = outcome.metrics if outcome else {}
    return Course(
        spec=job,
        job_spec=job,
        epochs=tuple(Epoch.of(asdict(record)) for record in sink.epochs),
        classes=len(CLASSES),
        **{name: Scores.of(metrics.get(name)) for name in ("train", "validation", "test", "baseline")},
        best_epoch=outcome.best_epoch if outcome else None,
        stopped_by=outcome.stopped_by if outcome else None,
        problem=None if outcome else "diverged",
    )
