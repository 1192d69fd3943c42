"""Real children: how each way to end is told, and that none is left behind."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.live import gone, until
from tests.worker.runtime import children
from tests.worker.runtime.supervised import WATCH, pids_in, supervise
from worker.runtime.child import Order
from worker.runtime.children import start_child
from worker.runtime.messages import Crashed, Done, Failed, GaveUp, Report
from worker.runtime.scribe import Wish
from worker.runtime.supervision import Watch


def test_a_result_comes_after_every_report() -> None:
    reports: list[Report] = []
    assert supervise(children.say_and_return, 300, record=reports.append) == Done(600)
    assert [report.message for report in reports] == [f"step {step}" for step in range(300)]


def test_a_reason_of_the_spec_is_told() -> None:
    ending = supervise(children.diverge)
    assert isinstance(ending, Failed)
    assert (ending.problem["type"], ending.problem["detail"]) == (
        "/problems/diverged",
        "The loss was not finite in epoch 3.",
    )


def test_a_breakdown_tells_no_details() -> None:
    ending = supervise(children.break_down)
    assert ending == Crashed("The work crashed with RuntimeError.")


def test_a_killed_child_is_a_crash() -> None:
    ending = supervise(children.die)
    assert isinstance(ending, Crashed)
    assert "exit code -6" in ending.reason


def test_a_child_killed_in_the_middle_of_a_message_is_a_crash() -> None:
    assert supervise(children.die_while_speaking) == Crashed("The child process ended with exit code -9.")


def test_too_little_memory_is_a_problem_not_a_crash() -> None:
    ending = supervise(children.run_out_of_memory)
    assert isinstance(ending, Failed)
    assert ending.problem["type"] == "/problems/resource-exhausted"


def test_a_full_disk_is_a_problem_not_a_crash() -> None:
    ending = supervise(children.fill_the_disk)
    assert isinstance(ending, Failed)
    assert (ending.problem["type"], ending.problem["detail"]) == ("/problems/resource-exhausted", "The disk is full.")


def test_news_of_a_wish_is_followed_at_once(tmp_path: Path) -> None:
    """The heart beats once in an hour; it is the news that has it look."""
    watch = replace(WATCH, heartbeat_seconds=3600.0)
    wishes: list[Wish] = ["go_on", "look"]

    def wish() -> Wish:
        return wishes.pop(0) if wishes else "go_on"

    ending = supervise(children.wait_for_stop, str(tmp_path / "pids"), watch=watch, beat=lambda: "stop", wish=wish)
    assert ending == GaveUp()
    assert wishes == []


def test_a_wish_to_stop_is_heard(tmp_path: Path) -> None:
    marker = tmp_path / "pids"
    ending = supervise(children.wait_for_stop, str(marker), beat=lambda: "stop" if marker.exists() else "go_on")
    assert ending == GaveUp()
    assert all(gone(pid) for pid in pids_in(marker))


def test_a_child_is_never_more_than_one_epoch_ahead_of_its_judge() -> None:
    """However short its epochs are: the third is looked at, the fourth has begun by then, a fifth does not begin."""
    seen: list[int] = []

    def record(report: Report) -> None:
        seen.append(report.payload["epoch"])

    wish: Callable[[], Wish] = lambda: "stop" if 3 in seen else "go_on"  # noqa: E731
    ending = supervise(children.run_epochs, 1000, is_judged=True, record=record, wish=wish)
    assert isinstance(ending, Done)
    assert ending.result in (3, 4)


def test_who_does_not_listen_is_killed_after_the_grace(tmp_path: Path) -> None:
    marker = tmp_path / "pids"
    watch = replace(WATCH, grace_seconds=0.3)
    wish: Callable[[], Wish] = lambda: "stop" if marker.exists() else "go_on"  # noqa: E731
    assert supervise(children.ignore_everything, str(marker), watch=watch, wish=wish) == GaveUp()
    assert all(gone(pid) for pid in pids_in(marker))


@pytest.mark.parametrize(
    ("watch", "slug"),
    [
        (replace(WATCH, wall_seconds=1.0), "resource-exhausted"),
        (replace(WATCH, stall_seconds=1.0), None),
    ],
)
def test_s40_time_limits(watch: Watch, slug: str | None) -> None:
    ending = supervise(children.be_silent, watch=watch)
    if slug is None:
        assert isinstance(ending, Crashed)
        assert "silent" in ending.reason
        assert not ending.at_work
    else:
        assert isinstance(ending, Failed)
        assert ending.problem["type"] == f"/problems/{slug}"


def test_s40_the_memory_limit_ends_the_child_only() -> None:
    watch = replace(WATCH, memory_bytes=400 * 1024**2)
    ending = supervise(children.eat_memory, watch=watch)
    assert isinstance(ending, Failed)
    assert ending.problem["type"] == "/problems/resource-exhausted"


def test_s40_the_disk_limit_ends_the_child_only(tmp_path: Path) -> None:
    watch = replace(WATCH, scratch=tmp_path, scratch_bytes=4 * 1024**2)
    ending = supervise(children.eat_disk, str(tmp_path), watch=watch)
    assert isinstance(ending, Failed)
    assert ending.problem["type"] == "/problems/resource-exhausted"
    assert ending.problem["detail"] == "The limit of 4194304 bytes on the disk was reached."


def test_s40_the_system_takes_a_child_before_its_worker() -> None:
    """When memory runs out faster than anybody watches, the kernel takes the process of the highest score."""
    ours = int(Path("/proc/self/oom_score_adj").read_text())
    assert supervise(children.tell_its_score) == Done(500)
    assert ours < 500


def test_a_killed_worker_leaves_no_orphan(tmp_path: Path) -> None:
    marker = tmp_path / "pids"
    script = (
        "from tests.worker.runtime import children\n"
        "from worker.runtime.child import Order\n"
        "from worker.runtime.children import start_child\n"
        "import sys, time\n"
        "if __name__ == '__main__':\n"
        "    child = start_child(children.ignore_everything, Order(sys.argv[1]))\n"
        "    while True:\n"
        "        child.messages(1.0)\n"
    )
    path = tmp_path / "loner.py"
    path.write_text(script)
    worker = subprocess.Popen([sys.executable, str(path), str(marker)], env={**os.environ, "PYTHONPATH": os.getcwd()})
    pids = pids_in(marker)
    worker.kill()
    worker.wait()
    assert all(gone(pid) for pid in pids)


def test_mapped_files_do_not_count_as_memory(tmp_path: Path) -> None:
    """The pages of cached images can be taken back at any time; a trial is not to be ended for them."""
    size = 64 * 1024**2
    file = tmp_path / "mapped"
    file.write_bytes(b"1" * size)
    mapping = start_child(children.map_and_wait, Order(str(file)))
    try:
        until(lambda: (tmp_path / "mapped.read").exists())
        before = mapping.memory_bytes()
        (tmp_path / "mapped.eat").touch()
        until(lambda: (tmp_path / "mapped.eaten").exists())
        after = mapping.memory_bytes()
    finally:
        mapping.kill()
        mapping.await_end()

    assert 0 < before < size
    assert after - before > 0.9 * size
