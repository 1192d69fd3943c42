"""A dataset's bytes on this machine: fetched from the store once per digest."""

import os
from pathlib import Path

from service.specs.datasets import Manifest
from service.store import Artifact, Store


def fetch_archive(store: Store, artifact: Artifact, cache: Path) -> Path:
    """The archive's path in the cache; written under a temporary name, checked, then renamed.

    Raises:
        ArtifactCorrupt: the stored bytes do not match their digest.
    """
    path = cache / "archives" / f"{artifact.sha256}.zip"
    if path.exists() and path.stat().st_size == artifact.size_bytes:
        path.touch()
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.{os.urandom(4).hex()}.part")
    try:
        with temporary.open("wb") as file:
            for piece in store.artifacts.read(artifact):
                file.write(piece)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def read_manifest(store: Store, artifact: Artifact) -> Manifest:
    """The samples of a validated dataset."""
    return Manifest.model_validate_json(store.artifacts.read_bytes(artifact))
