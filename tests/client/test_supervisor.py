import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from client import children
from client.children import Child
from client.supervisor import StartFailed, StopAsked, Supervisor

LIVES = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + LIVES
DIES = "import sys; print('the reason'); sys.exit(3)"
DIES_TWICE = """
import pathlib, sys, time
lives = pathlib.Path(sys.argv[1]).with_suffix(".lives")
with lives.open("a") as file: file.write("x")
if len(lives.read_text()) < 3: sys.exit(1)
pathlib.Path(sys.argv[1]).touch(); time.sleep(60)
"""


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(said: list[str]) -> Iterator[Supervisor]:
    supervisor = Supervisor(said.append)
    yield supervisor
    supervisor.stop(0)


def child(supervisor: Supervisor, folder: Path, program: str, name: str = "child") -> Child:
    command = [sys.executable, "-c", program, str(folder / name)]
    return Child(name, command, folder / f"{name}.log", dict(os.environ), supervisor.report)


def until_exists(path: Path) -> None:
    """Within ten seconds, usually at once."""
    done = threading.Event()
    for _ in range(1000):
        if path.exists():
            return
        done.wait(0.01)
    raise AssertionError(f"{path} did not appear")


def test_children_that_end_on_request_end_cleanly(supervisor: Supervisor, tmp_path: Path) -> None:
    two = [child(supervisor, tmp_path, LIVES, name) for name in ("a", "b")]
    supervisor.start(two)
    for one in two:
        until_exists(tmp_path / one.title)
    assert supervisor.stop(10)
    assert [one.how_it_ended() for one in two] == ["killed by SIGTERM"] * 2


def test_a_stubborn_child_is_killed_after_the_grace(supervisor: Supervisor, said: list[str], tmp_path: Path) -> None:
    stubborn = child(supervisor, tmp_path, STUBBORN)
    supervisor.start([stubborn])
    until_exists(tmp_path / "child")
    assert not supervisor.stop(0.1)
    assert stubborn.how_it_ended() == "killed by SIGKILL"
    assert said == ["Ending at once: child."]


def test_asking_a_second_time_does_not_wait_for_the_grace(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start([child(supervisor, tmp_path, STUBBORN)])
    until_exists(tmp_path / "child")
    supervisor.ask_to_stop()
    assert not supervisor.stop(3600)


def test_a_child_that_dies_is_started_again(
    supervisor: Supervisor, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "FIRST_PAUSE_SECONDS", 0.01)
    supervisor.start([child(supervisor, tmp_path, DIES_TWICE)])
    tender = threading.Thread(target=supervisor.tend)
    tender.start()
    until_exists(tmp_path / "child")
    supervisor.ask_to_stop()
    tender.join(10)
    assert not tender.is_alive()
    assert sum("ended unexpectedly (exit code 1)" in line for line in said) == 2
    assert supervisor.stop(10)


def test_pauses_between_early_deaths_grow_to_a_limit(supervisor: Supervisor, tmp_path: Path) -> None:
    one = child(supervisor, tmp_path, DIES)
    one.start()
    assert [one.plan_restart() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_program_that_runs_to_its_end_must_end_well(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.run_to_end(child(supervisor, tmp_path, "print('done')"))
    with pytest.raises(StartFailed, match="did not start: exit code 3") as caught:
        supervisor.run_to_end(child(supervisor, tmp_path, DIES))
    assert caught.value.child.log_tail(1) == "the reason"


def test_a_start_can_be_given_up(supervisor: Supervisor, tmp_path: Path) -> None:
    long = child(supervisor, tmp_path, LIVES)
    supervisor.ask_to_stop()
    with pytest.raises(StopAsked):
        supervisor.run_to_end(long)


def test_signals_ask_to_stop_and_are_given_back(supervisor: Supervisor) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with supervisor.signals():
        os.kill(os.getpid(), signal.SIGTERM)
        supervisor.tend()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_no_child_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    program = f"""
import os, sys, time
from pathlib import Path
from client.children import Child
from client.supervisor import Supervisor
supervisor = Supervisor(print)
command = [sys.executable, "-c", {LIVES!r}, {str(tmp_path / "child")!r}]
child = Child("child", command, Path({str(tmp_path / "log")!r}), dict(os.environ), supervisor.report)
supervisor.start([child])
print(child.pid, flush=True)
supervisor.tend()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        until_exists(tmp_path / "child")
        process.kill()
    for _ in range(500):
        if not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text():
            return
        threading.Event().wait(0.01)
    raise AssertionError("the child lives on")
