"""Clocks that jump: the database's own, by which leases run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from service.settings import Settings
from service.store import Lease, Store
from service.store.migrate import upgrade
from service.sweeper import Sweeper
from tests.nudges import Recorded
from tests.rows import add_job, add_project

pytestmark = pytest.mark.faults
JUMP_SECONDS = 600.0
DAY_SECONDS = 86_400.0


class Clock:
    """The day that SQLite takes for now."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def day(self, *_: object) -> float:
        return 2_440_587.5 + self.seconds / DAY_SECONDS


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def dated(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    """A store whose database goes by that clock."""
    opened = Store(f"sqlite:///{tmp_path / 'tunelens.db'}")

    @event.listens_for(opened.engine, "connect")
    def shadow(connection: Any, _record: object) -> None:
        connection.create_function("julianday", -1, clock.day)

    upgrade(opened.engine)
    yield opened
    opened.close()


def sweeper_of(store: Store) -> Sweeper:
    return Sweeper(store, Recorded(), Settings(data_dir=Path("/nowhere"), expiry_sightings_apart_seconds=15.0))


def claimed(store: Store) -> Lease:
    add_job(store, add_project(store))
    with store.work() as work:
        lease = work.trials.claim("alive", 30.0)
    assert lease is not None
    return lease


def attempt(store: Store, lease: Lease) -> tuple[str, int]:
    with store.read() as work:
        row = work.trials.get(lease.row_id)
        return row.state, row.attempt


@pytest.mark.parametrize("jump", [JUMP_SECONDS, -JUMP_SECONDS], ids=["ahead", "back"])
def test_whoever_lives_keeps_the_lease_when_the_databases_clock_jumps(dated: Store, clock: Clock, jump: float) -> None:
    """Every lease looks expired at once, until its owner's next heartbeat."""
    lease, sweepers = claimed(dated), [sweeper_of(dated), sweeper_of(dated)]
    for round in range(4):
        clock.seconds += jump
        for sweeper in sweepers:
            sweeper.sweep(now=20.0 * round)
        with dated.work() as work:
            assert bool(work.trials.leases.expired()) == (jump > 0)
            work.trials.leases.renew(lease)
    assert attempt(dated, lease) == ("running", 0)


def test_whoever_is_dead_loses_it_after_a_jump_ahead(dated: Store, clock: Clock) -> None:
    lease, sweeper = claimed(dated), sweeper_of(dated)
    clock.seconds += JUMP_SECONDS
    for now in (0.0, 14.9):
        sweeper.sweep(now)
        assert attempt(dated, lease) == ("running", 0)
    sweeper.sweep(15.0)
    assert attempt(dated, lease) == ("queued", 1)
