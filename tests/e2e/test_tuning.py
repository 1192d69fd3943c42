"""Searches against the running service, on two train places at once."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live import Live, gone, job_spec, live_service, squares, until

pytestmark = pytest.mark.timeout(280)
SPACE = {
    "training.learning_rate": {"low": 1e-4, "high": 0.03, "log": True},
    "training.batch_size": {"choices": [8, 16, 32]},
}
PLOTS = ("tuning_history", "parameter_importances", "parallel_coordinate")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    slots = {"TUNELENS_TRAIN_SLOTS": "2", "TUNELENS_WORKER_THREADS": "1"}
    with live_service(tmp_path_factory.mktemp("tuning"), **slots) as service:
        yield service


@pytest.fixture(scope="module")
def dataset(live: Live) -> str:
    dataset_id: str = live.client.upload_dataset(squares(), wait_seconds=60)["id"]
    return dataset_id


def search(live: Live, dataset: str, *, epochs: int = 3, **tuning: Any) -> dict[str, Any]:
    spec = job_spec(dataset, epochs=epochs)
    return live.client.submit_job(spec | {"tuning": {"space": SPACE, "trials": 4, **tuning}})


def test_a_random_search_from_plan_to_pictures(live: Live, dataset: str) -> None:
    tuning = {"space": SPACE, "trials": 4, "parallel": 2, "strategy": "random", "pruner": "median"}
    plan = live.client.submit_job(job_spec(dataset) | {"tuning": tuning}, dry_run=True)
    job = live.client.wait(search(live, dataset, **tuning), timeout_seconds=200)
    assert job["state"] == "succeeded", job
    trials = live.client.trials(job["id"])
    assert [{"number": trial["number"], "params": trial["params"]} for trial in trials] == plan["first_trials"]
    assert (plan["trials"], trials[0]["params"]) == (4, {})
    losses = [trial["metrics"]["validation"]["loss"] for trial in trials]
    assert job["best_trial"] == losses.index(min(losses))
    assert job["metrics"]["validation"]["loss"] == min(losses)
    assert all("test" not in trial["metrics"] for trial in trials)
    assert job["progress"] == job["progress"] | {"trials_finished": 4, "trials_total": 4, "fraction": 1.0}
    told = [event.data["number"] for event in live.client.events(job["id"])
            if event.type == "trial" and event.data["state"] == "running"]  # fmt: skip
    assert sorted(told) == [0, 1, 2, 3]
    side_by_side = max(
        sum(other["started_at"] <= trial["started_at"] < other["finished_at"] for other in trials) for trial in trials
    )
    assert side_by_side == 2
    with live.http as http:
        for plot in PLOTS:
            for form, start in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("json", b"{")):
                answer = http.get(f"/v1/jobs/{job['id']}/plots/{plot}.{form}")
                assert (answer.status_code, answer.content[: len(start)]) == (200, start)
        history = http.get(f"/v1/jobs/{job['id']}/plots/tuning_history.json").json()["trials"]
        assert [trial["value"] for trial in history] == losses
        report = http.get(f"/v1/jobs/{job['id']}/report").text
        assert report.count("data:image/png") == 6
        assert "as written" in report
        config = http.get(f"/v1/models/{job['model_id']}/artifacts/card.md").text
        rate = trials[job["best_trial"]]["params"].get("training.learning_rate", 0.003)
        assert f"learning rate {rate:g}" in config


def test_a_bayesian_search_asks_once_ten_trials_were_drawn(live: Live, dataset: str) -> None:
    job = search(live, dataset, epochs=1, trials=11, parallel=2, strategy="bayesian", pruner="none")
    job = live.client.wait(job, timeout_seconds=200)
    assert job["state"] == "succeeded", job
    trials = live.client.trials(job["id"])
    assert [trial["number"] for trial in trials] == list(range(11))
    assert all(SPACE.keys() == trial["params"].keys() for trial in trials[1:])
    warnings = [event.message for event in live.client.events(job["id"]) if event.level == "warning"]
    assert not any("sampler" in message for message in warnings)


def test_hopeless_trials_are_pruned(live: Live, dataset: str) -> None:
    """Beside a baseline that learns, a rate at which nothing moves is given up after the first rung."""
    space = {"training.learning_rate": {"low": 1e-9, "high": 1e-8}}
    job = search(live, dataset, epochs=9, trials=6, strategy="random", pruner="hyperband", space=space)
    job = live.client.wait(job, timeout_seconds=200)
    assert (job["state"], job["best_trial"]) == ("succeeded", 0)
    pruned = [trial for trial in live.client.trials(job["id"]) if trial["state"] == "pruned"]
    assert pruned
    for trial in pruned:
        assert trial["stopped_by"] == "pruner"
        assert 1 <= len(trial["epochs"]) < 9
        assert trial["metrics"] == {"train": None, "validation": None}


def test_cancel_in_the_middle_of_a_search(live: Live, dataset: str) -> None:
    job = search(live, dataset, epochs=500, trials=20, parallel=2)
    until(lambda: len(live.trial_pids()) == 2)
    pids = live.trial_pids()
    assert live.client.cancel_job(job["id"], wait_seconds=20)["state"] == "cancelled"
    assert all(gone(pid) for pid in pids)
    assert {trial["state"] for trial in live.client.trials(job["id"])} == {"cancelled"}


def test_a_paused_search_goes_on_where_it_was(live: Live, dataset: str) -> None:
    tuning = {"strategy": "quasi_random", "parallel": 2, "pruner": "none"}
    straight = live.client.wait(search(live, dataset, epochs=4, **tuning), timeout_seconds=200)
    job = search(live, dataset, epochs=4, **tuning)
    until(lambda: live.client.get(job["id"])["progress"]["epoch"] >= 1)
    with live.http as http:
        assert http.post(f"/v1/jobs/{job['id']}/pause", headers={"Prefer": "wait=30"}).json()["state"] == "paused"
        assert live.trial_pids() == []
        assert http.post(f"/v1/jobs/{job['id']}/resume").status_code == 200
    resumed = live.client.wait(job["id"], timeout_seconds=200)
    assert (resumed["state"], resumed["best_trial"]) == ("succeeded", straight["best_trial"])
    assert resumed["metrics"] == straight["metrics"]
    params = [[trial["params"] for trial in live.client.trials(done["id"])] for done in (straight, resumed)]
    assert params[0] == params[1]


def test_a_search_that_has_reached_its_target_stops_the_rest(live: Live, dataset: str) -> None:
    job = search(live, dataset, epochs=1, trials=50, parallel=1, strategy="random", target_value=100.0)
    job = live.client.wait(job, timeout_seconds=120)
    assert (job["state"], job["progress"]["trials_total"], job["best_trial"]) == ("succeeded", 1, 0)
    with live.http as http:
        answer = http.get(f"/v1/jobs/{job['id']}/plots/parameter_importances.png")
        assert (answer.status_code, "at least two trials" in answer.json()["detail"]) == (404, True)


def test_a_trial_on_two_devices_ends_as_on_one_whatever_happens(live: Live, dataset: str) -> None:
    """One of its ranks is killed, which is one crash; then it is paused; the metrics are those of one device."""
    spec = job_spec(dataset, epochs=80, optimizer="sgd", learning_rate=0.01)
    spec |= {"backbone": {"name": "simple_nn", "dropout": 0.0}, "augmentation": {"policy": "none"}}
    alone = live.client.submit_job(spec)
    job = live.client.submit_job(spec | {"limits": {"devices": 2}})
    alone = live.client.wait(alone, timeout_seconds=100)
    until(lambda: live.client.get(job["id"])["progress"]["epoch"] >= 1)
    os.kill(live.trial_pids()[-1], signal.SIGKILL)
    until(lambda: live.client.trials(job["id"])[0]["attempt"] == 1)
    until(lambda: len(live.trial_pids()) == 2)
    with live.http as http:
        assert http.post(f"/v1/jobs/{job['id']}/pause", headers={"Prefer": "wait=30"}).json()["state"] == "paused"
        assert live.trial_pids() == []
        assert http.post(f"/v1/jobs/{job['id']}/resume").status_code == 200
        refused = http.post("/v1/jobs", json=spec | {"limits": {"devices": 3}})
    job = live.client.wait(job["id"], timeout_seconds=100)

    assert job["state"] == "succeeded", job
    assert (job["device"], alone["device"]) == ("2 x CPU, 1 thread", "CPU, 1 thread")
    for split in ("validation", "test"):
        assert job["metrics"][split]["loss"] == pytest.approx(alone["metrics"][split]["loss"], rel=1e-4)
    [trial] = live.client.trials(job["id"])
    assert (trial["attempt"], trial["micro_batch_size"]) == (1, 8)
    assert trial["peak_memory_bytes"] > 0
    warnings = [event.message for event in live.client.events(job["id"]) if event.level == "warning"]
    assert "trial 0: Rank" in " ".join(warnings)
    assert (refused.status_code, refused.json()["errors"][0]["loc"]) == (422, ["body", "limits", "devices"])
