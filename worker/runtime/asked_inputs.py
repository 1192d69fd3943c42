"""What a prediction or an explanation is about, read for the model that answers."""

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from service.errors import BudgetExceeded, Fault, ImageError, NotFound
from service.specs.archives import read_entry
from service.specs.images import MAX_REQUEST_PIXELS, decode_image, open_image
from service.specs.tables import ColumnSchema, TableManifest
from service.store import Artifact, Store
from service.store.datasets import ARCHIVE, MANIFEST, SAMPLES
from service.store.serving import VALUES
from worker.data.disk_cache import DiskCache
from worker.data.table import Table, table_of
from worker.data.tables.recast import recast
from worker.data.tables.samples import read_chosen_samples
from worker.data.texts.samples import read_chosen_texts
from worker.explaining.tabular.truth import Truth
from worker.runtime.archives import fetch_archive

Inputs = list[dict[str, Any]]


@dataclass(frozen=True)
class Sources:
    """Where a row's inputs lie.

    Attributes:
        inputs: as the row says them: names, digests, places in a dataset.
        kept: the row's own artifacts by name.
    """

    store: Store
    cache: DiskCache
    inputs: Inputs
    kept: Mapping[str, Artifact]

    @property
    def dataset_id(self) -> str | None:
        """The dataset that all inputs are from; None where they came with the request."""
        found: str | None = self.inputs[0].get("dataset_id")
        return found

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """A file of the dataset on this machine; raises `NotFound`."""
        with fetch_archive(self.store, self.artifact(name), self.cache) as entry:
            yield entry.path

    def artifact(self, name: str) -> Artifact:
        """A file of the dataset; raises `NotFound`."""
        with self.store.read() as work:
            artifact = work.artifacts.find(self.dataset_id or "", name)
        if artifact is None:
            raise NotFound("The dataset is gone.")
        return artifact

    def sent(self) -> list[Any]:
        """The rows or texts that came with the request."""
        values: list[Any] = json.loads(self.store.artifacts.read_bytes(self.kept[VALUES]))
        return values


@dataclass(frozen=True)
class Rows:
    """Rows with the model's columns, and what is said of each input; of a dataset also their targets, if they fit."""

    table: Table
    inputs: Inputs
    truth: Truth | None = None


def read_images(sources: Sources) -> list[Image.Image]:
    """RGB, as displayed, in order.

    Raises:
        ImageError: an image is damaged.
        BudgetExceeded: they have too many pixels together.
        NotFound, ArtifactCorrupt: bytes are gone or damaged.
    """
    images: list[Image.Image] = []
    pixels = 0
    for index, data in enumerate(_image_bytes(sources)):
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


def read_rows(sources: Sources, schema: Sequence[ColumnSchema], *, wants_classes: bool) -> Rows:
    """Rows as the model takes them; the targets as labels where `wants_classes`, else as values.

    Raises:
        Invalid: a row of a dataset does not fit the model's columns.
        NotFound, ArtifactCorrupt: bytes are gone or damaged.
    """
    if sources.dataset_id is None:
        return Rows(table_of(schema, sources.sent()), sources.inputs)
    manifest = TableManifest.model_validate_json(sources.store.artifacts.read_bytes(sources.artifact(MANIFEST)))
    places = [int(given["row"]) for given in sources.inputs]
    with sources.fetched(SAMPLES) as path:
        samples = read_chosen_samples(path, manifest, places, {column.name for column in schema})
        table = recast(samples, schema)
    truth = samples.classes if wants_classes else samples.values
    return Rows(table, _with_digests(sources.inputs, samples.digests), truth)


def read_asked_texts(sources: Sources) -> tuple[list[str], Inputs]:
    """Texts in order, with what is said of each.

    Raises:
        NotFound, ArtifactCorrupt: bytes are gone or damaged.
    """
    if sources.dataset_id is None:
        return sources.sent(), sources.inputs
    with sources.fetched(SAMPLES) as path:
        texts, digests = read_chosen_texts(path, [int(given["row"]) for given in sources.inputs])
    return texts, _with_digests(sources.inputs, digests)


def _image_bytes(sources: Sources) -> Iterator[bytes]:
    with ExitStack() as opened:
        archive: zipfile.ZipFile | None = None
        for index, given in enumerate(sources.inputs):
            if given.get("dataset_id") is None:
                yield sources.store.artifacts.read_bytes(sources.kept[f"inputs/{index}"])
                continue
            if archive is None:
                path = opened.enter_context(sources.fetched(ARCHIVE))
                archive = opened.enter_context(zipfile.ZipFile(path))
            yield read_entry(archive, given["name"])


def _with_digests(inputs: Inputs, digests: Sequence[str]) -> Inputs:
    return [{**given, "sha256": digest} for given, digest in zip(inputs, digests, strict=True)]
