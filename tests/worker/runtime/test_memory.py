"""What children may take of the memory: the default of each machine, and what becomes of one that takes more (S40)."""

from pathlib import Path
from typing import Any

import pytest
import torch

from service.jobs import actions
from service.settings import Settings
from service.specs.jobs import JobSpec
from service.store import Store
from service.store.tables import DatasetRow, JobRow
from tests.corpora import tables
from tests.nudges import Recorded
from tests.worker.runtime import children
from tests.worker.runtime.test_validations import TABLE, add, claim
from worker.runtime.child import _ending
from worker.runtime.claims import claim_trial
from worker.runtime.context import Runtime
from worker.runtime.devices import Device, Devices
from worker.runtime.memory import MemoryLimits, available_memory, memory_limits
from worker.runtime.messages import Failed
from worker.runtime.trials import TrialRun
from worker.runtime.validations import ValidationRun

GIB = 1024**3
CPU = Device("cpu", "", 1)
ENOUGH = 700 * 1024**2
"""For a small table and its linear model."""


@pytest.mark.parametrize(
    ("chosen", "slots", "gibibytes", "computing", "reading"),
    [
        (None, 1, 24, 19.2, 12),
        (None, 4, 24, 4.8, 12),
        (None, 1, 4, 3.2, 2),
        (None, 16, 8, 1.5, 4),
        (None, 1, 1, 0.8, 0.8),
        (6 * GIB, 4, 24, 6, 6),
        (16 * GIB, 4, 24, 16, 12),
        (0, 4, 24, 0, 0),
    ],
)
def test_shares_of_the_machine(
    chosen: int | None, slots: int, gibibytes: int, computing: float, reading: float
) -> None:
    limits = memory_limits(chosen, slots, gibibytes * GIB)
    assert limits.computing / GIB == pytest.approx(computing)
    assert limits.reading / GIB == pytest.approx(reading)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"memory.max": f"{GIB}\n"}, GIB),
        ("0::/a/b\n", {"a/memory.max": f"{GIB}\n", "a/b/memory.max": "max\n"}, GIB),
        ("0::/a/b\n", {"a/memory.max": f"{GIB}\n", "a/b/memory.max": "1000\n"}, 1000),
        ("5:cpu:/a\n4:memory:/docker/ab12\n0::/\n", {"memory/memory.limit_in_bytes": f"{GIB}\n"}, GIB),
        ("4:hugetlb,memory:/a\n", {"memory/a/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        ("0::/\n", {}, None),
        ("", {}, None),
    ],
    ids=["v2", "v2 around", "v2 narrower", "v1 of a container", "v1 without", "no file", "no group"],
)
def test_a_cgroup_narrows_the_machine(groups: str, files: dict[str, str], expected: int | None, tmp_path: Path) -> None:
    write(tmp_path / "cgroup", groups)
    for name, text in files.items():
        write(tmp_path / "mounts" / name, text)
    machine = available_memory(tmp_path / "missing", tmp_path)
    assert available_memory(tmp_path / "cgroup", tmp_path / "mounts") == (expected or machine)
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    assert machine == int(total.split()[1]) * 1024


def make_runtime(store: Store, data_dir: Path, **more: Any) -> Runtime:
    chosen = Settings(data_dir=data_dir, heartbeat_seconds=0.1, cancel_grace_seconds=2.0, **more)
    return Runtime(chosen, store, Recorded(), ("train", "control"), "tester", devices=Devices([CPU]))


def test_s40_nobody_has_to_set_a_limit(sqlite_store: Store, tmp_path: Path) -> None:
    runtime = make_runtime(sqlite_store, tmp_path, train_slots=2)
    assert runtime.memory == memory_limits(None, 2, available_memory())
    assert runtime.watch(1.0, runtime.memory.reading).memory_bytes == runtime.memory.reading > 0
    assert make_runtime(sqlite_store, tmp_path, memory_limit_bytes=0).memory == MemoryLimits(0, 0)


def test_s40_a_full_device_is_a_problem_not_a_crash() -> None:
    """As PyTorch says it of a GPU."""

    def work(payload: object, reporter: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    ending = _ending(work, None, None)  # type: ignore[arg-type]
    assert isinstance(ending, Failed)
    assert ending.problem["type"] == "/problems/resource-exhausted"


def submit(store: Store, dataset_id: str) -> str:
    spec = {"dataset_id": dataset_id, "problem": "tabular_regression", "estimator": {"kind": "linear"}}
    with store.work() as work:
        project = work.datasets.get(dataset_id).project_id
        return actions.submit(work, Recorded(), project, JobSpec.model_validate(spec))


def test_s40_who_eats_too_much_fails_and_the_next_one_is_done(sqlite_store: Store, tmp_path: Path) -> None:
    """One worker, and after each another: a dataset's reader that eats memory and one that does not, a trial that eats
    memory, one that fills the disk, and one that trains.
    """
    runtime = make_runtime(sqlite_store, tmp_path, memory_limit_bytes=ENOUGH, scratch_limit_bytes=8 * 1024**2)
    datasets = [add(sqlite_store, "tabular", {**TABLE, "target": "x"}, tables.plain()) for _ in range(2)]
    ValidationRun(runtime, claim(runtime), work=children.eat_memory).run()
    ValidationRun(runtime, claim(runtime)).run()
    jobs = [submit(sqlite_store, datasets[1]) for _ in range(3)]
    for more in ({"work": children.eat_memory}, {"work": children.eat_its_scratch}, {}):
        claimed = claim_trial(runtime)
        assert claimed is not None
        TrialRun(runtime, claimed.lease, claimed.devices, **more).run()
        runtime.devices.give(claimed.devices)
    with sqlite_store.read() as work:
        rows = [work.session.get_one(DatasetRow, row_id) for row_id in datasets]
        rows += [work.session.get_one(JobRow, row_id) for row_id in jobs]
    assert [row.state for row in rows] == ["rejected", "ready", "failed", "failed", "succeeded"]
    problems = [row.problem for row in rows if row.problem]
    assert [problem["type"] for problem in problems] == ["/problems/resource-exhausted"] * 3
    told = ("bytes of memory was", "bytes of memory was", "bytes on the disk was")
    assert [words in problem["detail"] for words, problem in zip(told, problems, strict=True)] == [True] * 3
