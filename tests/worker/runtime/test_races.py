"""Two who want different things of a job at the same moment: exactly one outcome, on both databases.

Threads meet at a barrier and go on at once, again and again with a fresh job. Where one can stop half-way, it does:
it stands inside its transaction while the other one comes.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from service.datasets import actions as datasets
from service.errors import Conflict, NotFound, UnknownReference
from service.jobs import actions as jobs
from service.settings import Settings
from service.specs.datasets import ClassCount, ImageProfile
from service.specs.jobs import BackboneSpec, JobSpec
from service.store import Store
from service.store.tables import JobRow
from tests.nudges import Recorded
from tests.rows import add_dataset, add_job, add_project
from worker.runtime.advance import advance
from worker.runtime.claims import _begin, claim_trial
from worker.runtime.context import Runtime
from worker.runtime.devices import Device, Devices

ROUNDS = 6
Outcome = type[Exception] | None


def at_once(*actions: Callable[[], Any]) -> list[Outcome]:
    """Runs all in threads that start together; what each one raised of what clients are told."""
    barrier = Barrier(len(actions))

    def run(action: Callable[[], Any]) -> Outcome:
        barrier.wait(30)
        try:
            action()
        except (Conflict, NotFound, UnknownReference) as error:
            return type(error)
        return None

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


def in_work(store: Store, action: Callable[..., Any], *args: Any, **options: Any) -> Callable[[], None]:
    def run() -> None:
        with store.work() as work:
            action(work, *args, **options)

    return run


def history(store: Store, job_id: str) -> tuple[str | None, list[str], list[str]]:
    """The job's state, the states that its events tell, its trials' states."""
    with store.read() as work:
        told = [event.data["state"] for event in work.events.after(job_id, 0, 100) if event.type == "state"]
        return work.jobs.state_of(job_id), told, [trial.state for trial in work.trials.of(job_id)]


def test_two_cancels(store: Store) -> None:
    project = add_project(store)
    for _ in range(ROUNDS):
        job_id, _ = add_job(store, project)
        cancel = in_work(store, jobs.cancel, Recorded(), project, job_id)
        outcomes = at_once(cancel, cancel, cancel)
        assert outcomes.count(None) == 1
        assert outcomes.count(Conflict) == 2
        assert history(store, job_id) == ("cancelled", ["queued", "cancelling", "cancelled"], ["cancelled"])


def test_two_cancels_of_a_job_that_runs(store: Store) -> None:
    """The second one finds the first one's wish and has nothing to add."""
    project = add_project(store)
    for _ in range(ROUNDS):
        job_id, _ = add_job(store, project)
        started(store)
        cancel = in_work(store, jobs.cancel, Recorded(), project, job_id)
        assert at_once(cancel, cancel) == [None, None]
        assert history(store, job_id) == ("cancelling", ["queued", "running", "cancelling"], ["running"])
        with store.work() as work:
            work.session.delete(work.session.get_one(JobRow, job_id))


def test_cancel_against_finish(store: Store) -> None:
    project = add_project(store)
    for _ in range(ROUNDS):
        job_id, _ = add_job(store, project)
        lease = started(store)

        def finish(job_id: str = job_id, lease: Any = lease) -> None:
            with store.work() as work:
                work.trials.leases.finish(lease, "failed", problem={"type": "/problems/diverged"})
                advance(work, job_id)

        cancelled, finished = at_once(in_work(store, jobs.cancel, Recorded(), project, job_id), finish)
        state, told, trials = history(store, job_id)
        assert finished is None
        assert trials == ["failed"]
        if cancelled is Conflict:
            assert (state, told) == ("failed", ["queued", "running", "failed"])
        else:
            assert (state, told) == ("cancelled", ["queued", "running", "cancelling", "cancelled"])


