"""A project with one of everything, put into the store directly: nothing is trained for it."""

import io
import zipfile
from dataclasses import dataclass

from service.auth import digest, new_secret
from service.specs.base import new_id
from service.specs.datasets import ClassCount, ImageProfile, ImageSample, Manifest
from service.specs.explanations import ExplanationSpec
from service.specs.jobs import BackboneSpec, JobSpec
from service.specs.resolving import DatasetFacts, resolve
from service.store import Store
from service.store.datasets import ARCHIVE, MANIFEST
from service.store.tables import DatasetRow, ExplanationRow, JobRow, KeyRow, ModelRow, PredictionRow, TrialRow
from tests.corpora import pets
from tests.corpora.pictures import png

CLASSES = ["cat", "dog"]
WEIGHTS = bytes(range(256)) * 40
ONNX = b"graph" * 100


@dataclass(frozen=True)
class Project:
    """Ids and keys of one project; `ids` are named as path parameters are."""

    admin_key: str
    write_key: str
    read_key: str
    ids: dict[str, str]


def make_project(store: Store, name: str) -> Project:
    """Everything a project can have, in its final state."""
    with store.work() as work:
        project_id = work.keys.project(name).id
    keys = {scope: new_secret() for scope in ("admin", "write", "read")}
    key_ids = {scope: new_id("key") for scope in keys}
    with store.work() as work:
        for scope, secret in keys.items():
            row = KeyRow(id=key_ids[scope], project_id=project_id, name=scope, sha256=digest(secret), scopes=[scope])
            work.keys.add(row)
    dataset_id = _dataset(store, project_id)
    job_id, model_id = _job_and_model(store, project_id, dataset_id)
    prediction_id, explanation_id = _servings(store, project_id, model_id)
    with store.work() as work:
        work.models.point(project_id, "best", model_id)
        work.events.append(job_id, "state", "succeeded")
    ids = {
        "dataset_id": dataset_id,
        "job_id": job_id,
        "model_id": model_id,
        "prediction_id": prediction_id,
        "explanation_id": explanation_id,
        "key_id": key_ids["read"],
    }
    return Project(keys["admin"], keys["write"], keys["read"], ids)


def _dataset(store: Store, project_id: str) -> str:
    content = pets.plain()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        samples = [
            ImageSample(path=name, label=name[:3], sha256=f"{n:064x}") for n, name in enumerate(archive.namelist())
        ]
    manifest = Manifest(classes=CLASSES, samples=samples)
    counts = [ClassCount(name=name, samples=6) for name in CLASSES]
    profile = ImageProfile(samples=12, classes=counts, median_width=48, median_height=32)
    archive_bytes = store.artifacts.write(content, "application/zip")
    listing = store.artifacts.write(manifest.model_dump_json().encode(), "application/json")
    row = DatasetRow(
        id=new_id("ds"),
        project_id=project_id,
        name="pets",
        labels={"kind": "pets"},
        modality="image",
        state="ready",
        digest=archive_bytes.sha256,
        size_bytes=archive_bytes.size_bytes,
        profile=profile.model_dump(),
    )
    with store.work() as work:
        work.datasets.add(row)
        work.artifacts.attach({ARCHIVE: archive_bytes}, row.id)
        work.artifacts.attach({MANIFEST: listing}, row.id)
    return row.id


def job_spec(dataset_id: str, **fields: object) -> dict[str, object]:
    """A request that this service takes without any weights at hand."""
    return {"dataset_id": dataset_id, "backbone": {"name": "simple_nn", "weights": "none"}, **fields}


def _job_and_model(store: Store, project_id: str, dataset_id: str) -> tuple[str, str]:
    backbone = BackboneSpec(name="simple_nn", weights="none")
    spec = resolve(JobSpec(dataset_id=dataset_id, backbone=backbone), DatasetFacts(median_side=32))
    job_id, model_id = new_id("job"), new_id("mdl")
    job = JobRow(
        id=job_id,
        project_id=project_id,
        labels={},
        dataset_id=dataset_id,
        dataset_digest="0" * 64,
        state="succeeded",
        spec=spec.model_dump(),
        model_id=model_id,
    )
    model = ModelRow(
        id=model_id,
        project_id=project_id,
        labels={},
        job_id=job_id,
        dataset_id=dataset_id,
        problem="image_classification",
        backbone="simple_nn",
        classes=CLASSES,
        input={},
        metrics={},
        digest="0" * 64,
        size_bytes=len(WEIGHTS),
    )
    files = {
        "model.safetensors": store.artifacts.write(WEIGHTS, "application/octet-stream"),
        "learning_curves.png": store.artifacts.write(png(), "image/png"),
        "model.onnx": store.artifacts.write(ONNX, "application/onnx"),
    }
    with store.work() as work:
        work.jobs.add(job)
        work.trials.add(TrialRow(id=new_id("trl"), job_id=job_id, number=0, state="succeeded"))
        work.models.add(model)
        export, _ = work.exports.ask(model, "onnx")
        export.state = "succeeded"
        for name, artifact in files.items():
            work.artifacts.attach({name: artifact}, model_id)
    return job_id, model_id


def _servings(store: Store, project_id: str, model_id: str) -> tuple[str, str]:
    common = {"project_id": project_id, "model_id": model_id, "state": "succeeded", "inputs": []}
    answer = {"label": "cat", "probability": 0.75, "probabilities": {"cat": 0.75, "dog": 0.25}}
    prediction = PredictionRow(
        id=new_id("prd"), spec={}, result={"items": [{"index": 0, "name": "a.png", **answer}]}, **common
    )
    target = {
        "label": "cat",
        "space": "probability",
        "base_value": 0.5,
        "output_value": 0.75,
        "additivity": None,
        "fit": None,
        "attributions": {"height": 1, "width": 1, "values": [[0.25]]},
        "layer": None,
        "degenerate": False,
    }
    item = {
        "index": 0,
        "input": {"name": "a.png", "sha256": "0" * 64, "truncated": False},
        "prediction": answer,
        "targets": [target],
        "quality": None,
    }
    spec = ExplanationSpec(method="shap").model_dump()
    explanation = ExplanationRow(id=new_id("exp"), spec=spec, result={"items": [item]}, **common)
    pictures = {name: store.artifacts.write(png(), "image/png") for name in ("items/0/0/overlay.png", "plots/bar.png")}
    page = store.artifacts.write(b"<p>cat</p>", "text/html")
    with store.work() as work:
        work.predictions.add(prediction)
        work.explanations.add(explanation)
        work.artifacts.attach({**pictures, "items/0/page.html": page}, explanation.id)
    return prediction.id, explanation.id
