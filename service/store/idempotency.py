"""First answers by idempotency key."""

from collections.abc import Sequence
from contextvars import ContextVar

from sqlalchemy import ColumnElement, Select, delete, func, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from service.store.engine import seconds_ago
from service.store.tables import IdempotencyRow

in_flight: ContextVar[tuple[str, str, str] | None] = ContextVar("in_flight", default=None)
"""Project, route and key of the request that is being answered, where it has a key."""

KEPT_SECONDS = 24 * 3600.0
IN_FLIGHT_SECONDS = 120.0


class IdempotencyKeys:
    """Reserve, answer, release."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def reserve(self, project_id: str, route: str, key: str, fingerprint: str) -> IdempotencyRow | None:
        """None when the key is now ours, else the row of the first request."""
        self._purge(IdempotencyRow.project_id == project_id, IdempotencyRow.route == route, IdempotencyRow.key == key)
        values = {"project_id": project_id, "route": route, "key": key, "fingerprint": fingerprint}
        insert = sqlite_insert if self._session.get_bind().dialect.name == "sqlite" else postgresql_insert
        statement = insert(IdempotencyRow).values(**values).on_conflict_do_nothing().returning(IdempotencyRow.key)
        if self._session.execute(statement).one_or_none() is not None:
            return None
        return self._session.get_one(IdempotencyRow, (project_id, route, key))

    def answer(
        self, project_id: str, route: str, key: str, *, status: int, headers: dict[str, str], body: bytes
    ) -> None:
        """Keeps the first answer; what accepted nothing new shows the resource that its path names, if any."""
        named = "/".join(route.partition(" ")[2].split("/")[:4]) if route.count("/") > 3 else None
        self._session.execute(
            update(IdempotencyRow)
            .where(IdempotencyRow.project_id == project_id, IdempotencyRow.route == route, IdempotencyRow.key == key)
            .values(status=status, headers=headers, body=body, location=func.coalesce(IdempotencyRow.location, named))
        )

    def bind(self, location: str) -> None:
        """Names what the request in flight has accepted, in the very transaction that accepts it."""
        place = in_flight.get()
        if place is not None:
            project_id, route, key = place
            self._session.execute(
                update(IdempotencyRow)
                .where(
                    IdempotencyRow.project_id == project_id, IdempotencyRow.route == route, IdempotencyRow.key == key
                )
                .values(location=location)
            )

    def release(self, project_id: str, route: str, key: str) -> None:
        """Forgets a request that accepted nothing: the client may try again."""
        self._session.execute(
            delete(IdempotencyRow).where(
                IdempotencyRow.project_id == project_id,
                IdempotencyRow.route == route,
                IdempotencyRow.key == key,
                IdempotencyRow.location.is_(None),
            )
        )

    def forget(self, locations: Sequence[str] | Select[str]) -> None:
        """Drops the answers that show resources which are being deleted; a repeat finds that they are gone."""
        shown = IdempotencyRow.location.in_(locations)
        gone = update(IdempotencyRow).where(shown).values(status=None, headers=None, body=None)
        self._session.execute(gone.execution_options(synchronize_session=False))

    def purge(self) -> None:
        """Drops answers after a day, and reservations whose process died before it answered."""
        self._purge()

    def _purge(self, *where: ColumnElement[bool]) -> None:
        """Both as an index of its own finds them: all keys of a day are many."""
        unanswered = IdempotencyRow.status.is_(None) & IdempotencyRow.location.is_(None)
        for stale in (
            IdempotencyRow.created_at < seconds_ago(KEPT_SECONDS),
            unanswered & (IdempotencyRow.created_at < seconds_ago(IN_FLIGHT_SECONDS)),
        ):
            gone = delete(IdempotencyRow).where(stale, *where)
            self._session.execute(gone.execution_options(synchronize_session=False))
