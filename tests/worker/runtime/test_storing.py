"""Results that cannot be stored: nothing is said to have succeeded, and the trial is tried again, not for ever."""

import errno
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from service.store import StorageAway, Store
from service.store.tables import ArtifactRow, TrialRow
from tests.storages import use_failing_storage
from tests.worker.runtime.searching import add_search
from tests.worker.runtime.test_pruned_trials import begun
from worker.runtime.messages import Done
from worker.runtime.outages import await_storage
from worker.runtime.scribe import Wish
from worker.runtime.trials import TrialRun
from worker.training.order import OutputFile, TrialOutcome


def outcome(folder: Path) -> TrialOutcome:
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    files = [
        OutputFile("config.json", "application/json", folder / "config.json"),
        OutputFile("model.safetensors", "application/octet-stream", folder / "model.safetensors"),
    ]
    metrics: dict[str, object] = {"validation": {"loss": 0.5}, "test": {"loss": 0.5}, "baseline": {}}
    return TrialOutcome(1, "epochs", metrics, ["a", "b"], "CPU", {}, files)


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    """A file where the storage wants a folder."""
    place = tmp_path / "artifacts"
    place.touch()
    return place


def concluded(store: Store, folder: Path, blocked: Path) -> TrialRow:
    """The trial after one more run has tried to store its results."""
    kept_elsewhere = Store(store.engine.url.render_as_string(hide_password=False), f"file://{blocked}")
    run: TrialRun = begun(kept_elsewhere, folder)
    run._conclude(Done(outcome(folder)))
    with store.read() as work:
        trial = work.trials.get(run.lease.row_id)
    kept_elsewhere.close()
    return trial


def test_it_is_stored_at_the_next_attempt(store: Store, tmp_path: Path, blocked: Path) -> None:
    add_search(store, trials=1)
    trial = concluded(store, tmp_path, blocked)
    assert (trial.state, trial.attempt, trial.metrics) == ("queued", 1, None)
    blocked.unlink()
    trial = concluded(store, tmp_path, blocked)
    assert (trial.state, trial.attempt) == ("succeeded", 1)
    with store.read() as work:
        owned = [row.name for row in work.session.query(ArtifactRow).filter(ArtifactRow.owner_id.is_not(None))]
    assert {"config.json", "model.safetensors"} <= set(owned)


def test_it_is_given_up_after_three_attempts(store: Store, tmp_path: Path, blocked: Path) -> None:
    add_search(store, trials=1)
    states = [concluded(store, tmp_path, blocked).state for _ in range(3)]
    assert states == ["queued", "queued", "failed"]
    with store.read() as work:
        problem = work.trials.get("trl_0").problem
    assert problem is not None
    assert (problem["type"], problem["detail"]) == ("/problems/worker-lost", "The results could not be stored.")


def test_a_full_storage_is_named(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    add_search(store, trials=1)
    run: TrialRun = begun(store, tmp_path)
    monkeypatch.setattr(store.artifacts, "write", full)
    run._conclude(Done(outcome(tmp_path)))
    with store.read() as work:
        told = [event.message for event in work.events.after("job_1", 0, 100)]
        assert work.trials.get(run.lease.row_id).state == "queued"
    assert any("The results could not be stored: the storage is full." in message for message in told)


def test_a_result_waits_for_a_storage_that_is_away(store: Store, tmp_path: Path) -> None:
    """The work is not done twice, and nothing is charged; the lease is renewed meanwhile."""
    add_search(store, trials=1)
    storage = use_failing_storage(store, failures=2)
    run = begun(store, tmp_path)
    run._conclude(Done(outcome(tmp_path)))
    with store.read() as work:
        trial = work.trials.get(run.lease.row_id)
    assert (trial.state, trial.attempt) == ("succeeded", 0)
    assert storage.failures == 0


def test_a_storage_that_stays_away_is_charged_once_the_patience_is_over(store: Store, tmp_path: Path) -> None:
    add_search(store, trials=1)
    storage = use_failing_storage(store, failures=1000)
    run = begun(store, tmp_path)
    run.runtime.settings.database_patience_seconds = 1.0
    run._conclude(Done(outcome(tmp_path)))
    with store.read() as work:
        trial = work.trials.get(run.lease.row_id)
    assert (trial.state, trial.attempt) == ("queued", 1)
    assert 1 < storage.tries < 10


def test_who_is_not_wanted_any_more_waits_for_no_storage(store: Store, tmp_path: Path) -> None:
    add_search(store, trials=1)
    storage = use_failing_storage(store, failures=1000)
    run = begun(store, tmp_path)
    with store.work() as work:
        work.jobs.move("job_1", "cancelling")
    run._conclude(Done(outcome(tmp_path)))
    assert storage.tries == 1
    with store.read() as work:
        assert work.trials.get(run.lease.row_id).state == "cancelled"


def test_who_drains_puts_back_what_cannot_be_stored(store: Store, tmp_path: Path) -> None:
    """As everything else, without a charge: it is no fault of the trial's."""
    add_search(store, trials=1)
    storage = use_failing_storage(store, failures=1000)
    run = begun(store, tmp_path)
    run.runtime.draining.set()
    run._conclude(Done(outcome(tmp_path)))
    assert storage.tries == 1
    with store.read() as work:
        trial = work.trials.get(run.lease.row_id)
    assert (trial.state, trial.attempt) == ("queued", 0)


def test_preparing_waits_for_a_storage_that_is_away() -> None:
    failures = iter([True] * 2)

    def act() -> str:
        if next(failures, False):
            raise StorageAway(errno.EIO, "The storage does not answer.")
        return "prepared"

    assert await_storage(act, lambda: "go_on", lambda: 60.0) == "prepared"


def test_a_database_that_is_away_too_ends_no_waiting() -> None:
    failures = iter([True])

    def act() -> str:
        if next(failures, False):
            raise StorageAway(errno.EIO, "The storage does not answer.")
        return "stored"

    def beat() -> Wish:
        raise OperationalError("UPDATE", {}, Exception("the database is away"))

    assert await_storage(act, beat, lambda: 60.0) == "stored"
