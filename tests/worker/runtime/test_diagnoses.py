"""A job is closed with its diagnosis; a diagnosis that fails leaves the job as it would be without one."""

import logging
from typing import Any

import pytest

from service.specs.diagnosis import Diagnosis
from service.specs.jobs import JobSpec
from service.specs.merge_patch import merge_patch
from service.store import Store
from service.store.tables import JobRow
from tests.rows import add_job, add_project, complete_trial
from tests.worker.runtime.searching import add_search, job_of
from worker.runtime.advance import Drawn, advance

DIVERGED = {"type": "/problems/diverged", "title": "…", "detail": "The training loss stopped being finite."}


def scores(loss: float, accuracy: float, samples: int) -> dict[str, Any]:
    return {"loss": loss, "accuracy": accuracy, "samples": samples}


METRICS = {
    "train": scores(0.02, 1.0, 400),
    "validation": scores(0.5, 0.8, 90),
    "test": scores(0.55, 0.78, 90),
    "baseline": {**scores(0.69, 0.5, 90), "per_class": [{}, {}]},
}


def record(epoch: int, train_loss: float, validation_loss: float) -> dict[str, Any]:
    return {"epoch": epoch, "train_loss": train_loss, "validation_loss": validation_loss, "seconds": 1.0,
            "train_accuracy": 0.9, "validation_accuracy": 0.8, "learning_rate": 0.001}  # fmt: skip


def finish_trial(
    store: Store, *, state: str = "succeeded", params: dict[str, Any] | None = None, **values: Any
) -> None:
    """Ends the oldest queued trial after two epochs."""
    with store.work() as work:
        lease = work.trials.claim("tester", 30.0)
        assert lease is not None
        trial = work.trials.get(lease.row_id)
        trial.params = params or {}
        work.jobs.move(trial.job_id, "running")
        for line in (record(1, 0.5, 0.6), record(2, 0.1, 0.5)):
            work.trials.record_epoch(lease, line)
        work.trials.leases.finish(lease, state, **values)


def succeed(store: Store, trial_id: str, **values: Any) -> None:
    weights = store.artifacts.write(b"weights", "application/octet-stream")
    with store.work() as work:
        work.artifacts.attach({"model.safetensors": weights}, trial_id)
    config = {"backbone": "simple_nn", "classes": ["a", "b"], "input": {"height": 32, "width": 32}}
    finish_trial(store, config=config, best_epoch=2, stopped_by="epochs", **{"metrics": METRICS, **values})


def closed(store: Store, project: str, job_id: str) -> tuple[JobRow, list[Any]]:
    with store.work() as work:
        advance(work, job_id)
    with store.read() as work:
        job = work.jobs.find(project, job_id)
        assert job is not None
        return job, work.events.after(job_id, 0, 100)


def test_a_finished_job_has_a_diagnosis_and_says_it_before_it_ends(store: Store) -> None:
    project = add_project(store)
    job_id, (trial_id,) = add_job(store, project)
    succeed(store, trial_id)
    job, events = closed(store, project, job_id)
    diagnosis = Diagnosis.model_validate(job.diagnosis)
    assert (job.state, diagnosis.verdict) == ("succeeded", "overfitting")
    assert "0.020" in diagnosis.summary
    told, ended = events[-2:]
    assert (told.type, told.level, told.data["verdict"]) == ("warning", "warning", "overfitting")
    assert told.message.startswith("diagnosis: overfitting")
    assert ended.data == {"state": "succeeded"}


def test_the_winner_is_diagnosed_as_it_was_trained(store: Store) -> None:
    job_id = add_search(store, trials=1)
    succeed(store, "trl_0", params={"training.weight_decay": 5.0, "training.batch_size": 64})
    with store.work() as work:
        advance(work, job_id, Drawn({}))
    job = job_of(store)
    remedies = {remedy.id: remedy.patch for remedy in Diagnosis.model_validate(job.diagnosis).remedies}
    assert "more-weight-decay" not in remedies
    made = JobSpec.model_validate(merge_patch(job.spec, remedies["label-smoothing"]))
    assert (made.training.weight_decay, made.training.batch_size, made.training.label_smoothing) == (5.0, 64, 0.1)


def test_a_job_that_diverged_is_told_what_to_do(store: Store) -> None:
    project = add_project(store)
    job_id, _ = add_job(store, project)
    finish_trial(store, state="failed", problem=DIVERGED)
    job, _ = closed(store, project, job_id)
    diagnosis = Diagnosis.model_validate(job.diagnosis)
    assert (job.state, diagnosis.verdict) == ("failed", "diverged")
    assert diagnosis.remedies[0].patch == {"training": {"learning_rate": 0.0001}}


def test_other_failures_are_not_the_training_s_fault(store: Store) -> None:
    project = add_project(store)
    job_id, _ = add_job(store, project)
    finish_trial(store, state="failed", problem={**DIVERGED, "type": "/problems/worker-lost"})
    job, events = closed(store, project, job_id)
    assert (job.state, job.diagnosis) == ("failed", None)
    assert not [event for event in events if "diagnosis" in event.message]


def test_a_diagnosis_that_fails_is_logged_and_fails_nothing(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    project = add_project(store)
    job_id, (trial_id,) = add_job(store, project)
    complete_trial(store, trial_id, loss=0.5)  # without epochs, and without scores on train
    with caplog.at_level(logging.ERROR):
        job, _ = closed(store, project, job_id)
    assert (job.state, job.diagnosis) == ("succeeded", None)
    assert job.model_id
    assert f"job {job_id} cannot be diagnosed" in caplog.text
    assert "Undiagnosable" in caplog.text
