"""The largest batch: by what is kept, by what there is, by what still learns."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.worker.training.room import NO_ROOM, room_for
from tests.worker.training.toys import linear_setting, reporter
from worker.training import batch_size
from worker.training.batch_size import available_bytes, kept_bytes, largest_batch, saved_bytes, steps_fit


def test_saved_bytes_are_those_that_backward_needs() -> None:
    """Two linear layers need their inputs, [n, 5] and [n, 7]; the ReLU's output is the second one's input."""
    network = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
    assert saved_bytes(network, torch.randn(6, 5)) == 6 * (5 + 7) * 4
    assert saved_bytes(network.requires_grad_(False), torch.randn(6, 5)) == 0


def test_what_is_kept_is_by_sample_and_measuring_changes_nothing() -> None:
    setting = linear_setting(torch.randn(40, 10), torch.arange(40) % 2, batch_size="auto", learning_rate=0.1)
    before = setting.subject.head.weight.detach().clone()
    assert kept_bytes(setting) == 10 * 4
    assert torch.equal(setting.subject.head.weight, before)


@pytest.mark.parametrize(
    ("train", "size"), [(8, 2), (33, 8), (100, 8), (640, 32), (700, 32), (5000, 128), (30_000, 1024), (9, 2)]
)
def test_on_a_cpu_twenty_steps_are_kept(train: int, size: int) -> None:
    setting = linear_setting(torch.zeros(train, 2), torch.arange(train) % 2, batch_size="auto", learning_rate=0.1)
    assert largest_batch(setting, reporter()) == size


@pytest.mark.parametrize(("available", "size"), [(10**9, 1024), (4 * 10 * 4 * 100, 64), (4 * 10 * 4 * 63, 32), (1, 2)])
def test_half_of_the_memory_holds_twice_what_is_kept(
    available: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_size, "available_bytes", lambda: available)
    setting = linear_setting(torch.zeros(30_000, 10), torch.arange(30_000) % 2, batch_size="auto", learning_rate=0.1)
    assert largest_batch(setting, reporter()) == size


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 2048 * 1024),
        ({"memory.max": "max\n", "memory.current": "5\n"}, 2048 * 1024),
        ({"memory.max": "1000000\n", "memory.current": "400000\n"}, 600_000),
        ({"memory.max": "1000\n", "memory.current": "4000\n"}, 0),
        ({"memory/memory.limit_in_bytes": "1000000\n", "memory/memory.usage_in_bytes": "1\n"}, 999_999),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n", "memory/memory.usage_in_bytes": "1\n"}, 2048 * 1024),
    ],
)
def test_memory_is_what_the_machine_and_the_control_group_leave(
    tmp_path: Path, files: dict[str, str], expected: int
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:  4096 kB\nMemFree:  1 kB\nMemAvailable:   2048 kB\n")
    for name, text in files.items():
        (tmp_path / "sys/fs/cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sys/fs/cgroup" / name).write_text(text)
    assert available_bytes(tmp_path) == expected


@pytest.mark.parametrize(
    "error", [NO_ROOM, RuntimeError("GET was unable to find an engine to execute this computation"), MemoryError()]
)
def test_a_size_that_memory_does_not_hold_does_not_fit(error: Exception) -> None:
    setting = linear_setting(torch.zeros(64, 2), torch.arange(64) % 2, batch_size="auto", learning_rate=0.1)
    with room_for(16, error=error) as tried:
        assert [steps_fit(setting, reporter(), size) for size in (32, 16)] == [False, True]
    assert max(tried) == 32
    with room_for(16, error=RuntimeError("device-side assert triggered")), pytest.raises(RuntimeError, match="assert"):
        steps_fit(setting, reporter(), 32)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_a_size_that_does_not_fit_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = linear_setting(torch.zeros(8192, 2), torch.arange(8192) % 2, batch_size="auto", learning_rate=0.1)
    asked: list[int] = []

    def fits(_setting: object, _reporter: object, size: int) -> bool:
        asked.append(size)
        return size <= 256

    monkeypatch.setattr(batch_size, "_fits_on_gpu", fits)
    setting.subject.device = torch.device("cuda")
    assert largest_batch(setting, reporter()) == 256
    assert asked == [1024, 512, 256]
