"""The diagnosis of a search whose backbone was searched too: of the winner as it was trained, and every remedy runs."""

from typing import Any

import pytest

from service.jobs import actions
from service.jobs.schemas import Rerun
from service.specs.datasets import ClassCount, ImageProfile
from service.specs.diagnosis import Diagnosis
from service.specs.jobs import JobSpec
from service.store import Store
from service.store.tables import JobRow
from tests.nudges import Recorded
from tests.rows import add_dataset, add_project
from tests.worker.runtime.test_diagnoses import METRICS, record, scores
from worker.runtime.advance import Drawn, advance

PROFILE = ImageProfile(
    samples=600,
    classes=[ClassCount(name=name, samples=300) for name in "ab"],
    median_width=128,
    median_height=100,
)
AT_HAND = {"tf_efficientnet_lite0": "packaged", "resnet18": "local", "resnet50": "local", "swin_t": "local",
           "mobilenet_v3_small": "local"}  # fmt: skip
UNLEARNED = METRICS | {"train": scores(0.6, 0.7, 400), "validation": scores(0.62, 0.68, 90)}
CURVES = {"overfitting": ((0.5, 0.6), (0.1, 0.5)), "underfitting": ((0.62, 0.62),) * 8}
SPACES: dict[str, Any] = {
    "pretrained ones": {"backbone.name": {"choices": ["mobilenet_v3_small", "resnet18"]}},
    "with a built-in one": {"backbone.name": {"choices": ["small_cnn", "resnet18"]}},
    "beside sizes": {
        "backbone.name": {"choices": ["small_cnn", "resnet18", "swin_t"]},
        "training.image_size": {"choices": [None, 64, 96]},
        "training.learning_rate": {"low": 1e-5, "high": 0.1, "log": True},
        "augmentation.policy": {"choices": ["none", "standard"]},
    },
    "a full grid": {
        "backbone.name": {"choices": ["small_cnn", "resnet18"]},
        "training.learning_rate": {"choices": [0.001, 0.01]},
        "training.weight_decay": {"choices": [0.0, 0.01]},
    },
}


def submitted(store: Store, space: dict[str, Any], **fields: Any) -> JobRow:
    project = add_project(store)
    dataset = add_dataset(store, project, "ready")
    with store.work() as work:
        work.workers.seen("worker", ["train"], AT_HAND)
        work.datasets.get(dataset).profile = PROFILE.model_dump()
    grid = {"strategy": "grid", "trials": 8} if "training.weight_decay" in space else {"strategy": "random"}
    request = {"dataset_id": dataset, "tuning": {"space": space, "trials": 2, **grid}, **fields}
    with store.work() as work:
        job_id = actions.submit(work, Recorded(), project, JobSpec.model_validate(request))
    with store.read() as work:
        job = work.jobs.get(job_id)
        assert job is not None
        return job


def decided(store: Store, job: JobRow, verdict: str, params: dict[str, Any]) -> Diagnosis:
    """The job's diagnosis once the trial of these parameters has won it."""
    weights = store.artifacts.write(b"weights", "application/octet-stream")
    with store.work() as work:
        lease = work.trials.claim("tester", 30.0)
        assert lease is not None
        work.jobs.move(job.id, "running")
        work.trials.get(lease.row_id).params = params
        for number, (train, validation) in enumerate(CURVES[verdict], start=1):
            work.trials.record_epoch(lease, record(number, train, validation))
        work.artifacts.attach({"model.safetensors": weights}, lease.row_id)
        config = {"backbone": "resnet18", "classes": ["a", "b"], "input": {"height": 96, "width": 96}}
        metrics = METRICS if verdict == "overfitting" else UNLEARNED
        work.trials.leases.finish(lease, "succeeded", metrics=metrics, config=config,
                                  best_epoch=len(CURVES[verdict]), stopped_by="early_stopping")  # fmt: skip
        work.jobs.get(job.id).spec = job.spec | {"tuning": job.spec["tuning"] | {"target_value": 100.0}}
        advance(work, job.id, Drawn({}))
        work.jobs.get(job.id).spec = job.spec
    with store.read() as work:
        found = work.jobs.get(job.id)
        assert found is not None
        diagnosis = Diagnosis.model_validate(found.diagnosis)
    assert diagnosis.verdict == verdict
    return diagnosis


def rerun_spec(store: Store, job: JobRow, remedy_id: str) -> JobSpec:
    with store.work() as work:
        made = actions.rerun(work, Recorded(), job.project_id, job.id, Rerun(apply=[remedy_id]))
    with store.read() as work:
        again = work.jobs.get(made)
        assert again is not None
        return JobSpec.model_validate(again.spec)


@pytest.mark.parametrize("verdict", ["overfitting", "underfitting"])
@pytest.mark.parametrize(
    ("space", "name"), [(space, name) for space in SPACES for name in SPACES[space]["backbone.name"]["choices"]]
)
def test_every_remedy_of_a_searched_backbone_can_be_rerun(
    sqlite_store: Store, space: str, name: str, verdict: str
) -> None:
    job = submitted(sqlite_store, SPACES[space], backbone={"name": "resnet18"})
    diagnosis = decided(sqlite_store, job, verdict, {"backbone.name": name})
    assert diagnosis.remedies
    for remedy in diagnosis.remedies:
        again = rerun_spec(sqlite_store, job, remedy.id)
        assert again.tuning == JobSpec.model_validate(job.spec).tuning, remedy.id
        assert again != JobSpec.model_validate(job.spec), remedy.id


def test_the_winner_s_own_weights_decide_which_layers_may_rest(sqlite_store: Store) -> None:
    job = submitted(sqlite_store, SPACES["with a built-in one"], backbone={"name": "small_cnn"})
    patches = {remedy.id: remedy.patch for remedy in decided(
        sqlite_store, job, "overfitting", {"backbone.name": "resnet18"}).remedies}  # fmt: skip
    assert patches["train-fewer-layers"] == {"backbone": {"name": "resnet18", "trainable": "last_stage"}}
    again = rerun_spec(sqlite_store, job, "train-fewer-layers")
    assert (again.backbone.weights, again.training.image_size) == (None, None)


def test_only_weights_at_hand_are_offered_beside_a_searched_backbone(sqlite_store: Store) -> None:
    job = submitted(sqlite_store, SPACES["pretrained ones"], backbone={"name": "mobilenet_v3_small"})
    diagnosis = decided(sqlite_store, job, "underfitting", {"backbone.name": "mobilenet_v3_small"})
    larger = next(remedy for remedy in diagnosis.remedies if remedy.id == "larger-backbone")
    assert larger.patch == {"backbone": {"name": "resnet18"}}  # not mobilenet_v3_large, which is nearer


def test_weights_from_scratch_are_not_given_to_choices_that_lack_them(sqlite_store: Store) -> None:
    space = {"backbone.name": {"choices": ["resnet18", "vgg11"]}}
    job = submitted(sqlite_store, space, backbone={"name": "resnet18", "weights": "none"})
    diagnosis = decided(sqlite_store, job, "overfitting", {"backbone.name": "resnet18"})
    assert "pretrained-weights" not in {remedy.id for remedy in diagnosis.remedies}
    for remedy in diagnosis.remedies:
        rerun_spec(sqlite_store, job, remedy.id)
