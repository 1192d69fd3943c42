"""Statements that a store sends, and what the database does for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, event

from service.store import Store


@dataclass
class Sent:
    """What was sent, in order, with parameters as the driver takes them."""

    statements: list[tuple[str, Any]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.statements)


@contextmanager
def sent(store: Store) -> Iterator[Sent]:
    """What the block has the store send; an insert of many rows counts once."""
    noted = Sent()

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        noted.statements.append((statement, parameters))

    event.listen(store.engine, "before_cursor_execute", note)
    try:
        yield noted
    finally:
        event.remove(store.engine, "before_cursor_execute", note)


def rows_visited(store: Store, noted: Sent) -> dict[str, dict[str, float]]:
    """By statement and table, how many rows PostgreSQL looks at; undone at once.

    It is kept from reading whole tables, which it rightly does with small ones, wherever an index serves.
    """
    found: dict[str, dict[str, float]] = {}
    with store.engine.connect() as connection:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for statement, parameters in noted.statements:
            if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE")):
                tables = found.setdefault(statement, {})
                for node in _nodes(_explained(connection, statement, parameters)):
                    if "Relation Name" in node:
                        tables[node["Relation Name"]] = tables.get(node["Relation Name"], 0.0) + _visited(node)
        connection.rollback()
    return found


def _explained(connection: Connection, statement: str, parameters: Any) -> dict[str, Any]:
    explained = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
    plan: dict[str, Any] = explained.scalar_one()[0]["Plan"]
    return plan


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("Plans", []):
        yield from _nodes(inner)


def _visited(node: dict[str, Any]) -> float:
    dropped = sum(node.get(f"Rows Removed by {reason}", 0) for reason in ("Filter", "Index Recheck"))
    return float((node["Actual Rows"] + dropped) * node["Actual Loops"])


def whole_tables_read(store: Store, noted: Sent) -> dict[str, list[str]]:
    """By statement, the tables that SQLite reads from end to end, be it by an index."""
    found: dict[str, list[str]] = {}
    with store.engine.connect() as connection:
        for statement, parameters in noted.statements:
            if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE")):
                steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
                found[statement] = [step[3].split()[1] for step in steps if step[3].startswith("SCAN")]
        connection.rollback()
    return found
