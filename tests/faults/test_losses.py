"""Leases of the dead, taken back by many at once; work that kills whoever does it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import select, text, update

from service.jobs import actions as jobs
from service.settings import Settings
from service.specs.tasks import ADVANCE_JOB
from service.store import Store
from service.store.engine import now_seconds
from service.store.tables import TrialRow
from service.sweeper import Sweeper
from tests.corpora import tables
from tests.nudges import Recorded
from tests.rows import add_job, add_project
from tests.worker.runtime import children
from tests.worker.runtime.test_validations import TABLE, add, claim, make_runtime
from worker.runtime.pursuit import pursue
from worker.runtime.validations import ValidationRun

pytestmark = pytest.mark.faults
SWEEPERS, LOST = 4, 6


def sweepers_of(store: Store, count: int) -> list[Sweeper]:
    settings = Settings(data_dir=Path("/nowhere"), expiry_sightings_apart_seconds=15.0)
    return [Sweeper(store, Recorded(), settings) for _ in range(count)]


def lost_trials(store: Store, project: str, count: int) -> list[str]:
    """Jobs whose worker is gone."""
    job_ids = [add_job(store, project)[0] for _ in range(count)]
    with store.work() as work:
        for _ in job_ids:
            assert work.trials.claim("gone", 30.0) is not None
        for job_id in job_ids:
            work.jobs.move(job_id, "running")
        work.session.execute(update(TrialRow).values(lease_expires_at=now_seconds() - 5.0))
    return job_ids


def test_sweepers_at_the_same_moment_charge_each_loss_once(store: Store) -> None:
    """A thread for each, as in API and control processes; two of them have seen the leases expired before."""
    job_ids = lost_trials(store, add_project(store), LOST)
    sweepers, barrier = sweepers_of(store, SWEEPERS), Barrier(SWEEPERS)

    def sweep(sweeper: Sweeper) -> None:
        sweeper.sweep(now=0.0)
        barrier.wait(30)
        sweeper.sweep(now=20.0)

    with ThreadPoolExecutor(SWEEPERS) as pool:
        list(pool.map(sweep, sweepers))
    with store.read() as work:
        for job_id in job_ids:
            (trial,) = work.trials.of(job_id)
            assert (trial.state, trial.attempt, trial.lease_owner) == ("queued", 1, None)
            told = [event.data["state"] for event in work.events.after(job_id, 0, 100) if event.type == "trial"]
            assert told == ["queued"]


def test_a_frozen_owner_holds_up_no_sweeper(store: Store) -> None:
    """It stands in the middle of a transaction, with its row locked, when its lease runs out: others are swept, and
    it is as soon as the database has rolled back what does not go on.
    """
    if store.engine.dialect.name == "sqlite":
        pytest.skip("on SQLite there is one writer at a time")
    frozen, gone = lost_trials(store, add_project(store), 2)
    (sweeper,) = sweepers_of(store, 1)

    def swept(now: float) -> list[tuple[str, int]]:
        sweeper.sweep(now)
        with store.read() as work:
            trials = [work.trials.of(job_id)[0] for job_id in (frozen, gone)]
        return [(trial.state, trial.attempt) for trial in trials]

    with ThreadPoolExecutor(1) as pool, store.work() as held:
        assert held.session.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one() == "30s"
        held.session.execute(select(TrialRow.id).where(TrialRow.job_id == frozen).with_for_update())
        assert swept(0.0) == [("running", 0), ("running", 0)]
        assert pool.submit(swept, 20.0).result(30) == [("running", 0), ("queued", 1)]
    swept(40.0)
    assert swept(60.0) == [("queued", 1), ("queued", 1)]


def test_a_job_whose_worker_died_is_cancelled_without_another_train_worker(store: Store, tmp_path: Path) -> None:
    project = add_project(store)
    (job_id,) = lost_trials(store, project, 1)
    with store.work() as work:
        jobs.cancel(work, Recorded(), project, job_id)
        assert work.jobs.state_of(job_id) == "cancelling"
        work.workers.seen("another", ["control"], {})
    nudges = Recorded()
    sweeper = Sweeper(store, nudges, Settings(data_dir=tmp_path))
    for now in (0.0, 15.0):
        sweeper.sweep(now)
    assert ADVANCE_JOB in nudges.sent
    pursue(make_runtime(store, tmp_path), job_id)  # what the control worker does with it
    with store.read() as work:
        assert work.jobs.state_of(job_id) == "cancelled"
        assert [trial.state for trial in work.trials.of(job_id)] == ["cancelled"]


def test_a_dataset_that_kills_its_reader_is_rejected_and_the_next_one_is_read(
    sqlite_store: Store, tmp_path: Path
) -> None:
    """The poison is the older one: it is taken again and again, three times in all."""
    poison = add(sqlite_store, "image", TABLE, b"poison")
    good = add(sqlite_store, "tabular", {**TABLE, "target": "x"}, tables.plain())
    runtime = make_runtime(sqlite_store, tmp_path)
    order = []
    for _ in range(4):
        lease = claim(runtime)
        order.append(lease.row_id)
        if lease.row_id == poison:
            ValidationRun(runtime, lease, work=children.overrun).run()
        else:
            ValidationRun(runtime, lease).run()
    assert order == [poison, poison, poison, good]
    with sqlite_store.read() as work:
        ended = [work.datasets.get(row_id) for row_id in (poison, good)]
    assert [row.state for row in ended] == ["rejected", "ready"]
    assert ended[0].problem is not None
    assert ended[0].problem["type"] == "/problems/image-corrupt"
    assert "exit code -11" in ended[0].problem["detail"]
