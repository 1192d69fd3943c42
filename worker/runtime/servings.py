"""One claimed prediction or explanation, computed in the worker's own process."""

import logging
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from PIL import Image
from sqlalchemy.exc import SQLAlchemyError

from service.errors import (
    ArtifactCorrupt,
    BudgetExceeded,
    Fault,
    ImageError,
    LeaseLost,
    NotFound,
    ResourceExhausted,
    ServiceError,
    Stopped,
)
from service.specs.archives import read_entry
from service.specs.explanations import ExplanationSpec
from service.specs.images import MAX_REQUEST_PIXELS, decode_image, open_image
from service.store import Artifact, Lease, UnitOfWork
from service.store.datasets import ARCHIVE
from service.store.serving import Servings
from service.store.tables import ExplanationRow, PredictionRow
from worker.data.disk_cache import Entry
from worker.explaining.explainer import Explanation, explain_images
from worker.explaining.rendering import heatmap_png, overlay_png
from worker.explaining.serving import predict_probabilities
from worker.runtime.archives import fetch_archive
from worker.runtime.context import Runtime
from worker.runtime.lease_keeper import LeaseKeeper
from worker.runtime.model_cache import ModelCache

log = logging.getLogger(__name__)
Row = PredictionRow | ExplanationRow
Pictures = dict[str, bytes]
PNG = "image/png"
DRAWERS = 2


@dataclass
class Serving:
    """Answers rows of one table; `noun` is the unit of work's name for it."""

    runtime: Runtime
    models: ModelCache
    noun: str
    compute: Callable[["Serving", Row, list[Image.Image], Callable[[int, int], None]], tuple[dict[str, Any], Pictures]]
    drawers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(DRAWERS, "drawer"))

    def claim(self) -> Lease | None:
        """The next row for this worker."""
        with self.runtime.store.work(quick=True) as work:
            return self._rows(work).leases.claim(self.runtime.worker_id, self.runtime.settings.lease_seconds)

    def run(self, lease: Lease) -> None:
        """Ends with the row succeeded, failed, or back in the queue."""
        started = time.perf_counter()
        try:
            with LeaseKeeper(lambda: self._renew(lease), self.runtime.settings.heartbeat_seconds) as keeper:
                result, pictures = self._answer(lease, keeper)
                stored = {name: self.runtime.store.artifacts.hold(png, PNG) for name, png in pictures.items()}
            self._finish(lease, "succeeded", stored, result=result, compute_seconds=_since(started))
        except LeaseLost:
            log.info("%s %s is gone, or somebody else's now", self.noun, lease.row_id)
        except Stopped:
            self._put_back(lease)
        except ServiceError as error:
            self._fail(lease, error, started)
        except SQLAlchemyError:
            raise  # the lease runs out and the row is taken again
        except Exception as error:
            log.exception("%s %s", self.noun, lease.row_id)
            self._fail(lease, _safe(error), started)

    def _answer(self, lease: Lease, keeper: LeaseKeeper) -> tuple[dict[str, Any], Pictures]:
        with self.runtime.store.read() as work:
            row = self._rows(work).get(lease.row_id)
            inputs = {artifact.name: artifact for artifact in work.artifacts.of(row.id)}
        images = self._images(row, inputs)

        def progress(_done: int, _total: int) -> None:
            if keeper.lost.is_set():
                raise LeaseLost("The row was deleted or taken.")
            if self.runtime.draining.is_set():
                raise Stopped("The worker is ending.")

        return self.compute(self, row, images, progress)

    def _images(self, row: Row, inputs: dict[str | None, Artifact]) -> list[Image.Image]:
        store = self.runtime.store
        images: list[Image.Image] = []
        pixels = 0
        with ExitStack() as opened_files:
            opened: dict[str, zipfile.ZipFile] = {}
            for index, given in enumerate(row.inputs):
                dataset_id = given.get("dataset_id")
                if dataset_id is None:
                    data = store.artifacts.read_bytes(inputs[f"inputs/{index}"])
                else:
                    if dataset_id not in opened:
                        file = opened_files.enter_context(self._archive(dataset_id)).file
                        opened[dataset_id] = opened_files.enter_context(zipfile.ZipFile(file))
                    data = read_entry(opened[dataset_id], given["name"])
                try:
                    width, height = open_image(data).size
                    pixels += width * height
                    if pixels > MAX_REQUEST_PIXELS:
                        raise BudgetExceeded(f"The inputs have more than {MAX_REQUEST_PIXELS} pixels together.")
                    images.append(decode_image(data))
                except ImageError as error:
                    fault = Fault(("body", "file", index), error.slug, error.detail)
                    raise type(error)(error.detail, errors=[fault]) from error
        return images

    def _archive(self, dataset_id: str) -> Entry:
        with self.runtime.store.read() as work:
            artifact = work.artifacts.find(dataset_id, ARCHIVE)
        if artifact is None:
            raise NotFound("The dataset is gone.")
        return fetch_archive(self.runtime.store, artifact, self.runtime.cache)

    def _renew(self, lease: Lease) -> None:
        with self.runtime.store.work(quick=True) as work:
            self._rows(work).leases.renew(lease)

    def _finish(self, lease: Lease, state: str, stored: dict[str, Artifact], **values: Any) -> None:
        with self.runtime.store.work(quick=True) as work:
            work.artifacts.attach(stored, lease.row_id)
            self._rows(work).leases.finish(lease, state, **values)

    def _fail(self, lease: Lease, error: ServiceError, started: float) -> None:
        try:
            self._finish(lease, "failed", {}, problem=error.to_problem(), compute_seconds=_since(started))
        except LeaseLost:
            log.info("%s %s is gone, or somebody else's now", self.noun, lease.row_id)

    def _put_back(self, lease: Lease) -> None:
        try:
            with self.runtime.store.work(quick=True) as work:
                self._rows(work).leases.release(lease)
        except LeaseLost:
            log.info("%s %s is gone, or somebody else's now", self.noun, lease.row_id)

    def _rows(self, work: UnitOfWork) -> Servings[Any]:
        rows: Servings[Any] = getattr(work, self.noun)
        return rows


