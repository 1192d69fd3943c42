"""Killed around the commit that accepts a job: there is one, or none, and whoever repeats the request gets one."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import psycopg
import pytest

from client import Tunelens
from tests.deployment.deployed import Deployment, rows
from tests.faults.deployed.watching import ended_once, pid_of
from tests.live import job_spec, kill, until
from tests.postgres import PostgresServer

pytestmark = [pytest.mark.faults, pytest.mark.timeout(290)]
STANDING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO jobs %'"


def post(deployed: Deployment, dataset_id: str, name: str, wait_seconds: int = 0) -> httpx.Response:
    """Submits a job of that name, which is its idempotency key as well."""
    headers = {"Idempotency-Key": name, "Prefer": f"wait={wait_seconds}"}
    spec = {**job_spec(dataset_id, backbone="simple_nn", epochs=1), "name": name}
    with deployed.http as http:
        return http.post("/v1/jobs", json=spec, headers=headers)


def accepted(deployed: Deployment, name: str) -> list[str]:
    return [row[0] for row in rows(deployed, f"SELECT id FROM jobs WHERE name = '{name}'")]


@contextmanager
def without_messages(deployed: Deployment) -> Iterator[None]:
    """The broker takes nothing, and has lost everything when it is back."""
    deployed.redis.freeze()
    try:
        yield
    finally:
        deployed.redis.kill()
        deployed.redis.start()


def kill_the_api(deployed: Deployment, unanswered: "Future[httpx.Response]") -> None:
    kill(pid_of(deployed, "api"))
    with pytest.raises(httpx.TransportError):
        unanswered.result(60)


def test_killed_before_the_commit_nothing_is_accepted(deployed: Deployment, client: Tunelens, dataset_id: str) -> None:
    """The repeat is told to wait while the first request may still be at work, and then accepted, once."""
    name = "before-the-commit"
    with ThreadPoolExecutor(1) as pool, psycopg.connect(deployed.database_url) as held:
        held.execute("LOCK TABLE jobs IN SHARE MODE")
        unanswered = pool.submit(post, deployed, dataset_id, name)
        until(lambda: rows(deployed, "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'RowExclusiveLock'"))
        kill_the_api(deployed, unanswered)
    until(deployed.is_ready, 120.0)
    assert accepted(deployed, name) == []
    assert post(deployed, dataset_id, name).status_code == 409
    with psycopg.connect(deployed.database_url) as later:
        later.execute("UPDATE idempotency_keys SET created_at = created_at - 121 WHERE key = %s", [name])
    answers = [post(deployed, dataset_id, name) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert [answer.json()["id"] for answer in answers] == accepted(deployed, name) * 2
    assert ended_once(deployed, client, answers[0].json()["id"]) == 0


def test_killed_between_commit_and_nudge_the_job_runs(deployed: Deployment, client: Tunelens, dataset_id: str) -> None:
    """And its client, who never heard of it, finds it under the same key."""
    name = "after-the-commit"
    with ThreadPoolExecutor(1) as pool, without_messages(deployed):
        unanswered = pool.submit(post, deployed, dataset_id, name, 60)
        (job_id,) = until(lambda: accepted(deployed, name))
        kill_the_api(deployed, unanswered)
    until(deployed.is_ready, 120.0)
    again = post(deployed, dataset_id, name)
    assert (again.status_code, again.json()["id"], again.headers["Idempotency-Replayed"]) == (201, job_id, "true")
    assert ended_once(deployed, client, job_id) == 0
    assert accepted(deployed, name) == [job_id]


def test_the_database_restarts_between_commit_and_nudge(
    deployed: Deployment, client: Tunelens, dataset_id: str, postgres: PostgresServer
) -> None:
    with without_messages(deployed):
        answer = post(deployed, dataset_id, "restarted")
        assert answer.status_code == 201, answer.text
        postgres.crash()
        postgres.start_again()
    assert ended_once(deployed, client, answer.json()["id"]) == 0
