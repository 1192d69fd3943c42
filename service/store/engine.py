"""Engines for SQLite and PostgreSQL, and the database's own clock."""

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Float, ScalarSelect, create_engine, event, make_url, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, TimeoutError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

BUSY_TIMEOUT_MS = 10_000
IDLE_IN_TRANSACTION_SECONDS = 30
"""Of a process that stands still within a transaction (frozen, or its machine is): PostgreSQL rolls it back then, so
that its locks keep nobody for longer.
"""
LINE: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""A line on which nothing arrives any more fails after about 25 seconds, whether something was being sent (the last
value, in milliseconds) or an answer awaited (the others, in seconds); Linux would wait for 15 minutes and for 2 hours.
A server whose kernel still acknowledges, frozen or behind a proxy, is waited for all the same. A URL may say otherwise.
"""
AWAY = (OperationalError, InterfaceError, InternalError, TimeoutError)
"""What a question meets while the database is away, stopped, full, only to be read, or out of connections."""
POOL: dict[str, Any] = {"pool_size": 20, "max_overflow": 30, "hide_parameters": True}
"""Parameters are what clients wrote: errors, and so logs, do not repeat them."""


class now_seconds(FunctionElement[float]):
    """Seconds since 1970 on the database's clock: leases never compare clocks of two machines."""

    type = Float()
    inherit_cache = True
    name = "now_seconds"


@compiles(now_seconds, "sqlite")
def _sqlite_now(element: now_seconds, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ARG001
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now_seconds, "postgresql")
def _postgresql_now(element: now_seconds, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ARG001
    return "CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)"


def seconds_ago(seconds: float) -> ScalarSelect[float]:
    """A time on the database's clock, to compare a column with; asked once, so that an index of the column serves."""
    return select(now_seconds() - seconds).scalar_subquery()


def make_engine(database_url: str) -> Engine:
    """A pooled engine; for SQLite in WAL mode with explicit transactions.

    pysqlite's own transaction handling is switched off, since it leaks rows at savepoints and upgrades locks
    half-way; a connection begins IMMEDIATE unless its execution options say `read_only`. With `quick` a commit
    survives the process but perhaps not a power cut; the next commit without it carries it along. What is deleted is
    overwritten with zeros, in the file and, once `forget_log` has run, in its log.
    """
    url = make_url(database_url)
    if url.get_backend_name() == "postgresql":
        # PgBouncer in transaction mode loses prepared statements.
        arguments = {"prepare_threshold": None, **{key: LINE[key] for key in LINE if key not in url.query}}
        url = url.set(drivername="postgresql+psycopg")
        engine = create_engine(url, pool_pre_ping=True, **POOL, connect_args=arguments)
        event.listen(engine, "connect", _prepare_postgresql)
        return engine
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, **POOL, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def forget_log(engine: Engine) -> None:
    """Empties SQLite's write-ahead log, which may still hold deleted bytes; does nothing while others read it."""
    if engine.dialect.name != "sqlite":
        return
    connection = engine.raw_connection()
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=0")
    cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.close()
    connection.close()


def _prepare_postgresql(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_SECONDS}s'")
    cursor.close()
    connection.commit()


def _prepare_sqlite(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    options = connection.get_execution_options()
    if options.get("read_only"):
        connection.exec_driver_sql("BEGIN DEFERRED")
        return
    connection.exec_driver_sql(f"PRAGMA synchronous={'NORMAL' if options.get('quick') else 'FULL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
