"""Jobs that kill whoever works at them, and datasets that are deleted under way: others do not suffer."""

import os
import signal

import pytest

from client import Tunelens
from tests.deployment.deployed import Deployment, rows
from tests.faults.deployed.watching import ended_once, epochs, settled, submit, trial_of
from tests.live import gone, squares, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]


def test_a_job_that_kills_its_process_fails_and_the_next_one_is_done(
    deployed: Deployment, client: Tunelens, dataset_id: str
) -> None:
    poison = submit(client, dataset_id, epochs=500)
    harmless = submit(client, dataset_id, epochs=1)
    killed: set[int] = set()
    for attempt in range(3):
        until(lambda attempt=attempt: trial_of(deployed, poison)[:2] == ("running", attempt))  # type: ignore[misc]
        (pid,) = until(lambda: set(deployed.trial_pids()) - killed)
        os.kill(pid, signal.SIGSEGV)
        killed.add(pid)
    job = until(lambda: settled(client, poison))
    assert (job["state"], job["problem"]["type"]) == ("failed", "/problems/worker-lost")
    assert "exit code -11" in job["problem"]["detail"]
    assert trial_of(deployed, poison) == ("failed", 3, None)
    assert ended_once(deployed, client, harmless) == 0
    until(lambda: deployed.trial_pids() == [])


def test_a_dataset_in_use_is_not_deleted_and_once_its_job_is_stopped_nothing_stays(
    deployed: Deployment, client: Tunelens
) -> None:
    dataset_id = client.upload_dataset(squares(each=12, size=24), wait_seconds=60)["id"]
    job_id = submit(client, dataset_id, epochs=500)
    until(lambda: epochs(deployed, [job_id]) >= 2)
    (pid,) = deployed.trial_pids()
    with deployed.http as http:
        for cascade in ("false", "true"):
            assert http.delete(f"/v1/datasets/{dataset_id}?cascade={cascade}").status_code == 409
        assert trial_of(deployed, job_id)[:2] == ("running", 0)
        assert client.cancel_job(job_id, wait_seconds=30)["state"] == "cancelled"
        assert http.delete(f"/v1/datasets/{dataset_id}?cascade=true").status_code == 204
    assert gone(pid)
    left = {
        "datasets": f"id = '{dataset_id}'",
        "jobs": f"id = '{job_id}'",
        "trials": f"job_id = '{job_id}'",
        "events": f"job_id = '{job_id}'",
        "epochs": "trial_id NOT IN (SELECT id FROM trials)",
        "artifacts": f"owner_id = '{dataset_id}'",
        "artifact_chunks": "artifact_id NOT IN (SELECT id FROM artifacts)",
    }
    for table, where in left.items():
        assert rows(deployed, f"SELECT count(*) FROM {table} WHERE {where}") == [(0,)], table
    until(lambda: list((deployed.folder / "worker-train" / "scratch" / "trials").iterdir()) == [])
