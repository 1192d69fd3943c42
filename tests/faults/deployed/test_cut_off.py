"""A worker that alone cannot reach the database, for longer than its patience: case 14 of the fault list."""

import pytest

from client import Tunelens
from tests.deployment.deployed import Deployment, rows
from tests.faults.deployed.watching import ended_once, epochs, pid_of, submit, trial_of, trials_under
from tests.lines import line_to
from tests.live import frozen, gone, until
from tests.postgres import PostgresServer

pytestmark = [pytest.mark.faults, pytest.mark.timeout(290)]
WAIT_SECONDS = 120.0


def test_a_worker_cut_off_from_the_database_is_replaced_and_writes_nothing_when_it_is_back(
    deployed: Deployment, client: Tunelens, dataset_id: str, postgres: PostgresServer
) -> None:
    """It trains on until its patience is over; what it had sent meanwhile arrives, and changes no row."""
    first = pid_of(deployed, "worker-train")
    direct = deployed.environment("worker-train")["DATABASE_URL"]
    with line_to(postgres.port) as line:
        through = direct.replace(f":{postgres.port}/", f":{line.port}/")
        with deployed.another("worker-train", DATABASE_URL=through, TUNELENS_DATABASE_PATIENCE_SECONDS="6") as second:
            with frozen(first):
                job_id = submit(client, dataset_id, epochs=300)
                until(lambda: epochs(deployed, [job_id]) >= 2, WAIT_SECONDS)
            assert f":{second.pid}:" in str(trial_of(deployed, job_id)[2])
            (orphan,) = trials_under(second)
            line.cut()
            until(lambda: trial_of(deployed, job_id)[1] == 1, WAIT_SECONDS)
            until(lambda: f":{first}:" in str(trial_of(deployed, job_id)[2]), WAIT_SECONDS)
            until(lambda: trials_under(second) == [], WAIT_SECONDS)
            assert gone(orphan)
            until(lambda: "The database was away for too long." in deployed.log("worker-train"), WAIT_SECONDS)
            line.mend()
            assert ended_once(deployed, client, job_id) == 1
            assert rows(deployed, f"SELECT lease_token FROM trials WHERE job_id = '{job_id}'") == [(3,)]
            with frozen(first):
                assert ended_once(deployed, client, submit(client, dataset_id, epochs=1)) == 0, "it serves again"
