"""The moment of a claim, against whatever else happens to the job in it."""

from pathlib import Path

import pytest

from service.settings import Settings
from service.store import Store
from tests.nudges import Recorded
from tests.rows import add_job, add_project
from worker.runtime.claims import _begin, claim_trial
from worker.runtime.context import Runtime
from worker.runtime.devices import Device, Devices, visible_devices


def make_runtime(store: Store, data_dir: Path) -> Runtime:
    devices = Devices([Device("cpu", "", 1)] * 3)
    return Runtime(Settings(data_dir=data_dir), store, Recorded(), ("train",), "tester", devices=devices)


@pytest.mark.parametrize(
    ("way", "job_state", "trial_state"),
    [(["running", "pausing", "paused"], "paused", "queued"), (["cancelling"], "cancelled", "cancelled")],
)
def test_a_job_that_was_halted_while_its_trial_was_claimed(
    store: Store, way: list[str], job_state: str, trial_state: str
) -> None:
    job_id, (trial_id,) = add_job(store, add_project(store))
    with store.work() as work:
        lease = work.trials.claim("tester", 30.0)
        assert lease is not None
        for state in way:
            work.jobs.move(job_id, state)
    with store.work() as work:
        assert not _begin(work, lease)
    with store.read() as work:
        assert work.jobs.state_of(job_id) == job_state
        assert work.trials.get(trial_id).state == trial_state


def test_a_claim_starts_the_job_once(store: Store, tmp_path: Path) -> None:
    project = add_project(store)
    job_id, (trial_id,) = add_job(store, project)
    runtime = make_runtime(store, tmp_path)
    claimed = claim_trial(runtime)
    assert claimed is not None
    with store.work() as work:
        job = work.jobs.find(project, job_id)
        assert job is not None
        started = job.started_at
        work.trials.leases.release(claimed.lease)
    assert claim_trial(runtime) is not None
    with store.read() as work:
        job = work.jobs.find(project, job_id)
        assert job is not None
        assert (job.state, job.started_at) == ("running", started)
        assert work.trials.get(trial_id).attempt == 0


def test_epochs_told_again_are_not_counted_twice(store: Store) -> None:
    _, (trial_id,) = add_job(store, add_project(store))
    with store.work() as work:
        lease = work.trials.claim("tester", 30.0)
        assert lease is not None
        assert work.trials.record_epoch(lease, {"epoch": 1, "seconds": 10.0})
        assert not work.trials.record_epoch(lease, {"epoch": 1, "seconds": 11.0})
    with store.read() as work:
        assert work.trials.get(trial_id).seconds == pytest.approx(11.0)
        assert len(work.trials.epochs(trial_id)) == 1


@pytest.mark.parametrize(
    ("slots", "gpus", "chosen", "expected"),
    [
        (None, 0, None, [("cpu", "")]),
        (2, 0, None, [("cpu", ""), ("cpu", "")]),
        (None, 2, None, [("cuda:0", "0"), ("cuda:0", "1")]),
        (None, 4, "2,3", [("cuda:0", "2"), ("cuda:0", "3")]),
        (None, 4, "", [("cpu", "")]),
        (None, 4, "-1", [("cpu", "")]),
        (None, 4, "0, -1, 1", [("cuda:0", "0")]),
    ],
)
def test_one_device_per_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slots: int | None, gpus: int, chosen: str | None,
    expected: list[tuple[str, str]],
) -> None:  # fmt: skip
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if chosen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    for number in range(gpus):
        (tmp_path / str(number)).mkdir()
    devices = visible_devices(slots, None, tmp_path)
    assert [(device.name, device.visible) for device in devices] == expected
