"""A Redis server for one test run, which can be killed, frozen and started again on the same port."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

from tests.live import until
from tests.postgres import free_port


def command_for(port: int) -> list[str]:
    """Without a password, nothing on disk."""
    return ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]


def is_installed() -> bool:
    return shutil.which("redis-server") is not None


@dataclass
class RedisServer:
    """One server; `command` is given the port."""

    command: Callable[[int], Sequence[str]] = command_for
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="tunelens-redis-")), init=False)

    @property
    def password(self) -> str | None:
        return self.environment.get("REDISCLI_AUTH")

    @property
    def url(self) -> str:
        return f"redis://{f':{self.password}@' if self.password else ''}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Returns once it answers."""
        environment = {"PATH": os.environ["PATH"], **self.environment}
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(self.port),
                env=environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        until(self._answers, 20.0)

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, password=self.password, socket_timeout=5.0)

    def kill(self) -> None:
        """As when its machine goes: every message is lost."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Killed, and started again however the block ends."""
        self.kill()
        try:
            yield
        finally:
            self.start()

    def freeze(self) -> None:
        """Takes connections, answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False
