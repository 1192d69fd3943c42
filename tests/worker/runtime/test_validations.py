"""How the look through a dataset ends, whatever its contents do to the reader."""

import json
import threading
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import update

from service.settings import Settings
from service.specs.base import new_id
from service.store import Lease, Store
from service.store.datasets import ARCHIVE, MANIFEST, SAMPLES
from service.store.tables import ArtifactRow, DatasetRow
from tests.corpora import tables
from tests.nudges import Recorded
from tests.rows import add_project
from tests.storages import use_failing_storage
from tests.worker.data.tables.validated import validate
from tests.worker.runtime import children
from worker.runtime.context import Runtime
from worker.runtime.messages import Done
from worker.runtime.validations import ValidationRun

TABLE = {"target": None, "columns": {}, "delimiter": None, "format": "csv"}
TEXT = {"text": "text", "target": "label"}
TEXTS = [{"text": f"some words {number}", "label": "ab"[number % 2]} for number in range(12)]


def make_runtime(store: Store, data_dir: Path) -> Runtime:
    chosen = Settings(data_dir=data_dir, heartbeat_seconds=0.1, cancel_grace_seconds=2.0)
    return Runtime(chosen, store, Recorded(), ("control",), "tester")


def add(store: Store, modality: Any, options: dict[str, Any], content: bytes) -> str:
    artifact = store.artifacts.write(content, "text/csv")
    row = DatasetRow(id=new_id("ds"), project_id=add_project(store), labels={}, modality=modality, options=options,
                     state="validating", digest=artifact.sha256, size_bytes=len(content))  # fmt: skip
    with store.work() as work:
        work.datasets.add(row)
        work.artifacts.attach({ARCHIVE: artifact}, row.id)
    return row.id


def claim(runtime: Runtime) -> Lease:
    with runtime.store.work() as work:
        lease = work.datasets.leases.claim(runtime.worker_id, 30.0)
    assert lease is not None
    return lease


def ended(runtime: Runtime, dataset_id: str, **more: Any) -> DatasetRow:
    """The row after one run, which has left nothing in the scratch."""
    ValidationRun(runtime, claim(runtime), **more).run()
    assert list((runtime.settings.scratch / "datasets").iterdir()) == []
    with runtime.store.read() as work:
        return work.datasets.get(dataset_id)


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def test_a_table_becomes_ready_with_its_samples(store: Store, tmp_path: Path) -> None:
    options = {**TABLE, "target": "x", "columns": {"label": "ignore"}}
    dataset_id = add(store, "tabular", options, tables.plain())
    row = ended(make_runtime(store, tmp_path), dataset_id)
    assert (row.state, row.profile and row.profile["rows"]) == ("ready", 40)
    with store.read() as work:
        manifest, samples = (work.artifacts.find(dataset_id, name) for name in (MANIFEST, SAMPLES))
        assert manifest is not None
        assert samples is not None
        assert work.datasets.digests([samples.sha256, row.digest, "f" * 64]) == {samples.sha256, row.digest}
    assert json.loads(store.artifacts.read_bytes(manifest))["ignored"] == ["label"]
    (tmp_path / "read.parquet").write_bytes(store.artifacts.read_bytes(samples))
    assert pq.read_table(tmp_path / "read.parquet").column("n").to_pylist() == list(range(40))


def test_texts_become_ready_with_their_samples(sqlite_store: Store, tmp_path: Path) -> None:
    dataset_id = add(sqlite_store, "text", TEXT, jsonl(TEXTS))
    row = ended(make_runtime(sqlite_store, tmp_path), dataset_id)
    assert (row.state, row.profile and row.profile["samples"]) == ("ready", 12)
    with sqlite_store.read() as work:
        assert work.artifacts.find(dataset_id, SAMPLES) is not None


@pytest.mark.parametrize(
    ("modality", "options", "content", "slug", "loc"),
    [
        ("tabular", {**TABLE, "columns": {"x": "boolean"}}, tables.plain(), "validation", ["file", 2, "x"]),
        ("tabular", {**TABLE, "target": "x"}, tables.with_row("7,,a"), "target-invalid", ["file", 22, "x"]),
        ("tabular", {**TABLE, "format": "parquet"}, b"PAR1" + bytes(40) + b"\x09\0\0\0PAR1", "unsupported-media-type",
         None),
        ("text", TEXT, jsonl([*TEXTS, {"text": " ", "label": "a"}]), "validation", ["file", 13]),
        ("text", TEXT, jsonl([*TEXTS, {"text": "word"}]), "target-invalid", ["file", 13]),
        ("text", TEXT, jsonl(TEXTS[:9]), "dataset-too-small", None),
        ("image", {}, b"", "unsupported-media-type", None),
    ],
)  # fmt: skip
def test_a_rejected_dataset_names_the_line(
    modality: str, options: dict[str, Any], content: bytes, slug: str, loc: list[Any] | None, sqlite_store: Store,
    tmp_path: Path,
) -> None:  # fmt: skip
    row = ended(make_runtime(sqlite_store, tmp_path), add(sqlite_store, modality, options, content))
    assert (row.state, row.problem and row.problem["type"]) == ("rejected", f"/problems/{slug}")
    assert row.problem is not None
    if loc is not None:
        assert row.problem["errors"][0]["loc"] == loc


