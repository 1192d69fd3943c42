"""Searches in the store, taken on by hand as a worker would."""

from typing import Any

from service.store import Lease, Store
from service.store.tables import JobRow, TrialRow
from tests.rows import add_dataset, add_project
from tests.searches import search_spec
from worker.runtime.advance import Drawn, Proposed, Step, advance

RANDOM = {"strategy": "random", "trials": 6, "parallel": 2}
PROBLEM = {"type": "/problems/diverged", "title": "…", "detail": "…"}


def add_search(store: Store, **tuning: Any) -> str:
    """A queued job with its baseline, as it is accepted."""
    project = add_project(store)
    dataset = add_dataset(store, project, "ready")
    spec = search_spec(**{**RANDOM, **tuning})
    assert spec.tuning is not None
    job = JobRow(id="job_1", project_id=project, labels={}, dataset_id=dataset, dataset_digest="0" * 64,
                 state="queued", spec=spec.model_dump(), trials_total=spec.tuning.trials)  # fmt: skip
    with store.work() as work:
        work.jobs.add(job)
        work.trials.add(TrialRow(id="trl_0", job_id=job.id, number=0, state="queued"))
    return job.id


def step(store: Store, found: Proposed | Drawn | None = None) -> Step:
    with store.work() as work:
        return advance(work, "job_1", found)


def claim(store: Store) -> Lease:
    with store.work() as work:
        lease = work.trials.claim("tester", 30.0)
        assert lease is not None
        work.jobs.move("job_1", "running")
        return lease


def end(store: Store, lease: Lease, outcome: float | str) -> Step:
    """As a worker does: a success with that validation loss, or a state."""
    if isinstance(outcome, float):
        weights = store.artifacts.write(b"weights of " + lease.row_id.encode(), "application/octet-stream")
    with store.work() as work:
        if isinstance(outcome, float):
            work.artifacts.attach({"model.safetensors": weights}, lease.row_id)
            config = {"backbone": "small_cnn", "classes": ["a", "b"], "input": {}}
            metrics = {"validation": {"loss": outcome, "accuracy": 1 - outcome}, "test": {"loss": -outcome}}
            work.trials.leases.finish(lease, "succeeded", metrics=metrics, config=config, best_epoch=1)
        else:
            values = {"problem": PROBLEM | {"detail": lease.row_id}} if outcome == "failed" else {}
            work.trials.leases.finish(lease, outcome, **values)
        return advance(work, "job_1")


def states(store: Store) -> list[str]:
    with store.read() as work:
        return [trial.state for trial in work.trials.of("job_1")]


def job_of(store: Store) -> JobRow:
    with store.read() as work:
        job = work.jobs.get("job_1")
        assert job is not None
        return job


def run(store: Store, *outcomes: float | str) -> JobRow:
    """Trial after trial, as one worker would."""
    for outcome in outcomes:
        lease = claim(store)
        step(store)
        end(store, lease, outcome)
    if step(store).wants == "pictures":
        step(store, Drawn({}))
    return job_of(store)
