"""Crashes, freezes and restarts of a deployment's processes under load: every job ends once, with one model at most."""

import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from client import Tunelens
from tests.deployment.deployed import DAEMONS, Deployment, client_of, rows
from tests.faults.deployed.watching import ended_once, epochs, pid_of, submit, trial_of, trials_under
from tests.live import FAST, frozen, gone, kill, until
from tests.postgres import PostgresServer

pytestmark = [pytest.mark.faults, pytest.mark.timeout(290)]
PATIENCE_SECONDS = 120.0
"""With what takes a moment, on a machine with too much to do."""
JOBS = 4
VICTIMS = ("trial", "worker-train", "worker-control", "api")


def test_the_database_crashes_in_mid_epoch(
    deployed: Deployment, client: Tunelens, dataset_id: str, postgres: PostgresServer
) -> None:
    job_id, queued = submit(client, dataset_id, epochs=200), submit(client, dataset_id, epochs=1)
    until(lambda: epochs(deployed, [job_id]) >= 2)
    before = [pid_of(deployed, name) for name in DAEMONS]
    (trial,) = deployed.trial_pids()
    postgres.crash()
    try:
        time.sleep(float(FAST["TUNELENS_LEASE_SECONDS"]) + 0.5)  # every lease has lapsed when it is back
    finally:
        postgres.start_again()
    assert ended_once(deployed, client, job_id) == 0
    assert ended_once(deployed, client, queued) == 0
    tokens = f"SELECT lease_token FROM trials WHERE job_id IN ('{job_id}', '{queued}')"
    assert rows(deployed, tokens) == [(1,), (1,)], "whoever had it has renewed it"
    assert [pid_of(deployed, name) for name in DAEMONS] == before
    assert gone(trial)


def test_a_worker_that_froze_past_its_lease_writes_nothing_when_it_thaws(
    deployed: Deployment, client: Tunelens, dataset_id: str
) -> None:
    first = pid_of(deployed, "worker-train")
    job_id = submit(client, dataset_id, epochs=100)
    until(lambda: epochs(deployed, [job_id]) >= 2)
    (orphan,) = deployed.trial_pids()
    with deployed.another("worker-train") as second:
        with frozen(first):
            until(lambda: trial_of(deployed, job_id)[1] == 1, PATIENCE_SECONDS)
            until(lambda: trials_under(second), PATIENCE_SECONDS)
        assert gone(orphan), "its supervisor ends it as soon as it hears that it was replaced"
        assert ended_once(deployed, client, job_id) == 1


def test_a_rolling_restart_charges_nobody(deployed: Deployment, client: Tunelens, dataset_id: str) -> None:
    """A second SIGTERM changes nothing; a client that reads events along the way misses none."""
    count = 40
    job_ids = [submit(client, dataset_id, epochs=count) for _ in range(2)]
    with ThreadPoolExecutor(1) as pool, client_of(deployed) as reader:
        read = pool.submit(lambda: [event.seq for event in reader.events(job_ids[0])])
        for name in ("worker-train", "api", "worker-control", "worker-explain"):
            done = epochs(deployed, job_ids)
            until(lambda done=done: epochs(deployed, job_ids) > min(done, 2 * count - 1), PATIENCE_SECONDS)  # type: ignore[misc]
            before = pid_of(deployed, name)
            os.kill(before, signal.SIGTERM)
            time.sleep(0.1)
            with suppress(ProcessLookupError):  # it was quick
                os.kill(before, signal.SIGTERM)
            until(lambda before=before, name=name: pid_of(deployed, name) != before, PATIENCE_SECONDS)  # type: ignore[misc]
            until(deployed.is_ready, PATIENCE_SECONDS)
        assert [ended_once(deployed, client, job_id) for job_id in job_ids] == [0, 0]
        seen = read.result(PATIENCE_SECONDS)
    assert seen == list(range(1, len(seen) + 1))
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
