"""What an examination finds: one sentence on how it is, one on what to do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from service.queue import CeleryNudges, Nudges
from service.settings import Settings
from service.store import Store
from service.store.artifacts import ArtifactStore, make_artifact_store

Level = Literal["well", "look", "wrong"]


@dataclass(frozen=True)
class Finding:
    """`look` is worth a look and works all the same; `wrong` does not work, or is not safe."""

    part: str
    level: Level
    says: str
    remedy: str = ""


class Patient:
    """A deployment, as one process of it sees it. What is not given is made of the settings when it is looked at, and
    raises then where they are wrong.
    """

    def __init__(self, settings: Settings, store: Store | None = None, nudges: Nudges | None = None) -> None:
        self.settings = settings
        self._store, self._nudges = store, nudges

    @cached_property
    def store(self) -> Store:
        """Its rows."""
        return self._store or Store(self.settings.database_url)

    @cached_property
    def artifacts(self) -> ArtifactStore:
        """Its bytes."""
        if self._store is not None:
            return self._store.artifacts
        return make_artifact_store(self.store.engine, self.settings.artifacts_url)

    @cached_property
    def nudges(self) -> Nudges:
        """Its broker."""
        return self._nudges or CeleryNudges(self.settings)

    def close(self) -> None:
        """Closes what was made."""
        if self._store is None and "store" in vars(self):
            self.store.close()


Check = Callable[[Patient], Iterator[Finding]]
