"""What is read of a dataset for the few samples that a request names."""

from pathlib import Path
from typing import Any

import pytest

from service.errors import Invalid
from service.specs.sample_columns import DIGEST, TEXT
from service.specs.tables import ColumnSchema
from service.specs.text_files import TextRow
from service.specs.texts import TextManifest
from service.store import Store
from service.store.datasets import MANIFEST, SAMPLES
from tests.worker.data.damage import leave_readable
from tests.worker.data.tables.validated import validate
from worker.data.disk_cache import DiskCache
from worker.data.texts.samples import digest_of, write_samples
from worker.runtime.asked_inputs import Sources, read_asked_texts, read_rows

TABLE = {
    "n": [number / 2 for number in range(40)],
    "size": ["1", "2", "", "3"] * 10,
    "town": ["Rome", "", "Oslo", "Bern", "Bonn"] * 8,
    "y": ["a", "b"] * 20,
}


def sources(store: Store, folder: Path, manifest: Any, rows: list[int]) -> Sources:
    files = {
        MANIFEST: store.artifacts.write(manifest.model_dump_json().encode(), "application/json"),
        SAMPLES: store.artifacts.write((folder / "samples.parquet").read_bytes(), "application/vnd.apache.parquet"),
    }
    with store.work() as work:
        work.artifacts.attach(files, "ds_1")
    inputs = [{"dataset_id": "ds_1", "row": row} for row in rows]
    return Sources(store, DiskCache(folder / "cache", budget_bytes=10**9), inputs, {})


def test_texts_come_with_their_digests_and_no_others_are_read(sqlite_store: Store, tmp_path: Path) -> None:
    write_samples(tmp_path / "samples.parquet", [TextRow(n, f"text {n}", "a", {}) for n in range(3000)], [])
    leave_readable(tmp_path / "samples.parquet", groups={0, 2}, columns={TEXT, DIGEST})
    manifest = TextManifest(text="text", target="label", classes=["a"], samples=3000)
    texts, inputs = read_asked_texts(sources(sqlite_store, tmp_path, manifest, [2999, 5]))
    assert texts == ["text 2999", "text 5"]
    assert inputs == [
        {"dataset_id": "ds_1", "row": 2999, "sha256": digest_of("text 2999")},
        {"dataset_id": "ds_1", "row": 5, "sha256": digest_of("text 5")},
    ]


def test_rows_come_with_the_models_columns(sqlite_store: Store, tmp_path: Path) -> None:
    """In its order; `size` is a category here and a number there."""
    found = validate(tmp_path, TABLE, columns={"size": "categorical"})
    asked = sources(sqlite_store, tmp_path, found.found.manifest, [7, 0, 6, 7])
    schema = [ColumnSchema(name="size", kind="numeric"), ColumnSchema(name="n", kind="numeric")]
    rows = read_rows(asked, schema, wants_classes=True)
    assert rows.table.values["n"].tolist() == [3.5, 0.0, 3.0, 3.5]
    assert [None if value != value else value for value in rows.table.values["size"].tolist()] == [3.0, 1.0, None, 3.0]
    assert list(rows.truth if rows.truth is not None else []) == ["b", "a", "a", "b"]
    assert [one["sha256"] for one in rows.inputs] == [found.samples.digests[row] for row in (7, 0, 6, 7)]
    assert read_rows(asked, schema, wants_classes=False).truth is None


def test_a_row_that_does_not_fit_is_named_by_its_place_in_the_request(sqlite_store: Store, tmp_path: Path) -> None:
    manifest = validate(tmp_path, TABLE).found.manifest
    asked = sources(sqlite_store, tmp_path, manifest, [1, 0])
    with pytest.raises(Invalid) as caught:
        read_rows(asked, [ColumnSchema(name="town", kind="numeric")], wants_classes=True)
    assert [fault.loc for fault in caught.value.errors] == [("body", "dataset_id", 1, "town")]
