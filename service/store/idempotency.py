"""First answers by idempotency key."""

from contextvars import ContextVar

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from service.store.engine import now_seconds
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
        self.purge()
        values = {"project_id": project_id, "route": route, "key": key, "fingerprint": fingerprint}
        insert = sqlite_insert if self._session.get_bind().dialect.name == "sqlite" else postgresql_insert
        statement = insert(IdempotencyRow).values(**values).on_conflict_do_nothing().returning(IdempotencyRow.key)
        if self._session.execute(statement).one_or_none() is not None:
            return None
        return self._session.get_one(IdempotencyRow, (project_id, route, key))

    def answer(
        self, project_id: str, route: str, key: str, *, status: int, headers: dict[str, str], body: bytes
    ) -> None:
        """Keeps the first answer."""
        self._session.execute(
            update(IdempotencyRow)
            .where(IdempotencyRow.project_id == project_id, IdempotencyRow.route == route, IdempotencyRow.key == key)
            .values(status=status, headers=headers, body=body)
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

    def forget(self, row_id: str) -> None:
        """Drops the answers that show a resource which is being deleted; a repeat finds that it is gone."""
        shown = IdempotencyRow.location.contains(row_id, autoescape=True)
        gone = update(IdempotencyRow).where(shown).values(status=None, headers=None, body=None)
        self._session.execute(gone.execution_options(synchronize_session=False))

    def purge(self) -> None:
        """Drops answers after a day, and reservations whose process died before it answered."""
        age = now_seconds() - IdempotencyRow.created_at
        stale = (age > KEPT_SECONDS) | (
            IdempotencyRow.status.is_(None) & IdempotencyRow.location.is_(None) & (age > IN_FLIGHT_SECONDS)
        )
        self._session.execute(delete(IdempotencyRow).where(stale).execution_options(synchronize_session=False))