def compute_prediction(
    serving: Serving, row: Row, images: list[Image.Image], progress: Callable[[int, int], None]
) -> tuple[dict[str, Any], Pictures]:
    """Labels, probabilities and logits, in the order of the inputs."""
    progress(0, len(images))
    network, digest = serving.models.get(row.model_id)
    answers = predict_probabilities(network, images)
    items = [
        {"index": index, "name": given["name"], **answer}
        for index, (given, answer) in enumerate(zip(row.inputs, answers, strict=True))
    ]
    return {"items": items, "model_digest": digest}, {}


def compute_explanation(
    serving: Serving, row: Row, images: list[Image.Image], progress: Callable[[int, int], None]
) -> tuple[dict[str, Any], Pictures]:
    """Attributions with their pictures, named `items/<index>/<target>/<picture>.png`."""
    network, digest = serving.models.get(row.model_id)
    spec = ExplanationSpec.model_validate(row.spec)
    explanation = explain_images(network, images, spec, progress=progress)
    drawings: dict[str, Callable[[], bytes]] = {}
    for index, (image, item) in enumerate(zip(images, explanation.items, strict=True)):
        for position, target in enumerate(item.targets):
            place, values = f"items/{index}/{position}", target.attributions
            drawings[f"{place}/heatmap.png"] = partial(heatmap_png, values, size=image.size)
            drawings[f"{place}/overlay.png"] = partial(overlay_png, image, values)
    pictures = dict(zip(drawings, serving.drawers.map(lambda draw: draw(), drawings.values()), strict=True))
    return {**_to_json(explanation, row.inputs), "model_digest": digest}, pictures


def _to_json(explanation: Explanation, inputs: list[dict[str, Any]]) -> dict[str, Any]:
    items = []
    for index, (given, item) in enumerate(zip(inputs, explanation.items, strict=True)):
        targets = []
        for target in item.targets:
            height, width = target.attributions.shape
            values = {"height": height, "width": width, "values": target.attributions.tolist()}
            targets.append({**vars(target), "attributions": values})
        named = {key: given[key] for key in ("name", "sha256", "truncated")}
        items.append(
            {
                "index": index,
                "input": named,
                "prediction": item.prediction,
                "targets": targets,
                "quality": item.quality,
            }
        )
    shown = ("explainer", "fallback", "parameters", "baseline", "evaluations", "warnings")
    return {**{name: getattr(explanation, name) for name in shown}, "items": items}


def _safe(error: Exception) -> ServiceError:
    if "out of memory" in str(error).lower() or isinstance(error, MemoryError):
        return ResourceExhausted("The memory does not suffice for this request.")
    return ArtifactCorrupt(f"The work failed with {type(error).__name__}; the worker's log has the reason.")


def _since(started: float) -> float:
    return round(time.perf_counter() - started, 4)
