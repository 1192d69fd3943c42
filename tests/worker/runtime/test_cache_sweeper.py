"""The cache of one machine: archives fetched once, and what becomes of it when datasets are deleted."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.errors import ArtifactCorrupt
from service.store import Artifact, Lease, Store
from service.store.tables import DatasetRow
from tests.rows import add_dataset, add_job, add_project
from tests.worker.data.cache_users import KIB, put
from worker.data.disk_cache import DiskCache
from worker.runtime.advance import advance
from worker.runtime.archives import fetch_archive
from worker.runtime.cache_sweeper import CacheSweeper

BYTES = b"an archive " * 300_000


@pytest.fixture
def cache(tmp_path: Path) -> DiskCache:
    return DiskCache(tmp_path / "cache", budget_bytes=10 * KIB)


def stored(store: Store) -> Artifact:
    return store.artifacts.write(BYTES, "application/zip")


def sweeper_of(store: Store, cache: DiskCache) -> CacheSweeper:
    return CacheSweeper(store, cache, cache.folder.parent / "scratch", 60.0)


def names(cache: DiskCache) -> list[str]:
    return sorted(path.name for path in cache.folder.glob("*/*"))


def test_an_archive_is_fetched_once(sqlite_store: Store, cache: DiskCache) -> None:
    artifact = stored(sqlite_store)
    with fetch_archive(sqlite_store, artifact, cache) as first:
        assert first.path.read_bytes() == BYTES
        sqlite_store.artifacts.delete([artifact])
        with fetch_archive(sqlite_store, artifact, cache) as second:
            assert second.file.read() == BYTES
            assert second.path == first.path


def test_an_archive_in_use_is_kept_by_whoever_makes_room(sqlite_store: Store, cache: DiskCache) -> None:
    """It is larger than the budget; a child that is given its path finds it."""
    with fetch_archive(sqlite_store, stored(sqlite_store), cache) as archive:
        put(cache, "other", KIB)
        assert archive.path.read_bytes() == BYTES
    assert cache.make_room()
    assert not archive.path.exists()


def test_damaged_bytes_do_not_enter_the_cache(sqlite_store: Store, cache: DiskCache) -> None:
    artifact = stored(sqlite_store)
    wrong = Artifact(
        artifact.id, artifact.media_type, artifact.size_bytes, hashlib.sha256(b"x").hexdigest(), artifact.location
    )
    with pytest.raises(ArtifactCorrupt):
        fetch_archive(sqlite_store, wrong, cache)
    assert names(cache) == []


def test_threads_that_want_an_archive_at_once_fetch_it_once(sqlite_store: Store, cache: DiskCache) -> None:
    artifact = stored(sqlite_store)
    together = threading.Barrier(4)

    def fetch(_number: int) -> int:
        together.wait()
        with fetch_archive(sqlite_store, artifact, cache) as entry:
            assert entry.path.read_bytes() == BYTES
            return entry.path.stat().st_ino

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(fetch, range(4)))) == 1


def test_what_was_made_of_deleted_datasets_goes(store: Store, cache: DiskCache) -> None:
    project = add_project(store)
    dataset_id = add_dataset(store, project, "ready")
    with store.work() as work:
        twin = DatasetRow(
            id="ds_twin", project_id=project, labels={}, modality="image", state="ready", digest="0" * 64, size_bytes=1
        )
        work.datasets.add(twin)
    put(cache, "pixels", KIB, dataset="0" * 64)
    put(cache, "features", KIB, dataset="1" * 64)
    sweeper = sweeper_of(store, cache)
    sweeper.sweep()
    assert names(cache) == ["pixels"]

    with store.work() as work:
        work.datasets.delete(dataset_id)
    sweeper.sweep()
    assert names(cache) == ["pixels"], "the same bytes are somebody else's dataset too"

    with store.work() as work:
        work.datasets.delete("ds_twin")
    sweeper.sweep()
    assert cache.datasets() == []


def test_a_smaller_budget_holds_from_the_next_sweep_on(sqlite_store: Store, cache: DiskCache) -> None:
    add_dataset(sqlite_store, add_project(sqlite_store), "ready")
    for number in range(5):
        put(cache, f"{number}", KIB, dataset="0" * 64)
    sweeper_of(sqlite_store, DiskCache(cache.folder, budget_bytes=2 * KIB)).sweep()
    assert len(names(cache)) == 2


def test_checkpoints_of_a_paused_job_go_once_it_is_deleted(store: Store, cache: DiskCache) -> None:
    project = add_project(store)
    job_id, (trial_id,) = add_job(store, project)
    sweeper = sweeper_of(store, cache)
    folder = sweeper.scratch / "trials" / trial_id
    (folder / "checkpoint").mkdir(parents=True)
    (folder / "checkpoint" / "epoch-00001.safetensors").touch()
    with store.work() as work:
        assert work.trials.claim("tester", 30.0) is not None
        work.jobs.move(job_id, "running")
    sweeper.sweep()
    with store.work() as work:
        work.jobs.move(job_id, "pausing")
        work.trials.leases.release(Lease(trial_id, "tester", 1, 30.0))
        work.jobs.move(job_id, "paused")
    sweeper.sweep()
    assert [path.name for path in folder.glob("*/*")] == ["epoch-00001.safetensors"]
    with store.work() as work:
        work.jobs.move(job_id, "cancelling")
        advance(work, job_id)
        assert work.jobs.state_of(job_id) == "cancelled"
    sweeper.sweep()
    assert list(sweeper.scratch.glob("*/*")) == []


def test_the_first_sweep_of_an_empty_machine(sqlite_store: Store, cache: DiskCache) -> None:
    sweeper_of(sqlite_store, cache).sweep()
    assert cache.datasets() == []
