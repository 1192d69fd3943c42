"""Disks that are full: of the scratch, in the middle of a checkpoint, and of the artifact store."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.store import Store
from service.store.tables import ArtifactRow
from tests.corpora import tables
from tests.worker.runtime.searching import add_search
from tests.worker.runtime.test_pruned_trials import begun
from tests.worker.runtime.test_storing import outcome
from tests.worker.runtime.test_validations import TABLE, add, claim, make_runtime
from tests.worker.training.orders import RecordingSink, order, run, spec
from worker.runtime.child import DISK_FULL, _ending
from worker.runtime.messages import Done, Failed
from worker.runtime.validations import ValidationRun
from worker.training.checkpoints import Checkpoints
from worker.training.fitting import identity
from worker.training.order import EpochRecord
from worker.training.trial import run_trial

pytestmark = pytest.mark.faults
MIB = 1024**2


@contextmanager
def no_room_beyond(size_bytes: int) -> Iterator[None]:
    """Every file of this process ends there, whoever writes it: what comes then is refused by the kernel."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@dataclass
class Filler(RecordingSink):
    """The disk is full from the end of the second epoch on."""

    def epoch(self, record: EpochRecord) -> None:
        super().epoch(record)
        if len(self.epochs) == 2:
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))


def test_a_full_disk_leaves_the_checkpoint_before_and_the_trial_goes_on_from_it(tmp_path: Path) -> None:
    job = spec(training={"epochs": 4})
    whole, _ = run(order(tmp_path, job))
    made = order(tmp_path, job, scratch="full")
    sink = Filler()
    with no_room_beyond(resource.getrlimit(resource.RLIMIT_FSIZE)[0]):
        ending = _ending(run_trial, made, sink)  # type: ignore[arg-type]
    assert ending == Failed(DISK_FULL)
    assert len(sink.epochs) == 2

    left = sorted(path.name for path in (made.scratch / "checkpoint").iterdir() if "best" not in path.name)
    assert left == [f"epoch-0000{epoch}.{kind}" for epoch in (1, 2) for kind in ("json", "safetensors")]
    found = Checkpoints(made.scratch / "checkpoint", identity(made)).latest()
    assert found is not None
    assert found.epoch == 2
    resumed, after = run(made)
    assert ("log", "Resumed after epoch 2.") in after.events
    assert resumed.metrics == whole.metrics


def after_a_full_disk(store: Store, folder: Path) -> tuple[str, int, dict[str, Any] | None]:
    """Where the trial stands once its child has found the disk full."""
    attempt = begun(store, folder)
    attempt._conclude(Failed(DISK_FULL))
    with store.read() as work:
        row = work.trials.get(attempt.lease.row_id)
    return row.state, row.attempt, row.problem


def test_a_disk_that_stays_full_is_the_end_after_three_attempts(store: Store, tmp_path: Path) -> None:
    add_search(store, trials=1)
    told = [after_a_full_disk(store, tmp_path) for _ in range(3)]
    assert told == [("queued", 1, None), ("queued", 2, None), ("failed", 3, DISK_FULL)]


def test_a_dataset_is_looked_through_again_where_the_disk_was_full(sqlite_store: Store, tmp_path: Path) -> None:
    dataset_id = add(sqlite_store, "tabular", {**TABLE, "target": "x"}, tables.plain())
    runtime = make_runtime(sqlite_store, tmp_path)
    told = []
    for _ in range(3):
        ValidationRun(runtime, claim(runtime))._conclude(Failed(DISK_FULL))
        with sqlite_store.read() as work:
            row = work.datasets.get(dataset_id)
        told.append((row.state, row.attempt, row.problem))
    assert told == [("validating", 1, None), ("validating", 2, None), ("rejected", 3, DISK_FULL)]


def test_a_full_artifact_store_keeps_nothing_half_written(store: Store, tmp_path: Path) -> None:
    """The results are stored at the next attempt, when there is room again."""
    add_search(store, trials=1)
    files = tmp_path / "artifacts"
    elsewhere = Store(store.engine.url.render_as_string(hide_password=False), f"file://{files}")
    done = outcome(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"w" * 5 * MIB)

    attempt = begun(elsewhere, tmp_path)
    with no_room_beyond(4 * MIB):
        attempt._conclude(Done(done))
    with store.read() as work:
        row = work.trials.get(attempt.lease.row_id)
        told = [event.message for event in work.events.after("job_1", 0, 100)]
        owned = work.session.query(ArtifactRow).filter(ArtifactRow.owner_id.is_not(None)).count()
    assert (row.state, row.attempt, row.metrics, owned) == ("queued", 1, None, 0)
    assert any("the storage is full" in message for message in told)
    assert [path for path in files.rglob("*") if path.is_file() and path.stat().st_size > MIB] == []
    assert list(files.rglob("*.part")) == []

    again = begun(elsewhere, tmp_path)
    again._conclude(Done(done))
    elsewhere.close()
    with store.read() as work:
        assert work.trials.get(again.lease.row_id).state == "succeeded"
    assert [path.stat().st_size for path in files.rglob("*") if path.stat().st_size > 4 * MIB] == [5 * MIB]
