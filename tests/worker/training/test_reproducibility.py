"""The same spec and seed give the same bytes: in any process, on any attempt, after any kill."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from service.errors import Stopped
from tests.worker.training.orders import RecordingSink
from tests.worker.training.repeated import JOBS, finished, made
from worker.training.trial import run_trial

Whole = Callable[[str], dict[str, Any]]


def in_a_process_of_its_own(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.worker.training.repeated", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def results(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    ended = in_a_process_of_its_own(folder, *arguments)
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """What a job of this name ends with in this process, uninterrupted; computed once."""
    folder = tmp_path_factory.mktemp("whole")
    return cache(lambda name: finished(made(folder, name, name)))


def test_two_processes_with_caches_of_their_own_agree_to_the_bit(tmp_path: Path, whole: Whole) -> None:
    in_this_one = [json.loads(json.dumps(whole(name))) for name in JOBS]
    assert results(tmp_path, "other", "1", *reversed(JOBS)) == in_this_one[::-1]


def test_with_two_threads_processes_agree_on_all_that_is_written(tmp_path: Path) -> None:
    names = ["everything, plateau", "channels last"]
    there = results(tmp_path / "there", "other", "2", *reversed(names))
    folder = tmp_path / "here"
    folder.mkdir()
    try:
        here = [finished(made(folder, name, name, threads=2, draws=True)) for name in names]
    finally:
        torch.set_num_threads(1)

    assert all("card.md" in one["digests"] for one in there)
    assert json.loads(json.dumps(here)) == there[::-1]


@pytest.mark.parametrize("name", JOBS)
def test_resumed_after_any_epoch_it_ends_with_the_same_bytes(tmp_path: Path, whole: Whole, name: str) -> None:
    expected = whole(name)
    for epoch in range(1, len(expected["curve"])):
        interrupted = made(tmp_path, name, f"stopped-{epoch}")
        with pytest.raises(Stopped):
            run_trial(interrupted, RecordingSink(stop_after=epoch))
        assert finished(interrupted) == expected | {"resumed": [f"Resumed after epoch {epoch}."]}


def test_stopped_after_every_epoch_it_ends_with_the_same_bytes(tmp_path: Path, whole: Whole) -> None:
    expected = whole("gradual, automatic")
    interrupted = made(tmp_path, "gradual, automatic", "interrupted")
    for epoch in range(1, 5):
        with pytest.raises(Stopped):
            run_trial(interrupted, RecordingSink(stop_after=epoch))

    assert finished(interrupted) == expected | {"resumed": ["Resumed after epoch 4."]}


@pytest.mark.parametrize("name", ["everything, plateau", "gradual, automatic", "channels last"])
def test_killed_within_an_epoch_it_ends_with_the_same_bytes(tmp_path: Path, whole: Whole, name: str) -> None:
    expected = whole(name)
    killed = in_a_process_of_its_own(tmp_path, "killed", "1", "--killed", name)

    assert killed.returncode == -9, killed.stderr
    kept = sorted(path.name for path in (tmp_path / "killed" / "checkpoint").glob("epoch-*.json"))
    assert kept == ["epoch-00001.json", "epoch-00002.json"]
    assert finished(made(tmp_path, name, "killed")) == expected | {"resumed": ["Resumed after epoch 2."]}
