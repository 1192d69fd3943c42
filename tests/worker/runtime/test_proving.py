"""GPUs that are listed are offered once torch has computed on them, and the CPU where there is none."""

import logging
from pathlib import Path

import pytest

from service.settings import Settings
from service.store import Store
from tests.nudges import Recorded
from worker.presence import Presence
from worker.runtime.claims import claim_trial
from worker.runtime.context import Runtime
from worker.runtime.devices import Devices, places
from worker.runtime.proving import PROBE, Ask, fault_of, prove_devices

TOO_OLD = "RuntimeError: The NVIDIA driver on your system is too old."


def worker(store: Store, folder: Path, gpus: list[str], slots: int | None = None) -> Runtime:
    settings = Settings(data_dir=folder, train_slots=slots, worker_threads=1)
    return Runtime(settings, store, Recorded(), ("train",), "host:1", devices=Devices(places(gpus, slots, 1)))


def without(*broken: str) -> tuple[Ask, list[str]]:
    """Knows which GPUs are broken, and notes which it was asked for."""
    asked: list[str] = []

    def ask(gpu: str) -> str | None:
        asked.append(gpu)
        return TOO_OLD if gpu in broken else None

    return ask, asked


def places_of(runtime: Runtime) -> list[tuple[str, str]]:
    return [(device.name, device.visible) for device in runtime.devices._free]


@pytest.mark.parametrize(
    ("slots", "broken", "left"),
    [
        (None, [], [("cuda:0", "0"), ("cuda:0", "1")]),
        (None, ["0"], [("cuda:0", "1")]),
        (2, ["0"], [("cuda:0", "1"), ("cuda:0", "1")]),
        (None, ["0", "1"], [("cpu", "")]),
        (3, ["0", "1"], [("cpu", "")] * 3),
    ],
)
def test_what_torch_cannot_use_is_left_out_and_told(
    sqlite_store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture, slots: int | None, broken: list[str],
    left: list[tuple[str, str]],
) -> None:  # fmt: skip
    runtime = worker(sqlite_store, tmp_path, ["0", "1"], slots)
    ask, asked = without(*broken)
    with caplog.at_level(logging.WARNING):
        prove_devices(runtime, ask)
        prove_devices(runtime, ask)
    assert sorted(asked) == ["0", "1"], "each once"
    assert places_of(runtime) == left
    for gpu in broken:
        assert f"GPU {gpu} is left out, torch cannot use it: {TOO_OLD}" in caplog.text
        assert f'tunelens_gpu_left_out{{fault="{TOO_OLD}",gpu="{gpu}"}} 1.0' in runtime.figures.text()


def test_without_gpus_nobody_is_asked(sqlite_store: Store, tmp_path: Path) -> None:
    ask, asked = without()
    prove_devices(worker(sqlite_store, tmp_path, []), ask)
    assert asked == []


def test_a_worker_says_how_many_devices_it_has_once_they_are_proven(sqlite_store: Store, tmp_path: Path) -> None:
    runtime = worker(sqlite_store, tmp_path, ["0", "1"])
    presence = Presence(runtime)
    for expected in (None, 1):
        presence._say()
        with sqlite_store.read() as work:
            assert work.workers.most_devices() == expected
        prove_devices(runtime, without("0")[0])


def test_the_first_claim_proves(sqlite_store: Store, tmp_path: Path) -> None:
    """With the processes that it takes; torch finds no GPU 7 here."""
    runtime = worker(sqlite_store, tmp_path, ["7"])
    assert claim_trial(runtime) is None
    assert places_of(runtime) == [("cpu", "")]
    assert 'tunelens_gpu_left_out{fault="RuntimeError: ' in runtime.figures.text()


@pytest.mark.parametrize(
    ("probe", "fault"),
    [
        ("print('well')", None),
        ("import os; print('well' if os.environ['CUDA_VISIBLE_DEVICES'] == 'GPU-5' else 'others')", None),
        ("print('AcceleratorError: CUDA error: out of memory')", None),
        ("print('It computes 16 as 0.0.')", "It computes 16 as 0.0."),
        ("import os; os.kill(os.getpid(), 11)", "The process that tried ended with exit code -11."),
        ("import time; time.sleep(60)", "It has not answered within 1 s."),
    ],
)
def test_what_a_probe_says(probe: str, fault: str | None) -> None:
    assert fault_of("GPU-5", probe=probe, timeout_seconds=1.0 if "sleep" in probe else 30.0) == fault


def test_the_probe_computes() -> None:
    """On this machine's CPU, as it is the arithmetic that is looked at."""
    assert fault_of("", probe=PROBE.replace('"cuda"', '"cpu"')) is None
    assert fault_of("", probe=PROBE.replace('"cuda"', '"cpu"').replace("* 2", "* 3")) == "It computes 16 as 24.0."
