"""Rows for tests of the store and the runtime: a project with a job and its trial, nothing computed."""

from service.specs.base import new_id
from service.specs.jobs import BackboneSpec, JobSpec
from service.specs.resolving import DatasetFacts, resolve
from service.store import Store
from service.store.tables import DatasetRow, JobRow, ModelRow, PredictionRow, TrialRow


def add_project(store: Store, name: str = "default") -> str:
    with store.work() as work:
        return work.keys.project(name).id


def add_dataset(store: Store, project_id: str, state: str = "validating") -> str:
    row = DatasetRow(
        id=new_id("ds"), project_id=project_id, labels={}, modality="image", state=state, digest="0" * 64, size_bytes=1
    )
    with store.work() as work:
        work.datasets.add(row)
    return row.id


def add_job(store: Store, project_id: str, *, trials: int = 1) -> tuple[str, list[str]]:
    """A queued job on a ready dataset; its id and its trials' ids."""
    dataset_id = add_dataset(store, project_id, "ready")
    spec = JobSpec(dataset_id=dataset_id, backbone=BackboneSpec(name="simple_nn"))
    resolved = resolve(spec, DatasetFacts(median_side=32))
    job = JobRow(
        id=new_id("job"),
        project_id=project_id,
        labels={},
        dataset_id=dataset_id,
        dataset_digest="0" * 64,
        state="queued",
        spec=resolved.model_dump(),
        trials_total=trials,
    )
    rows = [TrialRow(id=new_id("trl"), job_id=job.id, number=number, state="queued") for number in range(trials)]
    with store.work() as work:
        work.jobs.add(job)
        for row in rows:
            work.trials.add(row)
    return job.id, [row.id for row in rows]


def add_prediction(store: Store, project_id: str) -> str:
    row = PredictionRow(
        id=new_id("prd"), project_id=project_id, model_id="mdl_none", state="queued", spec={}, inputs=[]
    )
    with store.work() as work:
        work.predictions.add(row)
    return row.id


def add_model(store: Store, project_id: str, job_id: str | None = None) -> ModelRow:
    """A model without files; its job is gone unless it is given."""
    row = ModelRow(
        id=new_id("mdl"),
        project_id=project_id,
        labels={},
        job_id=job_id or new_id("job"),
        problem="image_classification",
        backbone="simple_nn",
        classes=["a", "b"],
        input={},
        metrics={},
        digest="0" * 64,
        size_bytes=1,
    )
    with store.work() as work:
        work.models.add(row)
    return row


def complete_trial(store: Store, trial_id: str, *, loss: float, config: dict[str, object] | None = None) -> None:
    """What a worker leaves behind for a trial that succeeded."""
    weights = store.artifacts.write(b"weights of " + trial_id.encode(), "application/octet-stream")
    described = config or {"backbone": "simple_nn", "classes": ["a", "b"], "input": {"height": 32, "width": 32}}
    with store.work() as work:
        lease = work.trials.claim("tester", 30.0)
        assert lease is not None
        assert lease.row_id == trial_id
        work.jobs.move(work.trials.get(trial_id).job_id, "running")
        work.artifacts.attach({"model.safetensors": weights}, trial_id)
        metrics = {"validation": {"loss": loss}, "test": {"loss": loss + 1.0}, "baseline": {"accuracy": 0.5}}
        work.trials.leases.finish(lease, "succeeded", metrics=metrics, config=described, best_epoch=1)
