"""Which folders below the scratch stay: rows say so."""

from pathlib import Path
from typing import Any

import pytest

from service.store import Lease, Store
from tests.rows import add_dataset, add_job, add_model, add_project
from worker.runtime.scratch import claim_folder, remove_old_scratch


def names(scratch: Path) -> list[str]:
    return sorted(path.name for path in scratch.glob("*/*"))


def claimed(store: Store, noun: str) -> Lease:
    project = add_project(store)
    if noun == "datasets":
        add_dataset(store, project)
    else:
        model = add_model(store, project)
        with store.work() as work:
            work.exports.ask(model, "onnx")
    return claim(store, noun)


def claim(store: Store, noun: str) -> Lease:
    with store.work() as work:
        lease: Lease | None = getattr(work, noun).leases.claim("tester", 30.0)
    assert lease is not None
    return lease


def work_in(scratch: Path, noun: str, lease: Lease) -> Path:
    folder = claim_folder(scratch, noun, lease)
    folder.mkdir(parents=True)
    (folder / "model.onnx").touch()
    return folder


def test_only_scratch_of_live_trials_is_kept(store: Store, tmp_path: Path) -> None:
    _, (running, queued, over) = add_job(store, add_project(store), trials=3)
    with store.work() as work:
        assert work.trials.claim("tester", 30.0) is not None
        work.trials.get(over).state = "cancelled"
    for name in (running, queued, over, "trl_gone"):
        (tmp_path / "trials" / name / "checkpoint").mkdir(parents=True)
    remove_old_scratch(store, tmp_path)
    assert names(tmp_path) == sorted([running, queued])


@pytest.mark.parametrize("noun", ["datasets", "exports"])
def test_a_claim_keeps_its_folder_as_long_as_it_is_held(store: Store, tmp_path: Path, noun: str) -> None:
    """Taken back from a killed worker, it has another folder at the next claim; neither a deleted row nor the end of
    one leaves any.
    """
    first = claimed(store, noun)
    work_in(tmp_path, noun, first)
    remove_old_scratch(store, tmp_path)
    assert names(tmp_path) == [f"{first.row_id}.1"]

    take_back(store, noun, first)
    second = claim(store, noun)
    work_in(tmp_path, noun, second)
    remove_old_scratch(store, tmp_path)
    assert names(tmp_path) == [f"{second.row_id}.{second.token}"] != [f"{first.row_id}.{first.token}"]

    with store.work() as work:
        getattr(work, noun).leases.finish(second, "ready" if noun == "datasets" else "succeeded")
    remove_old_scratch(store, tmp_path)
    assert names(tmp_path) == []


def test_a_machine_that_nothing_has_worked_on(sqlite_store: Store, tmp_path: Path) -> None:
    remove_old_scratch(sqlite_store, tmp_path / "scratch")
    assert not (tmp_path / "scratch").exists()


def take_back(store: Store, noun: str, lease: Lease) -> None:
    with store.work() as work:
        leases: Any = getattr(work, noun).leases
        leases.write(lease, lease_expires_at=0.0)
        (expired,) = leases.expired()
        assert leases.take_back(expired, 3) is not None
