"""What a deployment tells of itself."""

import json
import logging

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.deployment.deployed import DAEMONS, SECRETS, Deployment, client_of
from tests.live import learn, until

pytestmark = pytest.mark.timeout(240)
CELERYS_LAST_WORDS = ("", "worker: Warm shutdown (MainProcess)")
"""It writes them past every logger."""
LEVELS = {logging.getLevelName(level).lower() for level in (logging.INFO, logging.WARNING, logging.ERROR)}


@pytest.fixture(scope="module")
def trials_before(deployed: Deployment) -> float:
    """How many trials were told of before one more job, which has succeeded."""
    before = figures(deployed).get("tunelens_trial_seconds_count", 0.0)
    with client_of(deployed) as client:
        job = client.wait(learn(client, each=12, backbone="simple_nn", epochs=1), timeout_seconds=120)
    assert job["state"] == "succeeded", job
    return before


def figures(deployed: Deployment) -> dict[str, float]:
    """Sums over workers."""
    with deployed.http as http:
        answer = http.get("/metrics")
    assert answer.status_code == 200, answer.text
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums


def test_figures_of_every_process_come_together(deployed: Deployment, trials_before: float) -> None:
    told = until(lambda: (now := figures(deployed))["tunelens_trial_seconds_count"] > trials_before and now)
    assert told["tunelens_queue_depth"] == 0
    assert figures(deployed)["tunelens_http_request_seconds_count"] > told["tunelens_http_request_seconds_count"]
    until(lambda: figures(deployed)["tunelens_workers"] == 3)  # killed ones are counted for as long as they may be back


@pytest.mark.usefixtures("trials_before")
def test_logs_are_objects_that_name_requests_and_trials_and_no_secret(deployed: Deployment) -> None:
    lines = []
    for name in DAEMONS:
        text = deployed.log(name)
        for secret in SECRETS.values():
            assert secret not in text
        lines += [json.loads(line) for line in text.splitlines() if line not in CELERYS_LAST_WORDS]
    assert {line["level"] for line in lines} <= LEVELS
    answered = [line for line in lines if line["logger"] == "service.traffic"]
    assert all(line["request_id"].startswith("req_") for line in answered)
    assert {line["route"] for line in answered} >= {"/v1/jobs", "/v1/datasets"}
    trials = [line for line in lines if line["message"].startswith("trial over")]
    assert trials
    assert all(line["job_id"].startswith("job_") and line["trial"] == 0 for line in trials)


def test_the_doctor_finds_nothing_wrong(deployed: Deployment) -> None:
    examined = deployed.run("api", ["python", "-m", "service.doctor", "--json"])
    findings = [json.loads(line) for line in examined.stdout.splitlines()]
    assert {finding["level"] for finding in findings} <= {"well", "look"}, examined.stdout
    assert {finding["part"] for finding in findings} >= {"secrets", "schema", "broker", "artifacts", "workers"}
    assert examined.returncode == 0
