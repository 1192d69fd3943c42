"""One contract over every artifact storage and both databases."""

import errno
import hashlib
import io
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem
from sqlalchemy import func, select, update

from service.errors import ArtifactCorrupt, UploadTimeout
from service.store import StorageAway, Store
from service.store.artifacts import ArtifactStore, make_artifact_store
from service.store.chunks import CHUNK_BYTES
from service.store.tables import ArtifactRow, ChunkRow
from tests.storages import S3_NOWHERE, use_failing_storage

CONTENT = bytes(range(256)) * (CHUNK_BYTES // 100)
Damage = Callable[[], None]


@pytest.fixture(params=["sql:", "file"])
def artifacts(request: pytest.FixtureRequest, store: Store, tmp_path: Path) -> ArtifactStore:
    url = "sql:" if request.param == "sql:" else f"file://{tmp_path / 'artifacts'}"
    return make_artifact_store(store.engine, url)


def test_what_was_written_is_read(artifacts: ArtifactStore) -> None:
    artifact = artifacts.write(io.BytesIO(CONTENT), "application/zip")
    assert (artifact.size_bytes, artifact.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    pieces = list(artifacts.read(artifact))
    assert b"".join(pieces) == CONTENT
    assert max(len(piece) for piece in pieces) <= CHUNK_BYTES


def test_nothing_is_something(artifacts: ArtifactStore) -> None:
    artifact = artifacts.write(b"", "text/plain")
    assert (artifact.size_bytes, artifacts.read_bytes(artifact)) == (0, b"")


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (0, 1),
        (5, 5),
        (CHUNK_BYTES - 3, CHUNK_BYTES + 4),
        (CHUNK_BYTES, 2 * CHUNK_BYTES),
        (len(CONTENT) - 1, len(CONTENT)),
    ],
)
def test_a_range_is_that_range(artifacts: ArtifactStore, start: int, stop: int) -> None:
    artifact = artifacts.write(io.BytesIO(CONTENT), "application/zip")
    assert b"".join(artifacts.read(artifact, start, stop)) == CONTENT[start:stop]


def test_a_failing_source_leaves_no_owner(artifacts: ArtifactStore, store: Store) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() >= CHUNK_BYTES:
                raise OSError("the client is gone")
            return super().read(size)

    with pytest.raises(OSError, match="the client is gone"):
        artifacts.write(Broken(CONTENT), "application/zip")
    with store.work() as work:
        assert work.artifacts.unowned(older_than_seconds=3600) == []
        left = work.artifacts.unowned(older_than_seconds=-60)
    artifacts.delete(left)
    with store.read() as work:
        for table in (ArtifactRow, ChunkRow):
            assert work.session.scalar(select(func.count()).select_from(table)) == 0


def test_deleted_bytes_are_gone(artifacts: ArtifactStore, store: Store, tmp_path: Path) -> None:
    artifacts.delete([artifacts.write(CONTENT, "application/zip")])
    with store.read() as work:
        assert work.session.scalar(select(func.count()).select_from(ChunkRow)) == 0
    assert [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()] == []


@pytest.fixture
def damaged(store: Store, tmp_path: Path) -> Damage:
    def flip_a_byte() -> None:
        with store.work() as work:
            for chunk in work.session.scalars(select(ChunkRow)):
                chunk.data = b"\xff" + chunk.data[1:]
        for path in (tmp_path / "artifacts").rglob("*"):
            if path.is_file():
                path.write_bytes(b"\xff" + path.read_bytes()[1:])

    return flip_a_byte


@pytest.mark.parametrize("size", [10, len(CONTENT)])
def test_damage_is_found_before_the_last_piece(artifacts: ArtifactStore, damaged: Damage, size: int) -> None:
    artifact = artifacts.write(CONTENT[:size], "application/zip")
    damaged()
    read: list[bytes] = []
    with pytest.raises(ArtifactCorrupt):
        read.extend(artifacts.read(artifact))
    assert sum(map(len, read)) < size


def test_a_name_has_one_artifact(store: Store) -> None:
    first, second = store.artifacts.write(b"one", "text/plain"), store.artifacts.write(b"two", "text/plain")
    with store.work() as work:
        work.artifacts.attach({"name": first}, "owner")
        work.artifacts.attach({"name": second}, "owner")
    with store.read() as work:
        found = work.artifacts.find("owner", "name")
        assert found is not None
        assert store.artifacts.read_bytes(found) == b"two"
        assert [artifact.id for artifact in work.artifacts.unowned(-60)] == [first.id]


def test_abandoned_bytes_are_swept_at_once(store: Store) -> None:
    artifact = store.artifacts.write(b"one", "text/plain")
    with store.work() as work:
        work.artifacts.attach({"name": artifact}, "owner")
        work.artifacts.abandon("owner")
        assert [found.id for found in work.artifacts.unowned(24 * 3600.0)] == [artifact.id]


def test_an_artifact_being_written_is_left_alone(store: Store) -> None:
    store.artifacts.write(b"one", "text/plain")
    with store.work() as work:
        assert work.artifacts.unowned(24 * 3600.0) == []
        work.session.execute(update(ArtifactRow).values(created_at=ArtifactRow.created_at - 25 * 3600.0))
        assert len(work.artifacts.unowned(24 * 3600.0)) == 1


@pytest.mark.parametrize("act", ["write", "read", "delete"])
def test_errors_of_a_storage_that_is_away_are_told_as_such(sqlite_store: Store, act: str) -> None:
    storage = use_failing_storage(sqlite_store)
    artifacts = sqlite_store.artifacts
    artifact = artifacts.write(CONTENT, "application/zip")
    assert artifacts.read_bytes(artifact) == CONTENT
    storage.failures = 1
    acts = {
        "write": lambda: artifacts.write(CONTENT, "application/zip"),
        "read": lambda: artifacts.read_bytes(artifact),
        "delete": lambda: artifacts.delete([artifact]),
    }
    with pytest.raises(StorageAway) as caught:
        acts[act]()
    assert "secret" not in str(caught.value)


def test_a_source_that_fails_is_no_storage_that_is_away(sqlite_store: Store) -> None:
    class Gone(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise UploadTimeout("the client is gone")

    use_failing_storage(sqlite_store)
    with pytest.raises(UploadTimeout):
        sqlite_store.artifacts.write(Gone(), "application/zip")


def test_shares_that_do_not_answer_are_away_and_folders_that_are_missing_are_not(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts = make_artifact_store(sqlite_store.engine, f"file://{tmp_path}/artifacts")
    for number, away in ((errno.ESTALE, True), (errno.ETIMEDOUT, True), (errno.EACCES, False), (errno.ENOSPC, False)):

        def fail(*_: object, number: int = number, **__: object) -> None:
            raise OSError(number, "as the kernel says it")

        monkeypatch.setattr(LocalFileSystem, "makedirs", fail)
        with pytest.raises(OSError, match=r"kernel|answer") as caught:
            artifacts.write(b"bytes", "text/plain")
        assert isinstance(caught.value, StorageAway) == away


def test_s3_that_is_away_is_told_soon(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs")
    for name, value in S3_NOWHERE.items():
        monkeypatch.setenv(name, value)
    artifacts = make_artifact_store(sqlite_store.engine, "s3://bucket")
    began = time.monotonic()
    with pytest.raises(StorageAway):
        artifacts.write(b"bytes", "text/plain")
    assert time.monotonic() - began < 15.0
