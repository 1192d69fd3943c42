"""kill -9 in the middle of a search: the same trials, the same winner, nothing twice."""

from pathlib import Path
from typing import Any

import pytest

from tests.live import Live, gone, job_spec, kill, live_service, squares, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]
SPACE = {"training.learning_rate": {"low": 1e-4, "high": 0.03, "log": True}}
TUNING = {"space": SPACE, "strategy": "quasi_random", "trials": 4, "parallel": 2, "pruner": "none"}


def submit(live: Live, dataset_id: str) -> dict[str, Any]:
    return live.client.submit_job(job_spec(dataset_id, epochs=8) | {"tuning": TUNING})


def test_a_killed_worker_changes_nothing_of_a_search(tmp_path: Path) -> None:
    slots = {"TUNELENS_TRAIN_SLOTS": "2", "TUNELENS_WORKER_THREADS": "1"}
    with live_service(tmp_path, **slots) as live:
        dataset = live.client.upload_dataset(squares(), wait_seconds=60)
        straight = live.client.wait(submit(live, dataset["id"]), timeout_seconds=120)
        job = submit(live, dataset["id"])
        until(lambda: live.client.get(job["id"])["progress"]["epoch"] >= 2)
        pids = live.trial_pids()
        kill(live.pid("train worker"))
        assert pids
        assert all(gone(pid) for pid in pids)
        killed = live.client.wait(job["id"], timeout_seconds=120)
        assert (killed["state"], killed["best_trial"]) == ("succeeded", straight["best_trial"])
        assert killed["metrics"] == straight["metrics"]
        for key in ("params", "best_epoch"):
            told = [[trial[key] for trial in live.client.trials(done["id"])] for done in (straight, killed)]
            assert told[0] == told[1]
        models = [model for model in live.client.browse("models") if model["job_id"] == job["id"]]
        assert [model["id"] for model in models] == [killed["model_id"]]
