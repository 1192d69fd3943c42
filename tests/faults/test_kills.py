"""kill -9 in the middle of a job, of whatever has a part in it: one finished job, one model, the same figures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.store import Store
from tests.live import Live, epochs_done, gone, kill, live_service, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]
EPOCHS = 12


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def live(data_dir: Path) -> Iterator[Live]:
    with live_service(data_dir) as service:
        yield service


@pytest.fixture(scope="module")
def undisturbed(live: Live) -> dict[str, Any]:
    """The figures of a job that nothing happened to."""
    job = live.client.wait(live.learn(epochs=EPOCHS), timeout_seconds=120)
    assert job["state"] == "succeeded", job
    return job


def finished_once(live: Live, job_id: str, undisturbed: dict[str, Any]) -> dict[str, Any]:
    job = live.client.wait(job_id, timeout_seconds=120)
    assert job["state"] == "succeeded", job
    models = [model for model in live.client.browse("models") if model["job_id"] == job_id]
    assert [model["id"] for model in models] == [job["model_id"]]
    events = list(live.client.events(job_id))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    ends = [event for event in events if event.type == "state" and event.data["state"] == "succeeded"]
    assert len(ends) == 1
    (trial,) = live.client.trials(job_id)
    assert [epoch["epoch"] for epoch in trial["epochs"]] == list(range(1, EPOCHS + 1))
    assert job["metrics"] == undisturbed["metrics"]
    digest = live.client.get(undisturbed["model_id"])["digest"]
    assert models[0]["digest"] == digest
    return trial


def test_killed_child(live: Live, undisturbed: dict[str, Any]) -> None:
    job = live.learn(epochs=EPOCHS)
    until(lambda: epochs_done(live, job["id"]) >= 3)
    (pid,) = live.trial_pids()
    kill(pid)
    trial = finished_once(live, job["id"], undisturbed)
    assert trial["attempt"] == 1


def test_s36_killed_worker(live: Live, undisturbed: dict[str, Any]) -> None:
    job = live.learn(epochs=EPOCHS)
    until(lambda: epochs_done(live, job["id"]) >= 3)
    (pid,) = live.trial_pids()
    kill(live.pid("train worker"))
    assert gone(pid)
    trial = finished_once(live, job["id"], undisturbed)
    assert trial["attempt"] == 1


def test_killed_api(live: Live, undisturbed: dict[str, Any]) -> None:
    job = live.learn(epochs=EPOCHS)
    kill(live.pid("API"))

    def answers() -> bool:
        try:
            return bool(live.client.get(job["id"]))
        except Exception:  # noqa: BLE001 - whatever a client meets while the API is away
            return False

    until(answers)
    finished_once(live, job["id"], undisturbed)


def test_lost_nudge(live: Live, data_dir: Path, undisturbed: dict[str, Any]) -> None:
    """With every message gone, the sweeper finds the work."""
    with live.http as http:
        busy = live.learn(epochs=EPOCHS)
        until(lambda: epochs_done(live, busy["id"]) >= 1)
        job = live.learn(epochs=EPOCHS)
        for message in (data_dir / "broker" / "messages").glob("*.msg"):
            message.unlink(missing_ok=True)
        assert http.post(f"/v1/jobs/{busy['id']}/cancel").status_code == 200
    finished_once(live, job["id"], undisturbed)


def test_doubled_nudges(live: Live, data_dir: Path, undisturbed: dict[str, Any]) -> None:
    from service.queue import CeleryNudges
    from service.settings import Settings
    from service.specs.tasks import RUN_TRIALS

    nudges = CeleryNudges(Settings(data_dir=data_dir))
    job = live.learn(epochs=EPOCHS)
    for _ in range(5):
        nudges.nudge(RUN_TRIALS)
    trial = finished_once(live, job["id"], undisturbed)
    assert trial["attempt"] == 0


def test_everything_killed_and_started_again(tmp_path: Path, live: Live, undisturbed: dict[str, Any]) -> None:
    """As after a power cut: what ran goes on from its checkpoint, what waited is begun."""
    with live_service(tmp_path, tended=False) as first:
        running, queued = first.learn(epochs=EPOCHS), first.learn(epochs=EPOCHS)
        until(lambda: epochs_done(first, running["id"]) >= 3)
        for title in ("train worker", "explain worker", "API"):
            kill(first.pid(title))
    with live_service(tmp_path) as second:
        for job in (running, queued):
            ended = second.client.wait(job["id"], timeout_seconds=120)
            assert ended["state"] == "succeeded", ended
            assert ended["metrics"] == undisturbed["metrics"]
        assert len(list(second.client.browse("models"))) == 2


def test_stopped_and_started_again(tmp_path: Path, live: Live, undisturbed: dict[str, Any]) -> None:
    """Ctrl-C drains: the trial is put back without an attempt being charged, and goes on at the next start."""
    with live_service(tmp_path) as first:
        job = first.learn(epochs=EPOCHS)
        until(lambda: epochs_done(first, job["id"]) >= 3)
    with live_service(tmp_path) as second:
        ended = second.client.wait(job["id"], timeout_seconds=120)
        assert (ended["state"], ended["metrics"]) == ("succeeded", undisturbed["metrics"])
        (trial,) = second.client.trials(job["id"])
        assert trial["attempt"] == 0


def test_killed_export(live: Live, data_dir: Path, undisturbed: dict[str, Any]) -> None:
    """The child, then the worker with its child: the model is exported all the same, and both are charged for."""
    model = undisturbed["model_id"]
    with live.http as http:
        asked = http.post(f"/v1/models/{model}/exports", json={"format": "onnx"}, headers={"Prefer": "wait=0"})
        assert asked.status_code == 202
    (child,) = until(live.trial_pids)
    kill(child)
    (again,) = until(lambda: [pid for pid in live.trial_pids() if pid != child])
    kill(live.pid("train worker"))
    assert gone(again)
    exported = live.client.wait(live.client.export(model, "onnx"), timeout_seconds=120)
    assert exported["state"] == "succeeded", exported
    store = Store(f"sqlite:///{data_dir / 'tunelens.db'}")
    with store.read() as work:
        assert [(row.state, row.attempt) for row in work.exports.of(model)] == [("succeeded", 2)]
    store.close()