def test_cancel_against_start(store: Store, tmp_path: Path) -> None:
    project = add_project(store)
    runtime = make_runtime(store, tmp_path)
    for _ in range(ROUNDS):
        job_id, _ = add_job(store, project)
        leases: list[Any] = []
        outcomes = at_once(
            in_work(store, jobs.cancel, Recorded(), project, job_id),
            lambda found=leases: found.append(claim_trial(runtime)),
        )
        assert outcomes == [None, None]
        state, told, trials = history(store, job_id)
        if leases == [None]:
            assert (state, told, trials) == ("cancelled", ["queued", "cancelling", "cancelled"], ["cancelled"])
        else:
            assert (state, told, trials) == ("cancelling", ["queued", "running", "cancelling"], ["running"])
            with store.work() as work:
                work.trials.leases.finish(leases[0].lease, "cancelled")
                advance(work, job_id)


def test_a_cancel_that_comes_while_a_trial_is_being_claimed(store: Store) -> None:
    """The claim holds the trial and wants the job, the cancel holds the job and wants the trial: neither may wait."""
    if store.engine.dialect.name == "sqlite":
        pytest.skip("on SQLite there is one writer at a time")
    project = add_project(store)
    job_id, _ = add_job(store, project)
    with ThreadPoolExecutor(1) as pool, store.work() as claiming:
        lease = claiming.trials.claim("tester", 30.0)
        assert lease is not None
        cancelling: Future[None] = pool.submit(in_work(store, jobs.cancel, Recorded(), project, job_id))
        cancelling.result(30)
        assert not _begin(claiming, lease)
    assert history(store, job_id) == ("cancelled", ["queued", "cancelling", "cancelled"], ["cancelled"])


def test_delete_against_start(store: Store, tmp_path: Path) -> None:
    """A job that may be deleted has ended, and one that has ended does not start: the two never meet."""
    project = add_project(store)
    runtime = make_runtime(store, tmp_path)
    for _ in range(ROUNDS):
        job_id, _ = add_job(store, project)
        leases: list[Any] = []
        deleted, claimed = at_once(
            in_work(store, jobs.delete, project, job_id), lambda found=leases: found.append(claim_trial(runtime))
        )
        assert (deleted, claimed) == (Conflict, None)
        with store.work() as work:
            work.trials.leases.finish(leases[0].lease, "failed")
            advance(work, job_id)
        assert at_once(*[in_work(store, jobs.delete, project, job_id)] * 2).count(None) == 1


def test_a_dataset_that_is_deleted_while_a_job_is_submitted(store: Store) -> None:
    """Either there is a job and its data set, or neither."""
    project = add_project(store)
    counts = [ClassCount(name=name, samples=50) for name in "ab"]
    profile = ImageProfile(samples=100, classes=counts, median_width=32, median_height=32)
    for _ in range(ROUNDS):
        dataset_id = add_dataset(store, project, "ready")
        with store.work() as work:
            work.datasets.get(dataset_id).profile = profile.model_dump()
        spec = JobSpec(dataset_id=dataset_id, backbone=BackboneSpec(name="simple_nn", weights="none"))
        outcomes = at_once(
            in_work(store, jobs.submit, Recorded(), project, spec),
            in_work(store, datasets.delete, project, dataset_id, cascade=False),
        )
        with store.read() as work:
            left = (len(work.datasets.jobs_of(dataset_id)), work.datasets.find(project, dataset_id) is not None)
        assert (outcomes, left) in (([None, Conflict], (1, True)), ([UnknownReference, None], (0, False)))


def make_runtime(store: Store, data_dir: Path) -> Runtime:
    devices = Devices([Device("cpu", "", 1)] * ROUNDS)
    return Runtime(Settings(data_dir=data_dir), store, Recorded(), ("train",), "tester", devices=devices)


def started(store: Store) -> Any:
    """The lease of the only trial, which runs."""
    with store.work() as work:
        lease = work.trials.claim("tester", 30.0)
        assert lease is not None
        assert _begin(work, lease)
    return lease
