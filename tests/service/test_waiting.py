"""Those who wait share one look; it goes on whatever happens to it."""

import asyncio

import anyio
import pytest
from sqlalchemy.exc import OperationalError

from service import waiting
from service.store import Store
from service.waiting import Announcements, Lookout, States
from tests.rows import add_dataset, add_prediction, add_project
from tests.statements import sent

LONG = 30.0


class Counting(Lookout):
    """Looks at nothing; the first look fails."""

    growth = 1e9

    def __init__(self) -> None:
        super().__init__(Announcements(None))
        self.looks = 0
        self.looked = asyncio.Event()

    def is_wanted(self) -> bool:
        return True

    async def look(self) -> bool:
        self.looks += 1
        self.looked.set()
        if self.looks == 1:
            raise OperationalError("SELECT", {}, OSError("away"))
        return False


def test_it_looks_again_after_the_database_was_away_and_soon_for_who_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left alone it would look after an hour."""
    monkeypatch.setattr(waiting, "LAST_POLL_SECONDS", 3600.0)

    async def wait() -> int:
        lookout = Counting()
        with anyio.fail_after(LONG):
            for _ in range(3):
                lookout.looked.clear()
                lookout.look_soon()
                await lookout.looked.wait()
                await asyncio.sleep(0.01)
        return lookout.looks

    assert asyncio.run(wait()) == 3


def test_many_who_wait_send_as_many_statements_as_one_of_each_kind(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "FIRST_POLL_SECONDS", 3600.0)  # the only look is the test's
    project_id = add_project(sqlite_store)
    datasets = [add_dataset(sqlite_store, project_id) for _ in range(30)]
    predictions = [add_prediction(sqlite_store, project_id) for _ in range(30)]

    async def look(ids: list[str]) -> int:
        states = States(sqlite_store, Announcements(None))
        async with asyncio.TaskGroup() as group:
            for row_id in ids:
                state = "validating" if row_id.startswith("ds_") else "queued"
                group.create_task(states.changed(row_id, state, 0.05))
            await asyncio.sleep(0)
            with sent(sqlite_store) as noted:
                assert not await states.look()
        return len(noted)

    alone, together = asyncio.run(look([datasets[0], predictions[0]])), asyncio.run(look(datasets + predictions))
    assert together == alone > 0


def test_only_those_wake_whose_row_has_changed_or_is_gone(sqlite_store: Store) -> None:
    project_id = add_project(sqlite_store)
    changed, gone, same = (add_prediction(sqlite_store, project_id) for _ in range(3))

    async def wait() -> list[bool]:
        states = States(sqlite_store, Announcements(None))
        waits = [asyncio.create_task(states.changed(row_id, "queued", LONG)) for row_id in (changed, gone, same)]
        await asyncio.sleep(0)
        with sqlite_store.work() as work:
            work.predictions.get(changed).state = "running"
            work.predictions.delete_of("id", [gone])
        await asyncio.wait_for(asyncio.gather(*waits[:2]), LONG)
        done = [task.done() for task in waits]
        waits[2].cancel()
        return done

    assert asyncio.run(wait()) == [True, True, False]
