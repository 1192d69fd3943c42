"""Redis goes, hangs and comes back: no accepted request is refused for it, and no job lost or done twice."""

import os
from typing import Any

import httpx
import pytest

from client import Tunelens
from tests.deployment.deployed import DAEMONS, SECRETS, Deployment
from tests.live import job_spec, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]
PATIENCE_SECONDS = 2.0
"""Of a client that submits. Publishing to a broker that hangs takes 6 s; submitting takes 0.1 s with or without one,
and half a second on a machine with five times the work that it can do.
"""


def submit(deployed: Deployment, dataset_id: str, **training: Any) -> str:
    """By a client without patience."""
    headers = {"Authorization": f"Bearer {SECRETS['TUNELENS_ADMIN_KEY']}"}
    spec = job_spec(dataset_id, backbone="simple_nn", **training)
    answer = httpx.post(f"{deployed.url}/v1/jobs", json=spec, headers=headers, timeout=PATIENCE_SECONDS)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def pids(deployed: Deployment) -> list[int | None]:
    return [deployed.child(name).pid for name in DAEMONS]


def ended_once(client: Tunelens, job_id: str) -> None:
    job = client.wait(job_id, timeout_seconds=120)
    assert job["state"] == "succeeded", job
    (trial,) = client.trials(job_id)
    assert trial["attempt"] == 0
    events = list(client.events(job_id))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.data["state"] for event in events if event.type == "state"] == ["queued", "running", "succeeded"]
    assert [model["id"] for model in client.browse("models") if model["job_id"] == job_id] == [job["model_id"]]


def epochs(client: Tunelens, job_id: str) -> int:
    return int(client.get(job_id)["progress"]["epoch"])


def test_a_restart_of_the_broker_in_mid_training(deployed: Deployment, client: Tunelens, dataset_id: str) -> None:
    before = pids(deployed)
    running = submit(deployed, dataset_id, epochs=60)
    queued = [submit(deployed, dataset_id, epochs=1) for _ in range(2)]
    until(lambda: epochs(client, running) >= 2)
    with deployed.redis.away():
        seen = epochs(client, running)
        until(lambda: epochs(client, running) > seen + 2)
    for job_id in (running, *queued):
        ended_once(client, job_id)
    assert pids(deployed) == before
    until(deployed.is_ready)


def test_a_job_submitted_without_a_broker_runs_when_it_is_back(
    deployed: Deployment, client: Tunelens, dataset_id: str
) -> None:
    with deployed.redis.away():
        ready = httpx.get(f"{deployed.url}/readyz", timeout=30.0)
        assert (ready.status_code, "broker" in ready.json()["detail"]) == (503, True)
        job_id = submit(deployed, dataset_id, epochs=1)
        assert client.get(job_id)["state"] == "queued"
    ended_once(client, job_id)


def test_a_broker_that_hangs_keeps_no_client_waiting(deployed: Deployment, client: Tunelens, dataset_id: str) -> None:
    deployed.redis.freeze()
    try:
        job_ids = [submit(deployed, dataset_id, epochs=1) for _ in range(3)]
        assert httpx.get(f"{deployed.url}/healthz", timeout=PATIENCE_SECONDS).status_code == 200
    finally:
        deployed.redis.thaw()
    for job_id in job_ids:
        ended_once(client, job_id)


def test_events_are_streamed_while_the_broker_goes_and_comes(
    deployed: Deployment, client: Tunelens, dataset_id: str
) -> None:
    job_id = submit(deployed, dataset_id, epochs=30)
    seen: list[int] = []
    gone_at = 0
    for event in client.events(job_id):
        seen.append(event.seq)
        if event.type == "epoch" and event.data["epoch"] == 3:
            with deployed.redis.away():
                gone_at = event.seq
    assert 0 < gone_at < seen[-1]
    assert seen == list(range(1, len(seen) + 1))
    ended_once(client, job_id)


def test_a_cancelled_job_gives_its_process_back(deployed: Deployment, client: Tunelens, dataset_id: str) -> None:
    job_id = submit(deployed, dataset_id, epochs=500)
    until(lambda: epochs(client, job_id) >= 1)
    (pid,) = deployed.trial_pids()
    assert client.cancel_job(job_id, wait_seconds=30)["state"] == "cancelled"
    until(lambda: not os.path.exists(f"/proc/{pid}"))
