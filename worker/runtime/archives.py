"""A dataset's bytes on this machine: fetched from the store once per digest."""

from typing import IO

from service.specs.datasets import Manifest
from service.store import Artifact, Store
from worker.data.disk_cache import DiskCache, Entry


def fetch_archive(store: Store, artifact: Artifact, cache: DiskCache) -> Entry:
    """The archive in the cache, where it stays until the entry is closed.

    Raises:
        ArtifactCorrupt: the stored bytes do not match their digest.
        NoRoom: the disk is full.
    """

    def fetch(file: IO[bytes]) -> None:
        for piece in store.artifacts.read(artifact):
            file.write(piece)

    return cache.get(artifact.sha256, "archive.zip", artifact.size_bytes, fetch, tick=_wait)


def read_manifest(store: Store, artifact: Artifact) -> Manifest:
    """The samples of a validated dataset."""
    return Manifest.model_validate_json(store.artifacts.read_bytes(artifact))


def _wait() -> None:
    """Another thread or process fetches the archive; that does not take long enough to be asked to stop."""
