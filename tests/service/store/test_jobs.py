"""The state machine of jobs, their events, and pages, on both databases."""

import pytest

from service.errors import Invalid
from service.store import Store
from service.store.pages import PageQuery
from tests.rows import add_dataset, add_job, add_project

LEGAL = {
    ("queued", "running"), ("queued", "cancelling"), ("queued", "failed"),
    ("running", "succeeded"), ("running", "failed"), ("running", "pausing"), ("running", "cancelling"),
    ("pausing", "paused"), ("pausing", "succeeded"), ("pausing", "failed"), ("pausing", "cancelling"),
    ("paused", "queued"), ("paused", "cancelling"), ("cancelling", "cancelled"),
}  # fmt: skip
WAY = {
    "queued": [],
    "running": ["running"],
    "pausing": ["running", "pausing"],
    "paused": ["running", "pausing", "paused"],
    "cancelling": ["cancelling"],
    "cancelled": ["cancelling", "cancelled"],
    "succeeded": ["running", "succeeded"],
    "failed": ["running", "failed"],
}


@pytest.mark.parametrize("origin", WAY)
def test_only_the_drawn_moves_are_made(store: Store, origin: str) -> None:
    project = add_project(store)
    for target in WAY:
        job_id, _ = add_job(store, project)
        with store.work() as work:
            for step in WAY[origin]:
                assert work.jobs.move(job_id, step)
            assert work.jobs.move(job_id, target) == ((origin, target) in LEGAL)
            states = [event.data["state"] for event in work.events.after(job_id, 0, 100)]
        assert states == ["queued", *WAY[origin], *([target] if (origin, target) in LEGAL else [])]


def test_events_are_numbered_without_gaps(store: Store) -> None:
    job_id, _ = add_job(store, add_project(store))
    with store.work() as work:
        for number in range(5):
            work.events.append(job_id, "log", f"line {number}")
        assert [event.seq for event in work.events.after(job_id, 0, 100)] == [1, 2, 3, 4, 5, 6]
        assert [event.seq for event in work.events.after(job_id, 4, 1)] == [5]


def test_a_rolled_back_unit_of_work_leaves_nothing_and_nudges_nobody(store: Store) -> None:
    job_id, _ = add_job(store, add_project(store))
    nudged: list[str] = []

    def fail_half_way() -> None:
        with store.work() as work:
            work.events.append(job_id, "log", "lost")
            work.after_commit(lambda: nudged.append("too early"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    with store.read() as work:
        assert [event.seq for event in work.events.after(job_id, 0, 100)] == [1]
    assert nudged == []


def test_pages_cover_everything_once_newest_first(store: Store) -> None:
    project, other = add_project(store), add_project(store, "other")
    ids = [add_dataset(store, project) for _ in range(7)]
    add_dataset(store, other)
    seen, cursor = [], None
    while True:
        with store.read() as work:
            rows, cursor = work.datasets.page(project, PageQuery(limit=3, cursor=cursor))
        seen += [row.id for row in rows]
        if cursor is None:
            break
    assert sorted(seen) == sorted(ids)
    with store.read() as work:
        times = [work.datasets.get(row_id).created_at for row_id in seen]
    assert times == sorted(times, reverse=True)


def test_filters(store: Store) -> None:
    project = add_project(store)
    ids = [add_dataset(store, project, state) for state in ("validating", "ready")]
    with store.work() as work:
        work.datasets.get(ids[0]).labels = {"team": "blue"}
        work.datasets.get(ids[0]).name = "pets"
    with store.read() as work:
        for query in (PageQuery(state="validating"), PageQuery(metadata={"team": "blue"}), PageQuery(name="pets")):
            assert [row.id for row in work.datasets.page(project, query)[0]] == [ids[0]]
        assert work.datasets.page(project, PageQuery(metadata={"team": "red"}))[0] == []


@pytest.mark.parametrize("cursor", ["nonsense", "!!!", "bm9uc2Vuc2U", "é"])
def test_a_foreign_cursor_is_refused(sqlite_store: Store, cursor: str) -> None:
    with sqlite_store.read() as work, pytest.raises(Invalid):
        work.datasets.page("prj", PageQuery(cursor=cursor))
