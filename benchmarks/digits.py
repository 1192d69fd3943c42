"""What the benchmarks train on: scikit-learn's 1,797 handwritten digits as a dataset archive."""

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from service.specs.datasets import ImageSample, Manifest
from service.specs.jobs import JobSpec
from service.specs.resolving import DatasetFacts, resolve
from worker.backbones.sources import WeightSources
from worker.data.disk_cache import DiskCache
from worker.training.order import EpochRecord, TrialOrder


class QuietSink:
    """Hears everything, says nothing."""

    def epoch(self, record: EpochRecord) -> None: ...

    def progress(self, epoch: int, fraction: float) -> None: ...

    def event(self, type: str, message: str, data: dict[str, object]) -> None: ...

    def stop_requested(self) -> bool:
        return False


def digits_order(folder: Path, *, threads: int, scratch: str = "scratch", **spec: Any) -> TrialOrder:
    """A trial on the digits, drawn 32 x 32, with everything it writes below `folder`."""
    archive = folder / "digits.zip"
    samples: list[ImageSample] = []
    digits = load_digits()
    pixels = (digits.images / 16 * 255).astype(np.uint8).repeat(4, 1).repeat(4, 2)
    with zipfile.ZipFile(archive, "w") as file:
        for number, (image, target) in enumerate(zip(pixels, digits.target, strict=True)):
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "PNG")
            path = f"{target}/{number:05d}.png"
            file.writestr(path, buffer.getvalue())
            digest = hashlib.sha256(buffer.getvalue()).hexdigest()
            samples.append(ImageSample(path=path, label=str(target), sha256=digest))
    (folder / scratch).mkdir(exist_ok=True)
    job = resolve(JobSpec(dataset_id="ds_digits", **spec), DatasetFacts(median_side=32))
    return TrialOrder(
        spec=job,
        archive=archive,
        manifest=Manifest(classes=[str(digit) for digit in range(10)], samples=samples),
        dataset_digest="digits",
        scratch=folder / scratch,
        cache=DiskCache(folder / "cache", budget_bytes=10**10),
        sources=WeightSources(),
        threads=threads,
    )
