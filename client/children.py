"""Child processes as the supervisor sees them: started on a leash, logged to a file, reported when they end."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LEASH = Path(__file__).with_name("leash.py")
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STABLE_AFTER_SECONDS = 30.0
MAX_LOG_BYTES = 16 * 1024 * 1024


@dataclass
class Child:
    """One program, through all its lives.

    Attributes:
        title: how the user is told about it.
        report: called from another thread when a life ends, whatever the reason.
        restart_at: on the monotonic clock, while it waits to be started again.
    """

    title: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str]
    report: Callable[["Child"], None]
    restart_at: float | None = field(default=None, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _started_at: float = field(default=0.0, init=False)
    _early_deaths: int = field(default=0, init=False)

    def start(self) -> None:
        """Starts it in a session of its own, so that the terminal's Ctrl-C reaches the supervisor only."""
        self.restart_at = None
        self._started_at = time.monotonic()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        _rotate(self.log)
        leash = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid())]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*leash, *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.environment),
                start_new_session=True,
            )
        threading.Thread(target=self._wait, args=(self._process,), name=f"wait-{self.title}", daemon=True).start()

    @property
    def exit_code(self) -> int | None:
        """As `subprocess` has it: negative for signals, None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def pid(self) -> int | None:
        """Of the current or last life."""
        return None if self._process is None else self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it runs now."""
        return self._process is not None and self._process.poll() is None

    def plan_restart(self) -> float:
        """Seconds until it is to be started again: more and more if it keeps dying young."""
        lived = time.monotonic() - self._started_at
        self._early_deaths = 0 if lived > STABLE_AFTER_SECONDS else self._early_deaths + 1
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** max(0, self._early_deaths - 1))
        self.restart_at = time.monotonic() + pause
        return pause

    def terminate(self) -> None:
        """Asks it to finish."""
        self.restart_at = None
        if self.is_alive and self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it and its group at once."""
        if self.is_alive and self._process is not None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                self._process.kill()

    def how_it_ended(self) -> str:
        """For people: `killed by SIGKILL`, `exit code 1`."""
        code = self.exit_code
        if code is not None and code < 0:
            try:
                return f"killed by {signal.Signals(-code).name}"
            except ValueError:
                return f"killed by signal {-code}"
        return f"exit code {code}"

    def log_tail(self, lines: int = 15) -> str:
        """The end of its log."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 16_384))
                return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        self.report(self)


def _rotate(log: Path) -> None:
    """Keeps one old log beside the current one."""
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
