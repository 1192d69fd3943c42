"""Leases: how one worker holds a row, and how the row comes back when the worker is gone.

A claim is one guarded statement. The token it returns fences every later write: zero rows changed means that
somebody else holds the row now.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, func, or_, select, true, update
from sqlalchemy.orm import Session

from service.errors import LeaseLost, WorkerLost
from service.store.engine import now_seconds

LEASED = ("trials", "datasets", "predictions", "explanations", "exports")
"""What workers take under a lease, as the unit of work names it."""


@dataclass(frozen=True)
class Lease:
    """A held row."""

    row_id: str
    owner: str
    token: int
    seconds: float


@dataclass(frozen=True)
class Expired:
    """A lease seen past its time; `token` and `expires_at` identify that very lease."""

    row_id: str
    token: int
    expires_at: float


class Tally(NamedTuple):
    """How many rows wait and are held, how many of those by a lease past its time, and the longest wait."""

    waiting: int
    held: int
    expired: int
    oldest_seconds: float


class LeasedRows:
    """Claim, renew, release and finish rows of one leased class; only those that `may_run` are said to wait."""

    def __init__(
        self,
        session: Session,
        row_class: Any,
        *,
        waiting: str = "queued",
        held: str = "running",
        lost: str = "failed",
        may_run: ColumnElement[bool] | None = None,
    ) -> None:
        self._session = session
        self._rows = row_class
        self._waiting = waiting
        self._held = held
        self._lost = lost
        self._may_run = true() if may_run is None else may_run

    def claim(self, owner: str, seconds: float, *eligible: ColumnElement[bool]) -> Lease | None:
        """Takes the oldest waiting row, or None. A waiting row with a lease of its own (datasets) must be free."""
        rows = self._rows
        free = or_(rows.lease_expires_at.is_(None), rows.lease_owner.is_(None))
        oldest = (
            select(rows.id)
            .where(rows.state == self._waiting, free, *eligible)
            .order_by(rows.queued_at, getattr(rows, "number", rows.id))
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        statement = (
            update(rows)
            .where(rows.id == oldest, rows.state == self._waiting)
            .values(
                state=self._held,
                lease_owner=owner,
                lease_token=rows.lease_token + 1,
                lease_expires_at=now_seconds() + seconds,
                started_at=func.coalesce(rows.started_at, now_seconds()),
            )
            .returning(rows.id, rows.lease_token)
            .execution_options(synchronize_session=False)
        )
        taken = self._session.execute(statement).one_or_none()
        return Lease(taken.id, owner, taken.lease_token, seconds) if taken else None

    def renew(self, lease: Lease) -> None:
        """Extends the lease.

        Raises:
            LeaseLost: the row is gone, finished, or somebody else's.
        """
        self.write(lease, lease_expires_at=now_seconds() + lease.seconds)

    def write(self, lease: Lease, **values: Any) -> None:
        """Writes under the lease; raises `LeaseLost` when it is no longer ours."""
        statement = (
            update(self._rows)
            .where(self._mine(lease))
            .values(**values)
            .returning(self._rows.id)
            .execution_options(synchronize_session=False)
        )
        if self._session.execute(statement).one_or_none() is None:
            raise LeaseLost("Another worker holds the row.")

    def finish(self, lease: Lease, state: str, **values: Any) -> None:
        """Ends the row's work and gives the lease back; raises `LeaseLost`."""
        freed = {"lease_owner": None, "lease_expires_at": None, "finished_at": now_seconds()}
        self.write(lease, state=state, **freed, **values)

    def charge(self, lease: Lease, max_attempts: int, problem: dict[str, Any]) -> bool:
        """Puts the row back after a crash, or ends it once it has crashed too often; True when it ended."""
        attempt = self._session.execute(select(self._rows.attempt).where(self._mine(lease))).scalar_one_or_none()
        if attempt is None:
            raise LeaseLost("Another worker holds the row.")
        if attempt + 1 >= max_attempts:
            self.finish(lease, self._lost, attempt=attempt + 1, problem=problem)
            return True
        self.write(lease, state=self._waiting, attempt=attempt + 1, lease_owner=None, lease_expires_at=None)
        return False

    def release(self, lease: Lease) -> None:
        """Puts the row back without charging an attempt (drain, pause); raises `LeaseLost`."""
        self.write(lease, state=self._waiting, lease_owner=None, lease_expires_at=None)

    def expired(self) -> list[Expired]:
        """Leases past their time on the database's clock."""
        rows = self._rows
        query = select(rows.id, rows.lease_token, rows.lease_expires_at).where(
            rows.state == self._held, rows.lease_owner.is_not(None), rows.lease_expires_at < now_seconds()
        )
        return [Expired(*row) for row in self._session.execute(query)]

    def take_back(self, expired: Expired, max_attempts: int) -> str | None:
        """Requeues an expired row, or fails it after `max_attempts`; None when its owner came back meanwhile, or has
        the row locked: whoever sweeps waits for nobody.
        """
        rows = self._rows
        row = self._session.scalars(
            select(rows)
            .where(
                rows.id == expired.row_id,
                rows.state == self._held,
                rows.lease_token == expired.token,
                rows.lease_expires_at == expired.expires_at,
            )
            .with_for_update(skip_locked=True)
        ).one_or_none()
        if row is None:
            return None
        lost = row.attempt + 1 >= max_attempts
        row.attempt += 1
        row.lease_token += 1
        row.lease_owner = None
        row.lease_expires_at = None
        row.state = self._lost if lost else self._waiting
        if lost:
            row.finished_at = now_seconds()
            row.problem = WorkerLost(f"The work was lost {row.attempt} times with its worker.").to_problem()
        self._session.flush()
        return str(row.state)

    def waiting(self, older_than_seconds: float) -> int:
        """How many rows have waited for longer than that."""
        rows = self._rows
        query = select(func.count()).where(
            rows.state == self._waiting,
            rows.lease_owner.is_(None),
            rows.queued_at <= now_seconds() - older_than_seconds,
            self._may_run,
        )
        return int(self._session.execute(query).scalar_one())

    def held(self, row_ids: Iterable[str]) -> set[tuple[str, int]]:
        """Of those rows, the ones that somebody holds, each with the token of that claim."""
        rows = self._rows
        query = select(rows.id, rows.lease_token).where(
            rows.id.in_(list(row_ids)), rows.state == self._held, rows.lease_owner.is_not(None)
        )
        return {(row.id, row.lease_token) for row in self._session.execute(query)}

    def tally(self) -> Tally:
        """All of them as they are now."""
        rows = self._rows
        waits = and_(rows.state == self._waiting, rows.lease_owner.is_(None), self._may_run)
        held = and_(rows.state == self._held, rows.lease_owner.is_not(None))
        expired = and_(held, rows.lease_expires_at < now_seconds())
        query = select(
            *(func.count(case((condition, 1))) for condition in (waits, held, expired)),
            func.coalesce(now_seconds() - func.min(case((waits, rows.queued_at))), 0.0),
        ).where(rows.state.in_((self._waiting, self._held)))
        counts: Any = self._session.execute(query).one()
        return Tally(*counts)

    def _mine(self, lease: Lease) -> ColumnElement[bool]:
        rows = self._rows
        return and_(rows.id == lease.row_id, rows.lease_token == lease.token, rows.lease_owner == lease.owner)
