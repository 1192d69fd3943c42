import os
import resource
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import Stopped
from tests.worker.data.cache_users import (
    KIB,
    content,
    evict_until,
    hold,
    make_slowly,
    no_tick,
    put,
    spawn,
    use_many,
    wait_for,
    writer,
)
from worker.data.disk_cache import DiskCache, NoRoom

pytestmark = pytest.mark.faults


@pytest.fixture
def cache(tmp_path: Path) -> DiskCache:
    return DiskCache(tmp_path / "cache", budget_bytes=10 * KIB)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("this needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def names(cache: DiskCache) -> list[str]:
    return sorted(path.name for path in cache.folder.glob("*/*"))


def age(path: Path, days: float) -> None:
    stat = path.stat()
    os.utime(path, (stat.st_atime, stat.st_mtime - days * 86400))


def test_what_was_used_least_recently_goes_first(cache: DiskCache) -> None:
    for days, name in ((1, "c"), (2, "b"), (3, "a")):
        age(put(cache, name, 3 * KIB), days)
    put(cache, "a", 3 * KIB)
    put(cache, "d", 3 * KIB)

    assert names(cache) == ["a", "c", "d"]
    assert put(cache, "a", 3 * KIB).read_bytes() == content("a", 3 * KIB)


def test_the_budget_holds_over_datasets(cache: DiskCache) -> None:
    for number in range(20):
        put(cache, f"{number}", KIB, dataset=f"sha256:{number % 5}")
        assert sum(path.stat().st_size for path in cache.folder.glob("*/*")) <= cache.budget_bytes
    assert len(names(cache)) == 10
    assert set(cache.datasets()) == {f"sha256-{number}" for number in range(5)}


def test_what_is_needed_may_exceed_the_budget_until_it_is_out_of_use(cache: DiskCache) -> None:
    with cache.get("d", "huge", 30 * KIB, writer("huge", 30 * KIB), tick=no_tick) as huge:
        put(cache, "small", KIB)
        assert huge.path.read_bytes() == content("huge", 30 * KIB)
    put(cache, "another", KIB)

    assert names(cache) == ["another", "small"]


def test_what_can_be_done_without_is_refused(cache: DiskCache) -> None:
    with pytest.raises(NoRoom):
        put(cache, "huge", 11 * KIB, optional=True)
    with cache.get("d", "used", 6 * KIB, writer("used", 6 * KIB), tick=no_tick), pytest.raises(NoRoom):
        put(cache, "large", 5 * KIB, optional=True)
    put(cache, "large", 5 * KIB, optional=True)

    assert names(cache) == ["large"]


def test_a_file_of_another_size_is_made_anew(cache: DiskCache) -> None:
    path = put(cache, "a", KIB)
    path.write_bytes(b"short")
    assert put(cache, "a", KIB).read_bytes() == content("a", KIB)


def test_nothing_is_left_of_what_could_not_be_made(cache: DiskCache) -> None:
    def fail(_file: object) -> None:
        raise Stopped("now")

    with pytest.raises(Stopped):
        cache.get("d", "a", KIB, fail, tick=no_tick)
    assert names(cache) == []


def test_a_deleted_dataset_is_forgotten_and_what_is_open_stays_readable(cache: DiskCache) -> None:
    put(cache, "b", KIB, dataset="kept")
    with cache.get("sha256:x", "a", KIB, writer("a", KIB), tick=no_tick) as entry:
        cache.forget("sha256-x")
        entry.file.seek(0)
        assert entry.file.read() == content("a", KIB)
    assert cache.datasets() == ["kept"]


def test_another_process_evicts_nothing_that_is_mapped(cache: DiskCache, tmp_path: Path) -> None:
    says, ends = tmp_path / "says", tmp_path / "ends"
    process = spawn(hold, cache, "a", 4 * KIB, says, ends)
    wait_for(says)
    put(cache, "b", 4 * KIB)
    assert not DiskCache(cache.folder, budget_bytes=0).make_room()
    assert names(cache) == ["a"]
    ends.touch()
    process.join(60)

    assert process.exitcode == 0
    assert DiskCache(cache.folder, budget_bytes=0).make_room()
    assert names(cache) == []


def test_files_in_use_by_a_killed_process_can_go(cache: DiskCache, tmp_path: Path) -> None:
    process = spawn(hold, cache, "a", 4 * KIB, tmp_path / "says", tmp_path / "never")
    wait_for(tmp_path / "says")
    process.kill()
    process.join(60)
    assert DiskCache(cache.folder, budget_bytes=0).make_room()
    assert names(cache) == []


def test_one_process_makes_an_entry_and_the_others_wait(cache: DiskCache, tmp_path: Path) -> None:
    log, until = tmp_path / "log", tmp_path / "until"
    log.mkdir()
    processes = [spawn(make_slowly, cache, "a", 4 * KIB, log, until) for _ in range(3)]
    while len(list(log.glob("waited-*"))) < 2:
        assert all(process.is_alive() for process in processes)
        time.sleep(0.01)
    until.touch()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(list(log.glob("made-*"))) == 1
    assert names(cache) == ["a"]


def test_who_waits_for_a_process_that_is_killed_takes_over(cache: DiskCache, tmp_path: Path) -> None:
    log, until = tmp_path / "log", tmp_path / "until"
    log.mkdir()
    first = spawn(make_slowly, cache, "a", 4 * KIB, log, until)
    wait_for(log / f"made-{first.pid}")
    second = spawn(make_slowly, cache, "a", 4 * KIB, log, until)
    wait_for(log / f"waited-{second.pid}")
    first.kill()
    wait_for(log / f"made-{second.pid}")
    until.touch()
    second.join(60)

    assert second.exitcode == 0
    assert names(cache) == ["a"]


def test_half_written_files_go_once_nobody_writes_them(cache: DiskCache, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.mkdir()
    process = spawn(make_slowly, cache, "a", 4 * KIB, log, tmp_path / "never")
    wait_for(log / f"made-{process.pid}")
    DiskCache(cache.folder, budget_bytes=0).make_room()
    assert names(cache) == [".a.part"]
    process.kill()
    process.join(60)
    cache.make_room()
    assert names(cache) == []


def test_waiting_can_be_stopped(cache: DiskCache, tmp_path: Path) -> None:
    def stop() -> None:
        raise Stopped("now")

    log = tmp_path / "log"
    log.mkdir()
    process = spawn(make_slowly, cache, "a", 4 * KIB, log, tmp_path / "never")
    wait_for(log / f"made-{process.pid}")
    with pytest.raises(Stopped):
        cache.get("d", "a", 4 * KIB, writer("a", 4 * KIB), tick=stop)
    process.kill()


def test_users_and_evictors_at_once(cache: DiskCache, tmp_path: Path) -> None:
    """Entries come and go under processes that use them; none is ever missing, torn or another's."""
    ends = tmp_path / "ends"
    evictors = [spawn(evict_until, cache, ends) for _ in range(2)]
    users = [spawn(use_many, cache, ["a", "b", "c", "d"], 4 * KIB, seed) for seed in range(3)]
    for process in users:
        process.join(120)
    ends.touch()
    for process in evictors:
        process.join(60)

    assert [process.exitcode for process in (*users, *evictors)] == [0] * 5
    cache.make_room()
    assert sum(path.stat().st_size for path in cache.folder.glob("*/*")) <= cache.budget_bytes


def test_a_full_disk_is_told_and_left_as_it_was(full_disk: Path) -> None:
    (full_disk / "ballast").write_bytes(bytes(900 * KIB))
    cache = DiskCache(full_disk / "cache", budget_bytes=10**9)
    with pytest.raises(NoRoom):
        put(cache, "a", 400 * KIB)
    assert names(cache) == []


def test_what_is_cached_makes_room_on_a_full_disk(full_disk: Path) -> None:
    cache = DiskCache(full_disk / "cache", budget_bytes=10**9)
    age(put(cache, "old", 400 * KIB), 2)
    age(put(cache, "newer", 300 * KIB), 1)
    put(cache, "a", 500 * KIB)
    assert names(cache) == ["a", "newer"]


def test_only_a_part_of_the_free_disk_is_taken_for_what_can_be_done_without(full_disk: Path) -> None:
    cache = DiskCache(full_disk / "cache", budget_bytes=10**9)
    put(cache, "small", 200 * KIB, optional=True)
    with pytest.raises(NoRoom):
        put(cache, "large", 300 * KIB, optional=True)
    assert names(cache) == ["small"]


def test_a_limit_on_file_sizes_counts_as_a_full_disk(cache: DiskCache) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * KIB, hard))
    try:
        with pytest.raises(NoRoom):
            put(cache, "a", 4 * KIB)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(cache) == []
