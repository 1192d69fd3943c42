"""What becomes of jobs while a deployment is being disturbed, as its rows tell."""

from typing import Any

from client import Tunelens
from client.children import Child
from client.errors import TunelensError
from tests.deployment.deployed import Deployment, rows
from tests.live import children_of, job_spec, until


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


def trials_under(worker: Child) -> list[int]:
    """Children in which a worker's trials run."""
    return [pid for server in children_of(worker.pid or 0) for pid in children_of(server)]


def trial_of(deployed: Deployment, job_id: str) -> tuple[str, int, str | None]:
    """State, attempts that were charged, and who holds the job's only trial."""
    (found,) = rows(deployed, f"SELECT state, attempt, lease_owner FROM trials WHERE job_id = '{job_id}'")
    return found  # type: ignore[return-value]
