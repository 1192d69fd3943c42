"""Machines whose clocks are wrong: leases go by the database's."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from client import Tunelens
from client.children import Child
from tests.deployment.deployed import Deployment, rows
from tests.faults.deployed.watching import epochs, pid_of, submit, trial_of
from tests.live import FAST, frozen, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]
LATE_SECONDS, EARLY_SECONDS = -600.0, 7200.0
WRONG = """
import os, time

offset, right, right_ns = float(os.environ["CLOCK_OFFSET_SECONDS"]), time.time, time.time_ns
time.time = lambda: right() + offset
time.time_ns = lambda: right_ns() + int(offset * 1e9)
"""


@contextmanager
def with_wrong_clock(deployed: Deployment, name: str, folder: Path, offset_seconds: float) -> Iterator[Child]:
    """One more process of a service, which Python tells another time from its very start."""
    (folder / "sitecustomize.py").write_text(WRONG)
    path = f"{folder}:{deployed.environment(name)['PYTHONPATH']}"
    with deployed.another(name, PYTHONPATH=path, CLOCK_OFFSET_SECONDS=str(offset_seconds)) as child:
        until(lambda: rows(deployed, f"SELECT 1 FROM workers WHERE id LIKE '%:{child.pid}:%'"), 120.0)
        yield child


def is_dated(deployed: Deployment, name: str, offset_seconds: float) -> bool:
    """Whether somebody has logged lately at a time that is as wrong as that."""
    wrong = datetime.now(UTC) + timedelta(seconds=offset_seconds)
    lines = [json.loads(line) for line in deployed.log(name).splitlines() if line.startswith("{")]
    return any(abs(datetime.fromisoformat(line["at"]) - wrong) < timedelta(seconds=120) for line in lines)


def test_wrong_clocks_lose_no_lease(deployed: Deployment, client: Tunelens, dataset_id: str, tmp_path: Path) -> None:
    """A train worker ten minutes late, and a sweeper two hours early: what is worst for a lease."""
    lease_seconds = float(FAST["TUNELENS_LEASE_SECONDS"])
    with (
        with_wrong_clock(deployed, "worker-train", tmp_path, LATE_SECONDS) as late,
        with_wrong_clock(deployed, "worker-control", tmp_path, EARLY_SECONDS),
        frozen(pid_of(deployed, "worker-train")),
    ):
        job_id = submit(client, dataset_id, epochs=1000)
        until(lambda: epochs(deployed, [job_id]) >= 1, 120.0)
        owner = trial_of(deployed, job_id)[2]
        assert f":{late.pid}:" in str(owner)
        began = time.monotonic()
        left = "SELECT lease_expires_at - extract(epoch FROM clock_timestamp()) FROM trials"
        while time.monotonic() - began < 2 * lease_seconds:
            assert 0.0 < float(rows(deployed, f"{left} WHERE job_id = '{job_id}'")[0][0]) <= lease_seconds
            time.sleep(0.2)
        assert trial_of(deployed, job_id) == ("running", 0, owner)
        assert is_dated(deployed, "worker-train", LATE_SECONDS)
        assert is_dated(deployed, "worker-control", EARLY_SECONDS)
        assert client.cancel_job(job_id, wait_seconds=30)["state"] == "cancelled"
