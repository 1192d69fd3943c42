"""A PostgreSQL server for one test run. The servers refuse to run as root, so root starts them as `postgres`."""

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg

from service.store.engine import make_engine
from service.store.migrate import upgrade

FOLDERS = [Path("/usr/lib/postgresql/17/bin"), Path("/usr/lib/postgresql/16/bin"), Path("/usr/lib/postgresql/15/bin")]
MEMORY, ROOM_BYTES = Path("/dev/shm"), 2 * 1024**3
CALM_PORTS = range(20_000, 32_768)
"""Below those that Linux gives to whoever connects to somewhere."""
_numbers = count()


def binaries() -> Path | None:
    """Where initdb and postgres are."""
    found = shutil.which("initdb")
    candidates = [Path(found).parent, *FOLDERS] if found else FOLDERS
    return next((folder for folder in candidates if (folder / "postgres").exists()), None)


def _memory() -> Path | None:
    """A disk in memory, if there is room on one: what is never kept need not be written."""
    is_roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    return MEMORY if is_roomy else None


def free_port() -> int:
    """One that no outgoing connection takes while its server is away for a moment."""
    while True:
        port = random.SystemRandom().choice(CALM_PORTS)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


@dataclass
class PostgresServer:
    """A running server."""

    folder: Path
    port: int
    command: list[str]
    process: subprocess.Popen[bytes]
    _returned: list[str] = field(default_factory=list)
    _newest: list[tuple[object, ...]] = field(default_factory=list)

    @classmethod
    def start(cls, *, durable: bool = False) -> "PostgresServer":
        """In memory where there is room; `durable` ones write to a disk and wait for it, as a deployment's do."""
        folder = Path(tempfile.mkdtemp(prefix="tunelens-pg-", dir=None if durable else _memory()))
        tools = binaries()
        assert tools is not None
        become: list[str] = []
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
            become = ["runuser", "-u", "postgres", "--"]
        data = folder / "data"
        init = [*become, str(tools / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync"]
        subprocess.run(init, check=True, capture_output=True, cwd=folder)
        port = free_port()
        command = [*become, str(tools / "postgres"), "-D", str(data), "-p", str(port), "-k", str(folder)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"]
        command += ["-c", f"fsync={'on' if durable else 'off'}"]
        server = cls(folder, port, command, _run(command, folder))
        server._wait()
        return server

    def crash(self) -> None:
        """Every connection breaks at once; nothing that was committed is lost."""
        server = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(server, signal.SIGQUIT)  # not to `runuser`, which would keep it for itself
        self.process.wait(30)

    def start_again(self) -> None:
        """After a crash; it recovers from its log first."""
        self.process = _run(self.command, self.folder)
        self._wait()

    def create_database(self, owner: str = "postgres") -> str:
        """The URL of a fresh, empty database; the account is made if there is none."""
        name = f"tunelens_{next(_numbers)}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (owner,)).rowcount == 0:
                connection.execute(f"CREATE ROLE {owner} LOGIN")
            connection.execute(f"CREATE DATABASE {name} OWNER {owner}")
        return f"postgresql://{owner}@127.0.0.1:{self.port}/{name}"

    def lend(self) -> str:
        """The URL of an empty database with the newest schema; migrated once, and emptied for the next borrower."""
        while self._returned:
            url = self._returned.pop()
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("SET lock_timeout = '20s'")
                if _schema(connection) == self._newest:
                    connection.execute(f"TRUNCATE {', '.join(_tables(connection))}")
                    return url
        url = self.create_database()
        engine = make_engine(url)
        upgrade(engine)
        engine.dispose()
        with psycopg.connect(url) as connection:
            self._newest = _schema(connection)
        return url

    def take_back(self, url: str) -> None:
        """A lent database that nobody is connected to any more."""
        self._returned.append(url)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _address(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def _wait(self) -> None:
        for _ in range(200):
            try:
                psycopg.connect(self._address("postgres")).close()
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
        raise RuntimeError("PostgreSQL did not start")


def _run(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)


def _tables(connection: psycopg.Connection) -> list[str]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
    return [row[0] for row in connection.execute(query)]


def _schema(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    """Every column: what a test has changed is not lent again."""
    query = "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
    return sorted(connection.execute(query).fetchall())
