"""A job's fate is decided from rows alone, once, whoever asks and however often."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from service.store import Store
from service.store.tables import TrialRow
from tests.rows import add_job, add_project, complete_trial
from worker.runtime.advance import advance


def ask(store: Store, job_id: str) -> str | None:
    with store.work() as work:
        advance(work, job_id)
    with store.read() as work:
        return work.jobs.state_of(job_id)


def test_the_winner_on_validation_becomes_the_model(store: Store) -> None:
    project = add_project(store)
    job_id, trials = add_job(store, project, trials=3)
    for trial_id, loss in zip(trials, [0.5, 0.2, 0.9], strict=True):
        assert ask(store, job_id) != "succeeded"
        complete_trial(store, trial_id, loss=loss)
    assert ask(store, job_id) == "succeeded"
    with store.read() as work:
        job = work.jobs.find(project, job_id)
        model = work.models.of_job(job_id)
        assert job is not None
        assert model is not None
        assert (job.best_trial, job.model_id, model.project_id) == (1, model.id, project)
        assert model.dataset_id == job.dataset_id is not None
        assert job.metrics == {"validation": {"loss": 0.2}, "test": {"loss": 1.2}, "baseline": {"accuracy": 0.5}}
        weights = work.artifacts.find(model.id, "model.safetensors")
        assert weights is not None
        assert store.artifacts.read_bytes(weights) == b"weights of " + trials[1].encode()
        assert model.digest == weights.sha256


def test_many_deciders_publish_once(store: Store) -> None:
    project = add_project(store)
    job_id, (trial_id,) = add_job(store, project)
    complete_trial(store, trial_id, loss=0.5)
    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(lambda _: ask(store, job_id), range(12))) == {"succeeded"}
    with store.read() as work:
        ended = [e for e in work.events.after(job_id, 0, 100) if e.data.get("state") == "succeeded"]
        assert len(ended) == 1


def test_a_job_whose_trials_all_failed_fails_with_their_problem(store: Store) -> None:
    project = add_project(store)
    job_id, (trial_id,) = add_job(store, project)
    problem = {"type": "/problems/diverged", "title": "…", "detail": "…"}
    with store.work() as work:
        lease = work.trials.claim("tester", 30.0)
        assert lease is not None
        work.jobs.move(job_id, "running")
        work.trials.leases.finish(lease, "failed", problem=problem)
    assert ask(store, job_id) == "failed"
    with store.read() as work:
        job = work.jobs.find(project, job_id)
        assert job is not None
        assert (job.problem, job.model_id) == (problem, None)
        assert trial_id


@pytest.mark.parametrize(("wish", "outcome"), [("cancelling", "cancelled"), ("pausing", "paused")])
def test_a_wish_is_granted_once_nothing_runs(store: Store, wish: str, outcome: str) -> None:
    job_id, (trial_id,) = add_job(store, add_project(store))
    with store.work() as work:
        lease = work.trials.claim("tester", 30.0)
        assert lease is not None
        work.jobs.move(job_id, "running")
        work.jobs.move(job_id, wish)
    assert ask(store, job_id) == wish
    with store.work() as work:
        work.trials.leases.release(lease)
    assert ask(store, job_id) == outcome
    with store.read() as work:
        trial = work.session.get(TrialRow, trial_id)
        assert trial is not None
        assert trial.state == ("cancelled" if wish == "cancelling" else "queued")


def test_a_trial_that_succeeds_while_pausing_ends_the_job(store: Store) -> None:
    job_id, (trial_id,) = add_job(store, add_project(store))
    complete_trial(store, trial_id, loss=0.5)
    with store.work() as work:
        work.jobs.move(job_id, "pausing")
    assert ask(store, job_id) == "succeeded"
