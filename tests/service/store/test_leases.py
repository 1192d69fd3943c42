"""Leases on both databases, with several connections: one holder at a time, and nothing from a replaced one."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update

from service.errors import LeaseLost
from service.store import Lease, Store
from service.store.engine import now_seconds
from service.store.tables import TrialRow
from tests.rows import add_dataset, add_job, add_prediction, add_project


def claim(store: Store, owner: str = "one", seconds: float = 30.0) -> Lease | None:
    with store.work() as work:
        return work.trials.claim(owner, seconds)


def let_expire(store: Store, trial_id: str) -> None:
    with store.work() as work:
        statement = update(TrialRow).where(TrialRow.id == trial_id).values(lease_expires_at=now_seconds() - 1.0)
        work.session.execute(statement)


def test_many_claimers_take_each_row_once(store: Store) -> None:
    project = add_project(store)
    expected = {trial for _ in range(5) for trial in add_job(store, project, trials=4)[1]}

    def take_all(owner: int) -> list[str]:
        taken = []
        while (lease := claim(store, f"worker-{owner}")) is not None:
            taken.append(lease.row_id)
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [row_id for found in pool.map(take_all, range(8)) for row_id in found]
    assert sorted(taken) == sorted(expected)


def test_the_oldest_is_taken_first(store: Store) -> None:
    project = add_project(store)
    first, second = add_job(store, project)[1][0], add_job(store, project)[1][0]
    assert [claim(store).row_id, claim(store).row_id] == [first, second]  # type: ignore[union-attr]


def test_trials_of_a_job_that_may_not_run_stay(store: Store) -> None:
    job_id, _ = add_job(store, add_project(store))
    with store.work() as work:
        work.jobs.move(job_id, "cancelling")
    assert claim(store) is None


def test_s36_a_replaced_worker_writes_nothing(store: Store) -> None:
    _, (trial_id,) = add_job(store, add_project(store))
    old = claim(store, "old")
    assert old is not None
    let_expire(store, trial_id)
    with store.work() as work:
        (expired,) = work.trials.leases.expired()
        assert work.trials.leases.take_back(expired, 3) == "queued"
    new = claim(store, "new")
    assert new is not None
    assert new.token > old.token
    for write in (
        lambda work: work.trials.leases.renew(old),
        lambda work: work.trials.leases.finish(old, "succeeded"),
        lambda work: work.trials.leases.release(old),
        lambda work: work.trials.leases.charge(old, 3, {}),
        lambda work: work.trials.record_epoch(old, {"epoch": 1, "seconds": 1.0}),
    ):
        with pytest.raises(LeaseLost), store.work() as work:
            write(work)
    with store.read() as work:
        row = work.trials.get(trial_id)
        assert (row.state, row.lease_owner, row.attempt) == ("running", "new", 1)
        assert work.trials.epochs(trial_id) == []


def test_a_renewed_lease_is_not_taken_back(store: Store) -> None:
    _, (trial_id,) = add_job(store, add_project(store))
    lease = claim(store)
    assert lease is not None
    let_expire(store, trial_id)
    with store.work() as work:
        (expired,) = work.trials.leases.expired()
    with store.work() as work:
        work.trials.leases.renew(lease)
    with store.work() as work:
        assert work.trials.leases.take_back(expired, 3) is None
        assert work.trials.leases.expired() == []


def test_the_third_loss_is_the_last(store: Store) -> None:
    _, (trial_id,) = add_job(store, add_project(store))
    states = []
    for _ in range(3):
        assert claim(store) is not None
        let_expire(store, trial_id)
        with store.work() as work:
            (expired,) = work.trials.leases.expired()
            states.append(work.trials.leases.take_back(expired, 3))
    assert states == ["queued", "queued", "failed"]
    with store.read() as work:
        row = work.trials.get(trial_id)
        assert row.problem is not None
        assert (row.attempt, row.problem["type"]) == (3, "/problems/worker-lost")


def test_a_crash_is_charged_and_a_release_is_not(store: Store) -> None:
    _, (trial_id,) = add_job(store, add_project(store))
    for attempt, charged in [(0, False), (0, True), (1, True), (2, True)]:
        lease = claim(store)
        assert lease is not None
        with store.work() as work:
            assert work.trials.get(trial_id).attempt == attempt
            if charged:
                ended = work.trials.leases.charge(lease, 3, {"type": "/problems/worker-lost"})
                assert ended == (attempt == 2)
            else:
                work.trials.leases.release(lease)
    with store.read() as work:
        assert work.trials.get(trial_id).state == "failed"


def test_a_dataset_is_held_while_it_stays_validating(store: Store) -> None:
    dataset_id = add_dataset(store, add_project(store))
    with store.work() as work:
        lease = work.datasets.leases.claim("one", 30.0)
        assert lease is not None
        assert work.datasets.leases.claim("two", 30.0) is None
    with store.work() as work:
        work.datasets.leases.release(lease)
        assert work.datasets.leases.claim("two", 30.0) is not None
        assert work.datasets.get(dataset_id).state == "validating"


def test_a_deleted_row_is_a_lost_lease(store: Store) -> None:
    row_id = add_prediction(store, add_project(store))
    with store.work() as work:
        lease = work.predictions.leases.claim("one", 30.0)
        assert lease is not None
        work.predictions.delete_of("id", [row_id])
    with pytest.raises(LeaseLost), store.work() as work:
        work.predictions.leases.renew(lease)
