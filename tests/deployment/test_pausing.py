"""A paused job goes on as if nothing had been, on PostgreSQL and Redis."""

from typing import Any

import pytest

from client import Tunelens
from tests.deployment.deployed import Deployment, client_of
from tests.live import job_spec, squares, until

pytestmark = pytest.mark.timeout(240)
EXACT = 1e-6


def numbers(node: Any, path: str = "") -> dict[str, float]:
    """Every number of nested metrics by its path."""
    if isinstance(node, int | float):
        return {path: float(node)}
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return {key: value for name, child in inside for key, value in numbers(child, f"{path}.{name}").items()}


def paused_and_resumed(client: Tunelens, deployed: Deployment, spec: dict[str, Any]) -> dict[str, Any]:
    job = client.submit_job(spec)
    until(lambda: client.get(job["id"])["progress"]["epoch"] >= 2)
    with deployed.http as http:
        wait = {"Prefer": "wait=30"}
        paused = http.post(f"/v1/jobs/{job['id']}/pause", headers=wait).json()
        assert (paused["state"], paused["model_id"]) == ("paused", None), paused
        assert deployed.trial_pids() == []
        assert http.post(f"/v1/jobs/{job['id']}/resume").status_code == 200
    return client.wait(job["id"], timeout_seconds=120)


def test_resumed_figures_are_those_of_an_uninterrupted_job(deployed: Deployment) -> None:
    with client_of(deployed) as client:
        dataset = client.upload_dataset(squares(each=16), wait_seconds=60)
        spec = job_spec(dataset["id"], epochs=20)
        straight = client.wait(client.submit_job(spec), timeout_seconds=120)
        resumed = paused_and_resumed(client, deployed, spec)
        courses = [client.trials(job["id"])[0]["epochs"] for job in (straight, resumed)]
        digests = [client.get(job["model_id"])["digest"] for job in (straight, resumed)]
    assert resumed["state"] == straight["state"] == "succeeded"
    figures = numbers(straight["metrics"])
    assert len(figures) > 20
    assert numbers(resumed["metrics"]) == pytest.approx(figures, abs=EXACT)
    for course in courses:
        for epoch in course:
            epoch.pop("seconds")
    assert numbers(courses[1]) == pytest.approx(numbers(courses[0]), abs=EXACT)
    assert digests[0] == digests[1], "bit for bit"
