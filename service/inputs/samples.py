"""Samples of a dataset as inputs."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from service.errors import Conflict, Fault, Invalid, UnknownReference
from service.inputs.kept import Kept, input_row
from service.specs.archive_paths import show_path
from service.specs.datasets import Manifest, Modality
from service.specs.explanations import DatasetInputs
from service.specs.tables import TableManifest
from service.specs.texts import TextManifest
from service.store import Artifact, Store
from service.store.datasets import MANIFEST
from service.store.tables import ModelRow

SPLIT_ARTIFACT = "split.json"


@dataclass(frozen=True)
class _Found:
    """A dataset's listing, and the split that the model's own trial dealt of it."""

    listing: Artifact
    dealt: Artifact | None


def choose_samples(store: Store, model: ModelRow, modality: Modality, choice: DatasetInputs) -> Kept:
    """The first samples of a dataset, or of one split of it.

    Raises:
        UnknownReference, Conflict: the dataset is unknown, or not ready.
        Invalid: it is of another modality, lacks columns of the model, or has no such split.
    """
    found = _find(store, model, modality, choice)
    wanted = None
    if choice.split is not None:
        if found.dealt is None:
            reason = "the model's job dealt no split of this dataset, or was deleted"
            fault = Fault(("body", "split"), "other-dataset", reason)
            raise Invalid("The split is unknown.", errors=[fault])
        wanted = json.loads(store.artifacts.read_bytes(found.dealt))[choice.split]
    listing = store.artifacts.read_bytes(found.listing)
    return Kept(_chosen(listing, model, modality, wanted, choice), dataset_id=choice.dataset_id)


def unknown_dataset() -> UnknownReference:
    """For a dataset that is not there, or not there any more."""
    fault = Fault(("body", "dataset_id"), "unknown-reference", "no such dataset")
    return UnknownReference("The dataset is unknown.", errors=[fault])


def _find(store: Store, model: ModelRow, modality: Modality, choice: DatasetInputs) -> _Found:
    with store.read() as work:
        dataset = work.datasets.find(model.project_id, choice.dataset_id)
        if dataset is None:
            raise unknown_dataset()
        listing = work.artifacts.find(dataset.id, MANIFEST)
        if dataset.state != "ready" or listing is None:
            raise Conflict(f"The dataset is `{dataset.state}`; it can be used once it is `ready`.")
        if dataset.modality != modality:
            fault = Fault(("body", "dataset_id"), "other-modality", f"the model takes samples of modality {modality}")
            raise Invalid("The dataset is of another modality than the model.", errors=[fault])
        job = work.jobs.find(model.project_id, model.job_id)
        is_own = job is not None and job.dataset_digest == dataset.digest
        return _Found(listing, work.artifacts.find(model.id, SPLIT_ARTIFACT) if is_own else None)


def _chosen(
    listing: bytes, model: ModelRow, modality: Modality, wanted: list[Any] | None, choice: DatasetInputs
) -> list[dict[str, Any]]:
    if modality == "image":
        return _images(Manifest.model_validate_json(listing), wanted, choice)
    if modality == "text":
        return _rows("text", range(TextManifest.model_validate_json(listing).samples), wanted, choice)
    manifest = TableManifest.model_validate_json(listing)
    _check_columns(manifest, model.input)
    return _rows("row", range(manifest.rows), wanted, choice)


def _images(manifest: Manifest, wanted: list[str] | None, choice: DatasetInputs) -> list[dict[str, Any]]:
    chosen = manifest.samples
    if wanted is not None:
        paths = set(wanted)
        chosen = [sample for sample in chosen if sample.path in paths]
    return [input_row(one.path, one.sha256, dataset_id=choice.dataset_id) for one in chosen[: choice.limit]]


def _rows(noun: str, all_rows: range, wanted: list[int] | None, choice: DatasetInputs) -> list[dict[str, Any]]:
    chosen: Iterable[int] = all_rows[: choice.limit] if wanted is None else sorted(wanted)[: choice.limit]
    return [input_row(f"{noun} {row}", None, dataset_id=choice.dataset_id, row=row) for row in chosen]


def _check_columns(manifest: TableManifest, described: dict[str, Any]) -> None:
    known = {column.name for column in manifest.columns} | set(manifest.ignored)
    lacking = [column["name"] for column in described["columns"] if column["name"] not in known]
    if lacking:
        shown = ", ".join(map(show_path, lacking[:10]))
        fault = Fault(("body", "dataset_id"), "other-columns", f"the dataset lacks columns of the model: {shown}")
        raise Invalid("The dataset does not have the model's columns.", errors=[fault])
