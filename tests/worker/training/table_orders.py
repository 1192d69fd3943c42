"""Small tables as validation leaves them, and trial orders on them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from service.specs.jobs import JobSpec
from service.specs.resolving import DatasetFacts, resolve
from service.specs.tables import TableManifest
from tests.worker.estimators.tables import mixed_table
from worker.backbones.sources import WeightSources
from worker.data.disk_cache import DiskCache
from worker.data.table import Table
from worker.estimators.table_files import load_table
from worker.estimators.trained_table import TrainedTable
from worker.training.order import TrialOrder

CLASSES = {2: ["no", "yes"], 3: ["high", "low", "mid"]}
TYPES = {
    "numeric": pa.float64(),
    "boolean": pa.bool_(),
    "datetime": pa.timestamp("us", tz="UTC"),
    "categorical": pa.string(),
    "text": pa.string(),
}


def write_samples(
    path: Path, table: Table, *, labels: list[str] | None = None, values: NDArray[np.float64] | None = None
) -> TableManifest:
    """`samples.parquet` of typed columns, targets and digests."""
    columns = {column.name: _array(table, column.name, column.kind) for column in table.schema}
    rows = zip(*(array.to_pylist() for array in columns.values()), strict=True)
    digests = [hashlib.sha256(repr(row).encode()).hexdigest() for row in rows]
    if labels is not None:
        columns["\x00class"] = pa.array(labels, pa.string())
    if values is not None:
        columns["\x00value"] = pa.array(values, pa.float64())
    columns["\x00sha256"] = pa.array(digests)
    pq.write_table(pa.table(columns), path)
    problem: Any = "tabular_classification" if labels is not None else "tabular_regression"
    return TableManifest(
        columns=list(table.schema),
        target="target",
        problems=[problem],
        classes=sorted(set(labels or [])),
        rows=len(table),
    )


def _array(table: Table, name: str, kind: str) -> pa.Array:
    values = [None if value is None or value != value else value for value in table.values[name].tolist()]
    if kind == "datetime":
        values = [None if value is None else round(value * 1e6) for value in values]
    if kind == "boolean":
        values = [None if value is None else bool(value) for value in values]
    return pa.array(values, TYPES[kind])


def table_spec(problem: str, estimator: dict[str, Any], **changes: Any) -> JobSpec:
    """A resolved spec."""
    request = {"dataset_id": "ds_x", "problem": problem, "estimator": estimator, **changes}
    return resolve(JobSpec.model_validate(request), DatasetFacts(problems=(problem,), samples=300))  # type: ignore[arg-type]


def table_order(
    folder: Path, estimator: dict[str, Any], *, classes: int = 0, rows: int = 300, scratch: str = "scratch", **job: Any
) -> TrialOrder:
    """An order on the mixed table: its score is the value, or falls into `classes` of equal size."""
    table, score = mixed_table(rows)
    score = job.pop("scale", 1.0) * score + job.pop("shift", 0.0)
    labels = [CLASSES[classes][place] for place in score.argsort().argsort() * classes // rows] if classes else None
    folder.mkdir(exist_ok=True)
    archive = folder / "samples.parquet"
    manifest = write_samples(archive, table, labels=labels, values=None if classes else score)
    (folder / scratch).mkdir(exist_ok=True)
    problem = "tabular_classification" if classes else "tabular_regression"
    return TrialOrder(
        spec=table_spec(problem, estimator, **job),
        archive=archive,
        manifest=manifest,
        dataset_digest=hashlib.sha256(archive.read_bytes()).hexdigest(),
        scratch=folder / scratch,
        cache=DiskCache(folder / "cache", budget_bytes=10**9),
        sources=WeightSources(),
    )


def served(order: TrialOrder) -> TrainedTable:
    """The model that the trial has left in its scratch folder."""
    config = json.loads((order.scratch / "config.json").read_text())
    files = {name: (order.scratch / name).read_bytes() for name in config["files"]}
    return load_table(config, files)
