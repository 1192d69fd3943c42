"""Trials that take several devices at once: in their turn, all or none, and only from a worker that has them."""

from pathlib import Path

import pytest
from sqlalchemy import update

from service.settings import Settings
from service.store import Store
from service.store.tables import JobRow
from tests.nudges import Recorded
from tests.rows import add_job, add_project
from worker.runtime.claims import Claimed, claim_trial
from worker.runtime.context import Runtime
from worker.runtime.devices import Device, Devices

CPU = Device("cpu", "", 1)


def add_jobs(store: Store, *devices: int | None) -> list[str]:
    """Jobs whose trials want so many devices, the oldest first; None is from before there was a choice."""
    project, ids = add_project(store), []
    for age, count in enumerate(devices):
        job_id, (trial_id,) = add_job(store, project)
        with store.work() as work:
            job = work.jobs.get(job_id)
            assert job is not None
            limits = {"wall_seconds": 60} | ({} if count is None else {"devices": count})
            work.session.execute(update(JobRow).where(JobRow.id == job_id).values(spec=job.spec | {"limits": limits}))
            work.trials.get(trial_id).queued_at = float(age)
        ids.append(trial_id)
    return ids


def worker(store: Store, folder: Path, devices: int) -> Runtime:
    return Runtime(Settings(data_dir=folder), store, Recorded(), ("train",), "tester", devices=Devices([CPU] * devices))


def taken(runtime: Runtime) -> Claimed:
    claimed = claim_trial(runtime)
    assert claimed is not None
    return claimed


def test_a_trial_takes_all_its_devices_or_none_and_is_not_passed_over(store: Store, tmp_path: Path) -> None:
    """Two trials of two devices on three: the second does not hold one, and the third does not take it away."""
    first, second, third = add_jobs(store, 2, 2, 1)
    runtime = worker(store, tmp_path, 3)
    claimed = taken(runtime)
    assert (claimed.lease.row_id, len(claimed.devices), runtime.devices.free) == (first, 2, 1)
    assert claim_trial(runtime) is None
    assert runtime.devices.free == 1

    runtime.devices.give(claimed.devices)
    assert [taken(runtime).lease.row_id for _ in range(2)] == [second, third]
    assert runtime.devices.free == 0


def test_what_is_too_wide_for_a_worker_is_left_to_others(store: Store, tmp_path: Path) -> None:
    wide, old = add_jobs(store, 4, None)
    small, large = worker(store, tmp_path, 1), worker(store, tmp_path, 4)
    assert taken(small).lease.row_id == old
    assert claim_trial(small) is None
    claimed = taken(large)
    assert (claimed.lease.row_id, len(claimed.devices)) == (wide, 4)


def test_a_trial_has_each_gpu_once() -> None:
    """Two places on each of two GPUs are four trials at once, but two ranks at most."""
    devices = Devices([Device("cuda:0", gpu, 2) for gpu in ("0", "1", "0", "1")])
    assert (devices.count, devices.most, devices.free) == (4, 2, 2)
    taken = devices.take(2)
    assert sorted(device.visible for device in taken) == ["0", "1"]
    rest = devices.take(2)
    assert sorted(device.visible for device in rest) == ["0", "1"]
    assert devices.free == 0
    with pytest.raises(AssertionError):
        devices.take(1)
    devices.give(taken)
    assert devices.free == 2


def test_parts_of_gpus_are_for_trials_of_one_device() -> None:
    devices = Devices([Device("cuda:0", gpu, 2) for gpu in ("MIG-1", "MIG-2", "0")])
    assert (devices.count, devices.most) == (3, 2)
    assert [device.visible for device in devices.take(2)] == ["MIG-1", "0"]
    assert [device.visible for device in devices.take(1)] == ["MIG-2"]


def test_gpus_that_the_operator_has_chosen_keep_the_numbers_that_he_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    seen = Device("cuda:0", "3", 4).environment
    assert seen["CUDA_VISIBLE_DEVICES"] == "3"
    assert "CUDA_DEVICE_ORDER" not in seen


def test_each_child_sees_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the numbers of `nvidia-smi`, as metrics have them."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    seen = Device("cuda:0", "3", 4).environment
    assert (seen["CUDA_VISIBLE_DEVICES"], seen["CUDA_DEVICE_ORDER"]) == ("3", "PCI_BUS_ID")
    assert CPU.environment["CUDA_VISIBLE_DEVICES"] == ""
