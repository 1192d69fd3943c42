"""`tunelens up`: the whole service as one command, on SQLite and a broker made of files.

The processes are those of architecture's embedded mode: the API, a worker that trains (and does the small chores),
a worker that predicts and explains. This module decides where they live and tells when they are ready; `supervisor`
keeps them alive.
"""

import fcntl
import ipaddress
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import httpx

from client.children import Child
from client.errors import TunelensError
from client.supervisor import Supervisor

READY_POLL_SECONDS = 0.05
READY_TIMEOUT_SECONDS = 90.0
GRACE_SECONDS = 30.0
ROOT = Path(__file__).resolve().parent.parent


class EmbeddedError(TunelensError):
    """The embedded service cannot be started here."""


Programs = Sequence[tuple[str, str, Sequence[str]]]
"""Title, name of the log and Python arguments of each program; the first one runs to its end before the others."""


def service_programs(host: str, port: int) -> Programs:
    """What makes up the embedded service."""
    api = ["-m", "uvicorn", "service.app:from_environment", "--factory", "--host", host, "--port", str(port)]
    api += ["--no-access-log", "--timeout-graceful-shutdown", "3", "--app-dir", str(ROOT)]
    return [
        ("database migration", "migrate", ["-m", "service.store.migrate"]),
        ("API", "api", api),
        ("train worker", "train", ["-m", "worker", "train", "control"]),
        ("explain worker", "explain", ["-m", "worker", "explain"]),
    ]


class Embedded:
    """One embedded service in one data directory.

    Attributes:
        url: its address, known from the start on.
        phases: what the start spent its time on, in seconds.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        say: Callable[[str], None],
        host: str = "127.0.0.1",
        port: int = 8000,
        programs: Callable[[str, int], Programs] = service_programs,
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.host = host
        self.port = port
        self.phases: dict[str, float] = {}
        self.supervisor = Supervisor(say)
        self._say = say
        self._programs = programs
        self._lock: IO[str] | None = None

    @property
    def url(self) -> str:
        """Where clients on this machine find it."""
        host = "127.0.0.1" if self.host in ("", "0.0.0.0") else "[::1]" if self.host == "::" else self.host
        return f"http://{host}:{self.port}"

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.data_dir / "logs"

    @property
    def key_file(self) -> Path:
        """The API keeps the admin key here, unless the environment gave one."""
        return self.data_dir / "admin.key"

    @property
    def admin_key(self) -> str:
        """The key that may do everything."""
        return os.environ.get("TUNELENS_ADMIN_KEY") or self.key_file.read_text(encoding="utf-8").strip()

    def start(self) -> None:
        """Migrates the database, starts the processes, returns once the service is ready.

        Raises:
            EmbeddedError: another one runs in this data directory, or the port is taken.
            StartFailed: a process ended, or did not become ready in time.
            StopAsked: the user changed their mind.
        """
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take_data_dir()
        self.port = _bindable(self.host, self.port)
        started = time.monotonic()
        migration, *others = [self._child(*program) for program in self._programs(self.host, self.port)]
        self.supervisor.run_to_end(migration)
        self.phases["database"] = time.monotonic() - started
        started = time.monotonic()
        self.supervisor.start(others)
        self._until_ready()
        self.phases["processes"] = time.monotonic() - started
        self._write_lock({"pid": os.getpid(), "url": self.url})

    def tend(self) -> None:
        """Keeps it running until it is asked to stop."""
        self.supervisor.tend()

    def stop(self) -> None:
        """Lets every process finish what it does; unfinished jobs go on at the next start."""
        if self.supervisor.children:
            self._say("Stopping: running work is put down where it can be taken up again.")
            started = time.monotonic()
            if self.supervisor.stop(GRACE_SECONDS):
                self._say(f"Stopped cleanly in {time.monotonic() - started:.1f} s.")
            else:
                self._say("Stopped; what was cut off is taken up again at the next start.")
        if self._lock is not None:
            self._write_lock({})
            self._lock.close()

    def _child(self, title: str, name: str, module: Sequence[str]) -> Child:
        """A Python module as a child; `-P` keeps a folder called `service` in the user's directory out of it."""
        own = {"TUNELENS_DATA_DIR": str(self.data_dir), "PYTHONUNBUFFERED": "1"}
        environment = {**os.environ, **own}
        command = [sys.executable, "-P", *module]
        return Child(title, command, self.logs / f"{name}.log", environment, self.supervisor.report)

    def _until_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        answer = "no answer"
        with httpx.Client(timeout=5.0, trust_env=False) as http:
            while time.monotonic() < deadline:
                with suppress(httpx.TransportError):
                    response = http.get(f"{self.url}/readyz")
                    if response.status_code == httpx.codes.OK:
                        return
                    answer = response.text[:500]
                self.supervisor.pause(READY_POLL_SECONDS)
        raise EmbeddedError(f"Not ready after {READY_TIMEOUT_SECONDS:.0f} s ({answer}); see {self.logs}.")

    def _take_data_dir(self) -> None:
        """One supervisor per data directory; the lock goes with the process, however it ends."""
        lock = (self.data_dir / "supervisor.lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            running = running_url(self.data_dir) or "another process"
            raise EmbeddedError(f"{self.data_dir} is in use by {running}.") from error
        self._lock = lock

    def _write_lock(self, content: dict[str, object]) -> None:
        assert self._lock is not None
        self._lock.truncate(0)
        self._lock.write(json.dumps(content))
        self._lock.flush()


def running_url(data_dir: Path) -> str | None:
    """The address of the embedded service that says to run in this data directory."""
    try:
        content = json.loads((data_dir / "supervisor.lock").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    url = content.get("url") if isinstance(content, dict) else None
    return url if isinstance(url, str) else None


def is_in_use(data_dir: Path) -> bool:
    """Whether a supervisor holds this data directory."""
    try:
        with (data_dir / "supervisor.lock").open("r+", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _bindable(host: str, port: int) -> int:
    """The port, or a free one for 0.

    Raises:
        EmbeddedError: it is taken, or the host is not one of this machine's.
    """
    version = 6 if ":" in host and ipaddress.ip_address(host) else 4
    with socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            hint = "Choose another with --port, or any free one with --port 0."
            raise EmbeddedError(f"{host}:{port} cannot be used: {error.strerror}. {hint}") from error
        return int(probe.getsockname()[1])
