"""Models and datasets of tables and texts as rows of the store: nothing is trained, no sample is written."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from service.specs.base import new_id
from service.specs.jobs import JobSpec
from service.specs.tables import ColumnSchema, TableManifest
from service.specs.texts import TextManifest
from service.store.datasets import MANIFEST
from service.store.tables import DatasetRow, JobRow, ModelRow
from tests.contracts.conftest import Api, problem

LABELS = ["long", "short"]
KINDS = {"age": "numeric", "colour": "categorical", "member": "boolean", "seen": "datetime", "note": "text"}
COLUMNS = [{"name": name, "kind": kind} for name, kind in KINDS.items()]
ESTIMATORS: dict[str, dict[str, Any]] = {
    **{kind: {"kind": kind} for kind in ("mlp", "linear", "gradient_boosting", "random_forest")},
    "dart": {"kind": "gradient_boosting", "booster": "dart"},
}
SPLIT = {"train": [9, 3, 4], "validation": [7], "test": [8, 1, 6, 2]}


def numeric_columns(count: int) -> list[dict[str, str]]:
    return [{"name": f"x{place}", "kind": "numeric"} for place in range(count)]


def table_model(
    api: Api,
    estimator: str = "mlp",
    *,
    columns: Sequence[Mapping[str, str]] = COLUMNS,
    classes: Sequence[str] = LABELS,
    digest: str = "0" * 64,
) -> str:
    """The id of a model of tables with a target `label` and an ignored column `visit`; of values without `classes`."""
    described = {"columns": [*columns], "target": "label", "ignored": ["visit"]}
    problem = "tabular_classification" if classes else "tabular_regression"
    return _model(api, problem, classes, described, estimator=ESTIMATORS[estimator], digest=digest)


def text_model(api: Api, *, classes: Sequence[str] = LABELS, digest: str = "0" * 64) -> str:
    """The id of a model of texts whose column is `note`; it reads 128 tokens."""
    described = {"max_tokens": 128, "text": "note"}
    return _model(api, "text_classification", classes, described, backbone="all-MiniLM-L6-v2", digest=digest)


def _model(
    api: Api, problem: str, classes: Sequence[str], described: dict[str, Any], *, digest: str, **fields: Any
) -> str:
    job_id, model_id, project_id = new_id("job"), new_id("mdl"), project_of(api)
    common: dict[str, Any] = {"project_id": project_id, "labels": {}}
    spec = JobSpec(dataset_id="ds_any").model_dump()
    job = JobRow(id=job_id, dataset_id=None, dataset_digest=digest, state="succeeded", spec=spec, **common)
    model = ModelRow(id=model_id, job_id=job_id, problem=problem, classes=[*classes], input=described, metrics={},
                     digest="0" * 64, size_bytes=1, **common, **fields)  # fmt: skip
    split = api.store.artifacts.write(json.dumps(SPLIT).encode(), "application/json")
    with api.store.work() as work:
        work.jobs.add(job)
        work.models.add(model)
        work.artifacts.attach({"split.json": split}, model_id)
    return model_id


def table_dataset(
    api: Api,
    *,
    columns: Sequence[Mapping[str, str]] = COLUMNS,
    digest: str = "1" * 64,
    state: str = "ready",
    rows: int = 10,
) -> str:
    """A dataset by its listing alone."""
    manifest = TableManifest(
        columns=[ColumnSchema.model_validate(column) for column in columns], ignored=["visit"], target="label",
        problems=["tabular_classification"], classes=LABELS, rows=rows,
    )  # fmt: skip
    return _dataset(api, "tabular", manifest.model_dump_json(), digest=digest, state=state)


def text_dataset(api: Api, *, samples: int = 10, digest: str = "2" * 64) -> str:
    """A dataset by its listing alone."""
    manifest = TextManifest(text="note", target="label", classes=LABELS, samples=samples)
    return _dataset(api, "text", manifest.model_dump_json(), digest=digest, state="ready")


def _dataset(api: Api, modality: Any, listing: str, *, digest: str, state: str) -> str:
    row = DatasetRow(id=new_id("ds"), project_id=project_of(api), labels={}, modality=modality, state=state,
                     digest=digest, size_bytes=1)  # fmt: skip
    manifest = api.store.artifacts.write(listing.encode(), "application/json")
    with api.store.work() as work:
        work.datasets.add(row)
        work.artifacts.attach({MANIFEST: manifest}, row.id)
    return row.id


def project_of(api: Api) -> str:
    with api.store.read() as work:
        model = work.models.get(api.ours.ids["model_id"])
    assert model is not None
    return model.project_id


def asked_inputs(api: Api, answer: Any) -> list[dict[str, Any]]:
    """What an accepted prediction's row says of its inputs; the row is deleted: nobody will answer it."""
    assert answer.status_code == 202, answer.text
    row_id = answer.json()["id"]
    with api.store.read() as work:
        rows = work.predictions if row_id.startswith("prd_") else work.explanations
        inputs: list[dict[str, Any]] = rows.get(row_id).inputs
    noun = "predictions" if row_id.startswith("prd_") else "explanations"
    assert api.call("DELETE", f"/v1/{noun}/{row_id}").status_code == 204
    return inputs


def fault(answer: Any, slug: str = "validation", status: int = 422) -> tuple[list[Any], str]:
    """Place and code of the first fault of a problem document."""
    first = problem(answer, status, slug)["errors"][0]
    return first["loc"], first["code"]


def explain(api: Api, model: str, *, accept: str = "application/json", **body: Any) -> Any:
    """Asks for an explanation, by `shap` of one empty row unless something else is said."""
    asked = {"method": "shap", **body}
    if not {"dataset_id", "inputs"} & set(asked):
        asked["inputs"] = [{}]
    return api.call("POST", f"/v1/models/{model}/explanations", json=asked, headers={"Accept": accept})


def refused(answer: Any, *loc: str | int, code: str, slug: str = "validation") -> None:
    """With a fault at that place of the body."""
    assert fault(answer, slug) == (["body", *loc], code)
