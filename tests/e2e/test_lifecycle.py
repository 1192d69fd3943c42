"""The life of a job against the running service: cancelled, paused, diverged, deleted."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.live import (
    COLOURS,
    Live,
    children_of,
    epochs_done,
    gone,
    job_spec,
    live_service,
    square_png,
    squares,
    until,
)

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live_service(tmp_path_factory.mktemp("lives")) as service:
        yield service


def test_s40_cancel_ends_the_child(live: Live) -> None:
    running = live.learn(epochs=500)
    waiting = live.learn(epochs=500)
    until(lambda: epochs_done(live, running["id"]) >= 1)
    (pid,) = live.trial_pids()
    assert live.client.cancel_job(waiting["id"], wait_seconds=10)["state"] == "cancelled"
    assert live.client.cancel_job(running["id"], wait_seconds=10)["state"] == "cancelled"
    assert gone(pid)
    until(lambda: list((live.embedded.data_dir / "scratch" / "trials").iterdir()) == [])
    assert live.client.get(running["id"])["model_id"] is None
    with live.http as http:
        again = http.post(f"/v1/jobs/{running['id']}/cancel")
        assert (again.status_code, again.json()["type"]) == (409, "/problems/conflict")
        assert "`cancelled`" in again.json()["detail"]
        assert http.delete(f"/v1/jobs/{running['id']}").status_code == 204
        assert http.get(f"/v1/jobs/{running['id']}").status_code == 404


def test_pause_and_resume_give_the_same_figures(live: Live) -> None:
    fields = {"epochs": 12}
    straight = live.client.wait(live.learn(**fields), timeout_seconds=120)
    paused = live.learn(**fields)
    until(lambda: epochs_done(live, paused["id"]) >= 2)
    with live.http as http:
        answer = http.post(f"/v1/jobs/{paused['id']}/pause", headers={"Prefer": "wait=20"}).json()
        assert (answer["state"], answer["model_id"]) == ("paused", None)
        assert children_of(live.pid("train worker"))
        assert live.trial_pids() == []
        assert http.post(f"/v1/jobs/{paused['id']}/resume").status_code == 200
    resumed = live.client.wait(paused["id"], timeout_seconds=120)
    assert resumed["metrics"] == straight["metrics"]
    states = [event.data["state"] for event in live.client.events(paused["id"]) if event.type == "state"]
    assert states == ["queued", "running", "pausing", "paused", "queued", "running", "succeeded"]


def test_s47_a_deleted_dataset_leaves_nothing_in_the_cache(live: Live) -> None:
    dataset = live.client.upload_dataset(squares(each=12), wait_seconds=60)
    job = live.client.submit_job(job_spec(dataset["id"], epochs=1))
    assert live.client.wait(job["id"], timeout_seconds=120)["state"] == "succeeded"
    folder = live.embedded.data_dir / "cache" / dataset["digest"].removeprefix("sha256:")
    assert {path.name.partition("-")[0] for path in folder.iterdir()} == {"archive", "pixels"}
    with live.http as http:
        assert http.delete(f"/v1/datasets/{dataset['id']}?cascade=true").status_code == 204
        until(lambda: not folder.exists())


def test_divergence_is_told(live: Live) -> None:
    wild = {"learning_rate": 100.0, "optimizer": "sgd", "gradient_clip_norm": None, "epochs": 10}
    job = live.client.wait(live.learn(backbone="simple_nn", **wild), timeout_seconds=60)
    assert (job["state"], job["problem"]["type"]) == ("failed", "/problems/diverged")


def test_what_was_left_open_is_found_and_told(live: Live) -> None:
    job = live.client.wait(live.learn(epochs=2, learning_rate="auto", batch_size="auto"), timeout_seconds=60)
    [trial] = live.client.trials(job["id"])
    [told] = [event for event in live.client.events(job["id"]) if event.type == "log" and "curve" in event.data]
    with live.http as http:
        file = http.get(f"/v1/models/{job['model_id']}/artifacts/learning_rate_finder.json").json()

    rate = told.data["learning_rate"]
    assert job["spec"]["training"]["learning_rate"] == "auto"
    assert trial["effective"]["training.learning_rate"] == rate == file["learning_rate"]
    assert trial["effective"]["training.backbone_learning_rate"] == rate
    assert trial["effective"]["training.batch_size"] == 8
    assert told.data["curve"] == file["curve"]


def test_a_dry_run_accepts_nothing(live: Live) -> None:
    job = live.client.wait(live.learn(epochs=1), timeout_seconds=60)
    before = len(list(live.client.browse("jobs")))
    plan = live.client.submit_job(job["spec"], dry_run=True)
    assert plan["spec"] == job["spec"]
    assert plan["trials"] == 1
    assert len(list(live.client.browse("jobs"))) == before


def test_s47_cascade_deletes_all_that_was_learned(live: Live) -> None:
    picture = square_png(np.random.default_rng(11), COLOURS["red"])
    job = live.client.wait(live.learn(epochs=1), timeout_seconds=60)
    explanation = live.client.explain(job["model_id"], [picture], {"method": "grad_cam"})
    urls = [
        f"/v1/datasets/{job['dataset_id']}",
        f"/v1/jobs/{job['id']}",
        f"/v1/models/{job['model_id']}",
        f"/v1/models/{job['model_id']}/artifacts/model.safetensors",
        f"/v1/explanations/{explanation['id']}",
        explanation["items"][0]["targets"][0]["overlay_url"],
    ]
    with live.http as http:
        assert {http.get(url).status_code for url in urls} == {200}
        assert http.delete(f"/v1/datasets/{job['dataset_id']}?cascade=true").status_code == 204
        assert {http.get(url).status_code for url in urls} == {404}


def test_s11_keys_are_found_only_where_they_belong(live: Live) -> None:
    data_dir: Path = live.embedded.data_dir
    assert (data_dir / "admin.key").stat().st_mode & 0o777 == 0o600
    for log in live.embedded.logs.glob("*.log"):
        assert live.embedded.admin_key not in log.read_text()
