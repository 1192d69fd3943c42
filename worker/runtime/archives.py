"""A dataset's bytes on this machine: fetched from the store once per digest."""

from typing import IO

from service.specs.datasets import Manifest, Modality
from service.specs.tables import TableManifest
from service.specs.texts import TextManifest
from service.store import Artifact, Store, UnitOfWork
from service.store.datasets import ARCHIVE, SAMPLES
from worker.data.disk_cache import DiskCache, Entry

MANIFESTS: dict[Modality, type[Manifest | TableManifest | TextManifest]] = {
    "image": Manifest,
    "text": TextManifest,
    "tabular": TableManifest,
}


def fetch_archive(store: Store, artifact: Artifact, cache: DiskCache) -> Entry:
    """An upload's archive or its `samples.parquet` in the cache, where it stays until the entry is closed.

    Raises:
        ArtifactCorrupt: the stored bytes do not match their digest.
        NoRoom: the disk is full.
    """

    def fetch(file: IO[bytes]) -> None:
        for piece in store.artifacts.read(artifact):
            file.write(piece)

    return cache.get(artifact.sha256, artifact.name or ARCHIVE, artifact.size_bytes, fetch, tick=_wait)


def find_contents(work: UnitOfWork, modality: Modality, dataset_id: str) -> Artifact | None:
    """What a validated dataset is trained from: the zip of images, `samples.parquet` of tables and texts."""
    return work.artifacts.find(dataset_id, ARCHIVE if modality == "image" else SAMPLES)


def read_manifest(store: Store, modality: Modality, artifact: Artifact) -> Manifest | TableManifest | TextManifest:
    """The samples or columns of a validated dataset."""
    return MANIFESTS[modality].model_validate_json(store.artifacts.read_bytes(artifact))


def _wait() -> None:
    """Another thread or process fetches the archive; that does not take long enough to be asked to stop."""
