"""Whether a child waits for whoever judges its epochs."""

import threading
from multiprocessing import Pipe

import pytest

from tests.worker.runtime import children
from worker.runtime import child


def test_a_child_does_not_wait_for_a_judge_without_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "HEED_SECONDS", 0.01)
    ours, theirs = Pipe()
    reporter = child.Reporter(theirs, is_judged=True)
    for number in range(1, 6):
        reporter.epoch(children.Epoch(number))
    assert [ours.recv().payload["epoch"] for _ in range(5)] == [1, 2, 3, 4, 5]


def test_a_child_that_nobody_judges_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "HEED_SECONDS", 3600.0)
    ours, theirs = Pipe()
    thread = threading.Thread(target=children.run_epochs, args=(5, child.Reporter(theirs)), daemon=True)
    thread.start()
    assert [ours.recv().payload["epoch"] for _ in range(5) if ours.poll(10.0)] == [1, 2, 3, 4, 5]
    thread.join()
