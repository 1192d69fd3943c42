"""Crashes, freezes and restarts of a deployment's processes under load: every job ends once, with one model at most."""

import os
import random
import signal
from typing import Any

import pytest

from client import Tunelens
from client.errors import TunelensError
from tests.deployment.deployed import DAEMONS, Deployment, rows
from tests.live import children_of, gone, job_spec, kill, until
from tests.postgres import PostgresServer

pytestmark = [pytest.mark.faults, pytest.mark.timeout(290)]
JOBS = 4
VICTIMS = ("trial", "worker-train", "worker-control", "api")


def submit(client: Tunelens, dataset_id: str, **training: Any) -> str:
    return str(client.submit_job(job_spec(dataset_id, backbone="simple_nn", **training))["id"])


def ended_once(deployed: Deployment, client: Tunelens, job_id: str) -> int:
    """How many attempts were charged."""
    job = until(lambda: settled(client, job_id), 150.0)
    assert job["state"] == "succeeded", job
    ends = f"SELECT seq FROM events WHERE job_id = '{job_id}' AND type = 'state' AND data->>'state' = 'succeeded'"
    assert len(rows(deployed, ends)) == 1
    assert rows(deployed, f"SELECT id FROM models WHERE job_id = '{job_id}'") == [(job["model_id"],)]
    (numbers,) = rows(deployed, f"SELECT array_agg(seq ORDER BY seq) FROM events WHERE job_id = '{job_id}'")
    assert numbers[0] == list(range(1, len(numbers[0]) + 1))
    ((state, attempt),) = rows(deployed, f"SELECT state, attempt FROM trials WHERE job_id = '{job_id}'")
    assert state == "succeeded"
    return int(attempt)


def settled(client: Tunelens, job_id: str) -> Any:
    """The job once it has ended; whatever a client meets while the API is away is no answer."""
    try:
        job = client.get(job_id)
    except TunelensError:
        return None
    return job if job["state"] in ("succeeded", "failed", "cancelled") else None


def epochs(deployed: Deployment, job_ids: list[str] | None = None) -> int:
    some = ", ".join(f"'{job_id}'" for job_id in job_ids or [])
    which = f"WHERE job_id IN ({some})" if job_ids else ""
    query = f"SELECT count(*) FROM epochs JOIN trials ON trials.id = trial_id {which}"
    return int(rows(deployed, query)[0][0])


def pid_of(deployed: Deployment, name: str) -> int:
    pid = deployed.child(name).pid
    assert pid is not None
    return pid


def test_the_database_crashes_in_mid_epoch(
    deployed: Deployment, client: Tunelens, dataset_id: str, postgres: PostgresServer
) -> None:
    job_id, queued = submit(client, dataset_id, epochs=60), submit(client, dataset_id, epochs=1)
    until(lambda: epochs(deployed, [job_id]) >= 2)
    before = [pid_of(deployed, name) for name in DAEMONS]
    (trial,) = deployed.trial_pids()
    try:
        postgres.crash()
    finally:
        postgres.start_again()
    assert ended_once(deployed, client, job_id) == 0
    assert ended_once(deployed, client, queued) == 0
    assert [pid_of(deployed, name) for name in DAEMONS] == before
    assert gone(trial)


def test_a_worker_that_froze_past_its_lease_writes_nothing_when_it_thaws(
    deployed: Deployment, client: Tunelens, dataset_id: str
) -> None:
    frozen = pid_of(deployed, "worker-train")
    job_id = submit(client, dataset_id, epochs=100)
    until(lambda: epochs(deployed, [job_id]) >= 2)
    (orphan,) = deployed.trial_pids()
    os.kill(frozen, signal.SIGSTOP)
    second = deployed.another("worker-train")
    try:
        until(lambda: rows(deployed, f"SELECT 1 FROM trials WHERE job_id = '{job_id}' AND attempt = 1"), 60.0)
        until(lambda: [pid for server in children_of(second.pid or 0) for pid in children_of(server)], 60.0)
        os.kill(frozen, signal.SIGCONT)
        assert gone(orphan), "its supervisor ends it as soon as it hears that it was replaced"
        assert ended_once(deployed, client, job_id) == 1
    finally:
        os.kill(frozen, signal.SIGCONT)
        second.terminate()
        until(lambda: not second.is_alive)


def test_a_rolling_restart_charges_nobody(deployed: Deployment, client: Tunelens, dataset_id: str) -> None:
    job_ids = [submit(client, dataset_id, epochs=40) for _ in range(2)]
    for name in ("worker-train", "api", "worker-control"):
        done = epochs(deployed, job_ids)
        until(lambda done=done: epochs(deployed, job_ids) > done)  # type: ignore[misc]
        before = pid_of(deployed, name)
        os.kill(before, signal.SIGTERM)
        until(lambda before=before, name=name: pid_of(deployed, name) != before)  # type: ignore[misc]
        until(deployed.is_ready)
    assert [ended_once(deployed, client, job_id) for job_id in job_ids] == [0, 0]
    until(deployed.is_ready)


def test_random_kills_over_queued_jobs(deployed: Deployment, client: Tunelens, dataset_id: str) -> None:
    """Of children, workers and the API, at random moments; nobody is hit so often that it has to be given up."""
    chance = random.Random(5)
    job_ids = [submit(client, dataset_id, epochs=12) for _ in range(JOBS)]
    for victim in chance.sample(VICTIMS, len(VICTIMS)):
        done = epochs(deployed, job_ids) + chance.randint(1, 6)
        until(lambda done=done: epochs(deployed, job_ids) >= min(done, 12 * JOBS - 1))  # type: ignore[misc]
        if victim == "trial":
            kill(until(deployed.trial_pids)[0])
        else:
            until(lambda victim=victim: deployed.child(victim).is_alive)  # type: ignore[misc]
            kill(pid_of(deployed, victim))
    assert 1 <= max(ended_once(deployed, client, job_id) for job_id in job_ids) <= 2
    until(lambda: deployed.trial_pids() == [])
    until(lambda: list((deployed.folder / "worker-train" / "scratch" / "trials").iterdir()) == [])
    query = "SELECT count(*) FROM artifact_chunks c LEFT JOIN artifacts a ON a.id = c.artifact_id WHERE a.id IS NULL"
    assert rows(deployed, query) == [(0,)]
    until(deployed.is_ready)
