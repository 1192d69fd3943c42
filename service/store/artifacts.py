"""Bytes with a digest: as 1 MiB chunk rows in the same database, or as files behind any fsspec URL.

Writing is many short transactions, so that a large upload never holds the database; the artifact counts only
once a unit of work gives it an owner. What never gets one is swept.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from sqlalchemy import Engine, Select, delete, insert, select, update
from sqlalchemy.orm import Session

from service.errors import ArtifactCorrupt
from service.specs.base import new_id
from service.store.chunks import CHUNK_BYTES, ChunkStorage, make_chunk_storage
from service.store.engine import seconds_ago
from service.store.tables import ArtifactRow, ChunkRow, TrialRow

DELETED_AT_ONCE = 256


@dataclass(frozen=True)
class Artifact:
    """Stored bytes: where they are and what they must hash to.

    `held` are bytes that are yet to be stored, in the transaction that gives them an owner.
    """

    id: str
    media_type: str
    size_bytes: int
    sha256: str
    location: str
    name: str | None = None
    held: bytes | None = None


class ArtifactStore:
    """Writes and reads whole artifacts; digests are taken on writing and checked on reading."""

    def __init__(self, engine: Engine, storage: ChunkStorage) -> None:
        self._engine = engine
        self._storage = storage

    def write(self, source: IO[bytes] | bytes, media_type: str) -> Artifact:
        """Stores all of `source`. The artifact has no owner yet: `ArtifactIndex.attach` gives it one."""
        artifact_id = new_id("art")
        location = f"{self._storage.scheme}:{artifact_id}"
        with self._engine.begin() as connection:
            values = {"id": artifact_id, "media_type": media_type, "location": location, "owner_id": None}
            connection.execute(insert(ArtifactRow).values(**values))
        digest, size = hashlib.sha256(), 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for data in _pieces(source):
                digest.update(data)
                size += len(data)
                yield data

        self._storage.write(location, counted())
        written = {"size_bytes": size, "sha256": digest.hexdigest()}
        with self._engine.begin() as connection:
            connection.execute(update(ArtifactRow).where(ArtifactRow.id == artifact_id).values(**written))
        return Artifact(artifact_id, media_type, size, digest.hexdigest(), location)

    def hold(self, data: bytes, media_type: str) -> Artifact:
        """For small bytes: stored with their owner in one transaction where the storage can, else at once."""
        if not self._storage.transactional:
            return self.write(data, media_type)
        artifact_id = new_id("art")
        location = f"{self._storage.scheme}:{artifact_id}"
        digest = hashlib.sha256(data).hexdigest()
        return Artifact(artifact_id, media_type, len(data), digest, location, held=data)

    def read(self, artifact: Artifact, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` to `stop`.

        Raises:
            ArtifactCorrupt: bytes are missing, or a read of the whole does not match the digest (raised before
                the last piece is yielded, so that no reader takes a wrong whole for complete).
        """
        stop = artifact.size_bytes if stop is None else stop
        if (start, stop) != (0, artifact.size_bytes):
            yield from self._storage.read(artifact.location, start, stop)
            return
        digest, last = hashlib.sha256(), b""
        for data in self._storage.read(artifact.location, 0, stop):
            if last:
                yield last
            digest.update(data)
            last = data
        if digest.hexdigest() != artifact.sha256:
            raise ArtifactCorrupt("The artifact's bytes do not match its digest.")
        yield last

    def read_bytes(self, artifact: Artifact) -> bytes:
        """The whole in memory; for small artifacts."""
        return b"".join(self.read(artifact))

    def delete(self, artifacts: Iterable[Artifact]) -> None:
        """Removes bytes and rows, some at a time."""
        gone = list(artifacts)
        for start in range(0, len(gone), DELETED_AT_ONCE):
            some = gone[start : start + DELETED_AT_ONCE]
            self._storage.delete([artifact.location for artifact in some])
            with self._engine.begin() as connection:
                connection.execute(delete(ArtifactRow).where(ArtifactRow.id.in_([artifact.id for artifact in some])))