@pytest.mark.parametrize(
    ("modality", "slug", "word"),
    [("image", "image-corrupt", "image"), ("tabular", "validation", "table"), ("text", "validation", "texts")],
)
def test_what_crashes_its_reader_is_rejected_in_the_end(
    modality: str, slug: str, word: str, sqlite_store: Store, tmp_path: Path
) -> None:
    dataset_id = add(sqlite_store, modality, TABLE, b"an upload")
    runtime = make_runtime(sqlite_store, tmp_path)
    states = [ended(runtime, dataset_id, work=children.die).state for _ in range(2)]
    row = ended(runtime, dataset_id, work=children.die)
    assert [*states, row.state] == ["validating", "validating", "rejected"]
    assert row.problem is not None
    assert row.problem["type"] == f"/problems/{slug}"
    assert word in row.problem["detail"]


def test_what_cannot_be_prepared_is_not_blamed_on_the_upload(sqlite_store: Store, tmp_path: Path) -> None:
    dataset_id = add(sqlite_store, "image", TABLE, b"")
    runtime = make_runtime(sqlite_store, tmp_path)
    runtime.settings.scratch.mkdir(parents=True)
    (runtime.settings.scratch / "datasets").touch()  # where a folder is wanted
    assert charged_three_times(runtime, dataset_id) == (
        "rejected",
        "/problems/worker-lost",
        "The files cannot be prepared.",
    )


def test_a_damaged_store_is_not_blamed_on_the_upload(sqlite_store: Store, tmp_path: Path) -> None:
    dataset_id = add(sqlite_store, "image", TABLE, b"an archive")
    with sqlite_store.work() as work:
        work.session.execute(update(ArtifactRow).values(sha256="0" * 64))
    state, slug, detail = charged_three_times(make_runtime(sqlite_store, tmp_path), dataset_id)
    assert (state, slug) == ("rejected", "/problems/worker-lost")
    assert "decoder" not in detail


def charged_three_times(runtime: Runtime, dataset_id: str) -> tuple[str, str, str]:
    """State, problem and its detail in the end."""
    for _ in range(3):
        ValidationRun(runtime, claim(runtime), work=children.die).run()
    with runtime.store.read() as work:
        row = work.datasets.get(dataset_id)
    assert row.problem is not None
    return row.state, row.problem["type"], row.problem["detail"]


def test_what_cannot_be_stored_is_looked_through_again(sqlite_store: Store, tmp_path: Path) -> None:
    dataset_id = add(sqlite_store, "tabular", {**TABLE, "target": "x"}, tables.plain())
    (tmp_path / "blocked").touch()  # where the storage wants a folder
    elsewhere = Store(sqlite_store.engine.url.render_as_string(hide_password=False), f"file://{tmp_path / 'blocked'}")
    run = ValidationRun(make_runtime(elsewhere, tmp_path), claim(make_runtime(elsewhere, tmp_path)))
    run._scratch = tmp_path
    run._conclude(Done(validate(tmp_path, tables.plain(), target="x").found))
    elsewhere.close()
    with sqlite_store.read() as work:
        row = work.datasets.get(dataset_id)
    assert (row.state, row.attempt, row.lease_owner) == ("validating", 1, None)
    assert ended(make_runtime(sqlite_store, tmp_path), dataset_id).state == "ready"


def test_a_draining_worker_puts_the_dataset_back(sqlite_store: Store, tmp_path: Path) -> None:
    dataset_id = add(sqlite_store, "tabular", TABLE, tables.plain())
    runtime = make_runtime(sqlite_store, tmp_path)
    threading.Timer(0.5, runtime.draining.set).start()
    row = ended(runtime, dataset_id, work=children.fill_and_wait)
    assert (row.state, row.attempt, row.lease_owner) == ("validating", 0, None)


def test_a_dataset_deleted_meanwhile_leaves_nothing(sqlite_store: Store, tmp_path: Path) -> None:
    dataset_id = add(sqlite_store, "tabular", TABLE, tables.plain())
    runtime = make_runtime(sqlite_store, tmp_path)
    lease = claim(runtime)
    with sqlite_store.work() as work:
        work.artifacts.abandon(dataset_id)
        work.datasets.delete(dataset_id)
    ValidationRun(runtime, lease).run()
    assert list((runtime.settings.scratch / "datasets").glob("*")) == []
    with sqlite_store.read() as work:
        assert work.artifacts.of(dataset_id) == []


def test_a_storage_that_is_away_is_waited_for(sqlite_store: Store, tmp_path: Path) -> None:
    dataset_id = add(sqlite_store, "tabular", {**TABLE, "target": "x"}, tables.plain())
    runtime = make_runtime(sqlite_store, tmp_path)
    run = ValidationRun(runtime, claim(runtime))
    run._scratch, run._modality = tmp_path, "tabular"
    storage = use_failing_storage(sqlite_store, failures=2)
    run._conclude(Done(validate(tmp_path, tables.plain(), target="x").found))
    with sqlite_store.read() as work:
        row = work.datasets.get(dataset_id)
    assert (row.state, row.attempt, storage.failures) == ("ready", 0, 0)
