"""What is kept of a request's inputs until a worker answers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from service.errors import ServiceError
from service.store import Artifact, Store


@dataclass(frozen=True)
class Kept:
    """What the row says of its inputs, in order, and the artifacts to attach to it; or the dataset of its samples."""

    rows: list[dict[str, Any]]
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    dataset_id: str | None = None


@contextmanager
def dropped_on_refusal(store: Store, kept: Kept) -> Iterator[None]:
    """Removes what was kept where the block refuses the request after all."""
    try:
        yield
    except ServiceError:
        store.artifacts.delete(kept.artifacts.values())
        raise


def input_row(name: str, sha256: str | None, **place: Any) -> dict[str, Any]:
    """One input as its row says it; `place` is where it lies in a dataset. A worker fills in what is null."""
    return {"name": name, "sha256": sha256, "truncated": False, **place}
