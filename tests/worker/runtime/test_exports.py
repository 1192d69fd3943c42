"""How an export ends, whatever happens to its child."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from service.erasure import erase_model
from service.settings import Settings
from service.store import Lease, Store
from service.store.tables import ExportRow, ModelRow
from tests.live import gone, until
from tests.nudges import Recorded
from tests.rows import add_model, add_project
from tests.storages import use_failing_storage
from tests.worker.runtime import children
from worker.runtime.context import Runtime
from worker.runtime.exports import ExportRun
from worker.runtime.messages import Done
from worker.runtime.work import work_export

WEIGHTS = b"weights"


def make_runtime(store: Store, data_dir: Path, **settings: Any) -> Runtime:
    chosen = Settings(data_dir=data_dir, heartbeat_seconds=0.1, cancel_grace_seconds=2.0, **settings)
    return Runtime(chosen, store, Recorded(), ("control",), "tester")


def ask(store: Store) -> ModelRow:
    model = add_model(store, add_project(store))
    files = {"config.json": b"{}", "model.safetensors": WEIGHTS}
    with store.work() as work:
        for name, data in files.items():
            work.artifacts.attach({name: store.artifacts.hold(data, "application/octet-stream")}, model.id)
        work.exports.ask(model, "onnx")
    return model


def claim(runtime: Runtime) -> Lease:
    with runtime.store.work() as work:
        lease = work.exports.leases.claim(runtime.worker_id, 30.0)
    assert lease is not None
    return lease


def row_of(store: Store, model: ModelRow) -> ExportRow:
    with store.read() as work:
        row = work.exports.find(model.id, "onnx")
    assert row is not None
    return row


def exported(store: Store, model: ModelRow) -> bytes | None:
    with store.read() as work:
        artifact = work.artifacts.find(model.id, "model.onnx")
    return None if artifact is None else store.artifacts.read_bytes(artifact)


def scratch(runtime: Runtime) -> list[Path]:
    return [path for path in (runtime.settings.scratch / "exports").iterdir() if path.is_dir()]


def run_and(runtime: Runtime, meanwhile: Callable[[int], None]) -> None:
    """Runs an export that never ends by itself, and `meanwhile(its process id)`."""
    lease = claim(runtime)
    thread = threading.Thread(target=ExportRun(runtime, lease, children.write_and_wait).run)
    thread.start()
    marker = runtime.settings.scratch / "exports" / f"{lease.row_id}.pid"
    pid = int(until(lambda: marker.exists() and marker.read_text()))
    meanwhile(pid)
    thread.join(20.0)
    assert not thread.is_alive()
    assert gone(pid)
    assert scratch(runtime) == []


def test_the_file_and_the_row_appear_together(store: Store, tmp_path: Path) -> None:
    model = ask(store)
    runtime = make_runtime(store, tmp_path)
    ExportRun(runtime, claim(runtime), children.write_a_file).run()
    assert row_of(store, model).state == "succeeded"
    assert exported(store, model) == b"exported " + WEIGHTS


def test_a_killed_child_is_charged_until_it_was_too_often(sqlite_store: Store, tmp_path: Path) -> None:
    model = ask(sqlite_store)
    runtime = make_runtime(sqlite_store, tmp_path)
    for attempt in (1, 2, 3):
        run_and(runtime, lambda pid: os.kill(pid, signal.SIGKILL))
        for marker in (runtime.settings.scratch / "exports").glob("*.pid"):
            marker.unlink()
        row = row_of(sqlite_store, model)
        assert (row.state, row.attempt) == ("failed" if attempt == 3 else "queued", attempt)
    assert row.problem is not None
    assert row.problem["type"] == "/problems/worker-lost"
    assert exported(sqlite_store, model) is None


def test_a_draining_worker_puts_it_back(sqlite_store: Store, tmp_path: Path) -> None:
    model = ask(sqlite_store)
    runtime = make_runtime(sqlite_store, tmp_path)
    run_and(runtime, lambda _pid: runtime.draining.set())
    row = row_of(sqlite_store, model)
    assert (row.state, row.attempt, row.lease_owner) == ("queued", 0, None)


def test_deleting_the_model_ends_the_child(store: Store, tmp_path: Path) -> None:
    model = ask(store)
    runtime = make_runtime(store, tmp_path)

    def delete(_pid: int) -> None:
        with store.work() as work:
            erase_model(work, model.id)

    run_and(runtime, delete)
    with store.read() as work:
        assert work.exports.of(model.id) == []
        assert work.artifacts.of(model.id) == []


def test_a_replaced_worker_writes_nothing(store: Store, tmp_path: Path) -> None:
    model = ask(store)
    runtime = make_runtime(store, tmp_path)
    old = claim(runtime)
    with store.work() as work:
        work.exports.leases.release(old)
    new = claim(runtime)
    ExportRun(runtime, old, children.write_a_file).run()
    assert (row_of(store, model).state, exported(store, model)) == ("running", None)
    ExportRun(runtime, new, children.write_a_file).run()
    assert (row_of(store, model).state, exported(store, model)) == ("succeeded", b"exported " + WEIGHTS)


def test_a_refusal_is_told_and_not_tried_again(sqlite_store: Store, tmp_path: Path) -> None:
    model = ask(sqlite_store)
    runtime = make_runtime(sqlite_store, tmp_path)
    ExportRun(runtime, claim(runtime), children.refuse_to_export).run()
    row = row_of(sqlite_store, model)
    assert row.problem is not None
    assert (row.state, row.problem["type"], row.attempt) == ("failed", "/problems/conflict", 0)
    assert row.problem["detail"] == "The network cannot be written as ONNX."


def test_it_has_a_time_limit(sqlite_store: Store, tmp_path: Path) -> None:
    model = ask(sqlite_store)
    runtime = make_runtime(sqlite_store, tmp_path, export_seconds=1.0)
    ExportRun(runtime, claim(runtime), children.write_and_wait).run()
    row = row_of(sqlite_store, model)
    assert row.problem is not None
    assert (row.state, row.problem["type"]) == ("failed", "/problems/resource-exhausted")


def test_a_damaged_model_is_charged(sqlite_store: Store, tmp_path: Path) -> None:
    model = ask(sqlite_store)
    with sqlite_store.work() as work:
        work.artifacts.abandon(model.id)
    runtime = make_runtime(sqlite_store, tmp_path)
    ExportRun(runtime, claim(runtime), work_export).run()
    assert (row_of(sqlite_store, model).state, row_of(sqlite_store, model).attempt) == ("queued", 1)


def test_a_file_that_cannot_be_stored_is_charged(sqlite_store: Store, tmp_path: Path) -> None:
    model = ask(sqlite_store)
    (tmp_path / "blocked").touch()  # where the storage wants a folder
    elsewhere = Store(sqlite_store.engine.url.render_as_string(hide_password=False), f"file://{tmp_path / 'blocked'}")
    run = ExportRun(make_runtime(elsewhere, tmp_path), claim(make_runtime(elsewhere, tmp_path)))
    run._format, run._model_id = "onnx", model.id
    (tmp_path / "model.onnx").write_bytes(b"exported")
    run._conclude(Done(tmp_path / "model.onnx"))
    elsewhere.close()
    row = row_of(sqlite_store, model)
    assert (row.state, row.attempt, row.lease_owner) == ("queued", 1, None)
    assert exported(sqlite_store, model) is None


def test_a_storage_that_is_away_is_waited_for(sqlite_store: Store, tmp_path: Path) -> None:
    model = ask(sqlite_store)
    runtime = make_runtime(sqlite_store, tmp_path)
    run = ExportRun(runtime, claim(runtime))
    run._format, run._model_id = "onnx", model.id
    (tmp_path / "model.onnx").write_bytes(b"exported")
    storage = use_failing_storage(sqlite_store, failures=2)
    run._conclude(Done(tmp_path / "model.onnx"))
    row = row_of(sqlite_store, model)
    assert (row.state, row.attempt, storage.failures) == ("succeeded", 0, 0)