class ArtifactIndex:
    """Who owns which artifact; part of a unit of work."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def attach(self, artifacts: Mapping[str, Artifact], owner_id: str) -> None:
        """Gives the bytes an owner, by name, replacing the owner's artifacts of the same names."""
        self._session.execute(
            update(ArtifactRow)
            .where(ArtifactRow.owner_id == owner_id, ArtifactRow.name.in_(artifacts))
            .values(owner_id=None, name=None)
        )
        held = {name: artifact for name, artifact in artifacts.items() if artifact.held is not None}
        if held:
            self._store_held(held, owner_id)
        for name in artifacts.keys() - held.keys():
            values = {"owner_id": owner_id, "name": name}
            self._session.execute(update(ArtifactRow).where(ArtifactRow.id == artifacts[name].id).values(**values))

    def _store_held(self, held: Mapping[str, Artifact], owner_id: str) -> None:
        described = ("id", "media_type", "size_bytes", "sha256", "location")
        rows = [
            {field: getattr(artifact, field) for field in described} | {"owner_id": owner_id, "name": name}
            for name, artifact in held.items()
        ]
        pieces = [
            {"artifact_id": artifact.id, "number": number, "data": piece}
            for artifact in held.values()
            for number, piece in enumerate(_pieces(artifact.held or b""))
        ]
        self._session.execute(insert(ArtifactRow), rows)
        if pieces:
            self._session.execute(insert(ChunkRow), pieces)

    def move(self, from_owner: str, to_owner: str) -> None:
        """Publishes: all artifacts of one owner become another's."""
        self._session.execute(update(ArtifactRow).where(ArtifactRow.owner_id == from_owner).values(owner_id=to_owner))

    def abandon(self, owner_id: str) -> None:
        """Leaves an owner's artifacts to the sweeper."""
        self.abandon_all([owner_id])

    def abandon_trials(self, job_ids: Sequence[str], *, but: str | None = None) -> None:
        """Leaves what the trials of jobs own to the sweeper, `but` one trial's."""
        self.abandon_all(select(TrialRow.id).where(TrialRow.job_id.in_(job_ids), TrialRow.id != (but or "")))

    def abandon_all(self, owners: Sequence[str] | Select[str]) -> None:
        """As `abandon`, of many, in one statement."""
        self._session.execute(
            update(ArtifactRow)
            .where(ArtifactRow.owner_id.in_(owners))
            .values(owner_id=None, name=None, created_at=0.0)
            .execution_options(synchronize_session=False)
        )

    def find(self, owner_id: str, name: str) -> Artifact | None:
        """One artifact of an owner."""
        query = select(ArtifactRow).where(ArtifactRow.owner_id == owner_id, ArtifactRow.name == name)
        row = self._session.scalars(query).one_or_none()
        return _artifact(row) if row else None

    def of(self, owner_id: str) -> list[Artifact]:
        """All artifacts of an owner, by name."""
        return self.of_all([owner_id]).get(owner_id, [])

    def of_all(self, owner_ids: Sequence[str]) -> dict[str, list[Artifact]]:
        """By owner, all artifacts by name: one query for a page of owners."""
        query = select(ArtifactRow).where(ArtifactRow.owner_id.in_(owner_ids)).order_by(ArtifactRow.name)
        found: dict[str, list[Artifact]] = {}
        for row in self._session.scalars(query):
            found.setdefault(str(row.owner_id), []).append(_artifact(row))
        return found

    def unowned(self, older_than_seconds: float, *, limit: int | None = None) -> list[Artifact]:
        """What nobody owns and nobody can still be writing, abandoned bytes first."""
        old = ArtifactRow.created_at < seconds_ago(older_than_seconds)
        query = select(ArtifactRow).where(ArtifactRow.owner_id.is_(None), old)
        query = query.order_by(ArtifactRow.created_at).limit(limit)
        return [_artifact(row) for row in self._session.scalars(query)]


def make_artifact_store(engine: Engine, url: str) -> ArtifactStore:
    """The store for `sql:` or an fsspec URL."""
    return ArtifactStore(engine, make_chunk_storage(engine, url))


def _artifact(row: ArtifactRow) -> Artifact:
    return Artifact(row.id, row.media_type, row.size_bytes, row.sha256, row.location, row.name)


def _pieces(source: IO[bytes] | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        for start in range(0, len(source), CHUNK_BYTES):
            yield source[start : start + CHUNK_BYTES]
        return
    while data := source.read(CHUNK_BYTES):
        yield data
