"""Streams of one process share one look, and what it saw."""

import asyncio
from contextlib import ExitStack

import anyio
import pytest

from service.events.watch import KEPT, Followed, Piece, Watch
from service.specs.base import new_id
from service.store import Store
from service.store.jobs import Standing
from service.store.tables import KeyRow
from service.waiting import Announcements
from tests.rows import add_job, add_project
from tests.statements import sent


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks but the test."""
    monkeypatch.setattr(Watch, "first_poll_seconds", 3600.0)


def add_key(store: Store, project_id: str) -> str:
    row = KeyRow(id=new_id("key"), project_id=project_id, sha256=new_id("digest"), scopes=["read"])
    with store.work() as work:
        work.keys.add(row)
    return row.id


def append(store: Store, job_id: str, count: int = 1) -> None:
    with store.work() as work:
        for _ in range(count):
            work.events.append(job_id, "log", "news")


@pytest.mark.usefixtures("still")
def test_many_streams_send_as_many_statements_as_one(sqlite_store: Store) -> None:
    project_id = add_project(sqlite_store)
    key_id = add_key(sqlite_store, project_id)
    jobs = [add_job(sqlite_store, project_id)[0] for _ in range(20)]

    async def look(followed: list[str]) -> tuple[int, int]:
        """Statements of one look, and how many followers have heard."""
        watch = Watch(sqlite_store, Announcements(None))
        with ExitStack() as stack:
            following = [stack.enter_context(watch.follow(job_id, key_id, 1)) for job_id in followed]
            append(sqlite_store, jobs[0])
            with sent(sqlite_store) as noted:
                assert await watch.look()
            return len(noted), sum([piece.seq for piece in one.after(1) or []] != [] for one in following)

    alone, heard_alone = asyncio.run(look(jobs[:1]))
    together, heard_together = asyncio.run(look([job_id for job_id in jobs for _ in range(10)]))
    assert (heard_alone, heard_together) == (1, 10)
    assert together == alone > 0


def test_who_cannot_keep_up_reads_by_himself() -> None:
    async def told() -> tuple[list[int] | None, list[int] | None]:
        followed = Followed(5)
        assert followed.after(4) is None
        assert followed.after(5) == []
        last = 5 + KEPT + 10
        followed.tell([Piece(seq, "") for seq in range(6, last + 1)], Standing(last, "running"))
        late, kept = followed.after(5), followed.after(last - KEPT)
        return late and [piece.seq for piece in late], kept and [piece.seq for piece in kept]

    late, kept = asyncio.run(told())
    assert late is None
    assert kept == list(range(16, 5 + KEPT + 11))


def test_a_key_ends_its_own_streams_only(sqlite_store: Store) -> None:
    project_id = add_project(sqlite_store)
    ours, other = add_key(sqlite_store, project_id), add_key(sqlite_store, project_id)
    job_id, _ = add_job(sqlite_store, project_id)

    async def revoked() -> None:
        watch = Watch(sqlite_store, Announcements(None))
        with watch.follow(job_id, ours, 1) as followed, watch.follow(job_id, other, 1):
            with sqlite_store.work() as work:
                work.keys.revoke(ours)
            with anyio.fail_after(20):
                await followed.change.wait()
            assert (watch.admits(ours), watch.admits(other), followed.is_over) == (False, True, False)

    asyncio.run(revoked())


@pytest.mark.usefixtures("still")
def test_a_job_is_over_once_its_last_event_was_told_or_it_is_gone(sqlite_store: Store) -> None:
    project_id = add_project(sqlite_store)
    key_id = add_key(sqlite_store, project_id)
    ended, gone = add_job(sqlite_store, project_id)[0], add_job(sqlite_store, project_id)[0]
    with sqlite_store.work() as work:
        work.jobs.move(ended, "running")
    append(sqlite_store, ended, 250)
    with sqlite_store.work() as work:
        work.jobs.move(ended, "succeeded")
        work.jobs.delete([gone])

    async def look() -> None:
        watch = Watch(sqlite_store, Announcements(None))
        with watch.follow(ended, key_id, 1) as first, watch.follow(gone, key_id, 1) as second:
            await watch.look()
            assert (first.seq, first.is_over, second.is_over) == (201, False, True), "a page, and there is more"
            await watch.look()
            assert (first.seq, first.is_over) == (253, True)

    asyncio.run(look())
