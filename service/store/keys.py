"""Projects and API keys in the store. Only digests of secrets are kept."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from service.specs.base import new_id
from service.store.engine import now_seconds
from service.store.pages import PageQuery, fetch_page
from service.store.tables import KeyRow, ProjectRow


class Keys:
    """Rows of keys and the projects they open."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def project(self, name: str) -> ProjectRow:
        """The project of that name, made when it is new."""
        row = self.named_project(name)
        if row is None:
            row = ProjectRow(id=new_id("prj"), name=name)
            self._session.add(row)
            self._session.flush()
        return row

    def named_project(self, name: str) -> ProjectRow | None:
        """The project of that name."""
        return self._session.scalars(select(ProjectRow).where(ProjectRow.name == name)).one_or_none()

    def project_name(self, project_id: str) -> str:
        """A project's name."""
        return self._session.scalars(select(ProjectRow.name).where(ProjectRow.id == project_id)).one()

    def add(self, row: KeyRow) -> None:
        """A new key."""
        self._session.add(row)
        self._session.flush()

    def live(self, sha256: str) -> KeyRow | None:
        """The key with that digest, unless revoked or expired."""
        return self._session.scalars(select(KeyRow).where(KeyRow.sha256 == sha256, _is_live())).one_or_none()

    def living(self, key_ids: Iterable[str]) -> set[str]:
        """Those of the keys that still open something."""
        return set(self._session.scalars(select(KeyRow.id).where(KeyRow.id.in_(list(key_ids)), _is_live())))

    def find(self, project_id: str | None, key_id: str) -> KeyRow | None:
        """One key of a project, or of any; locked, revoked ones too."""
        query = select(KeyRow).where(KeyRow.id == key_id, *_within(project_id)).with_for_update()
        return self._session.scalars(query).one_or_none()

    def successor(self, key_id: str) -> str | None:
        """The key that was rotated from this one, whatever became of it."""
        return self._session.execute(select(KeyRow.id).where(KeyRow.replaces == key_id)).scalar()

    def by_digest(self, sha256: str) -> KeyRow | None:
        """A key by digest, revoked ones too."""
        return self._session.scalars(select(KeyRow).where(KeyRow.sha256 == sha256)).one_or_none()

    def page(self, project_id: str | None, page: PageQuery) -> tuple[list[KeyRow], str | None]:
        """The keys of a project, or of all, newest first."""
        return fetch_page(self._session, KeyRow, _within(project_id), page)

    def expire(self, key_id: str, *, after_seconds: int) -> None:
        """Ends a key after a while, unless it ends sooner by itself."""
        soon = now_seconds() + float(after_seconds)
        ends = update(KeyRow).where(KeyRow.id == key_id, or_(KeyRow.expires_at.is_(None), KeyRow.expires_at > soon))
        self._session.execute(ends.values(expires_at=soon).execution_options(synchronize_session=False))

    def revoke(self, key_id: str) -> None:
        """Ends a key at once."""
        ends = update(KeyRow).where(KeyRow.id == key_id, KeyRow.revoked_at.is_(None)).values(revoked_at=now_seconds())
        self._session.execute(ends.execution_options(synchronize_session=False))


def _is_live() -> ColumnElement[bool]:
    return KeyRow.revoked_at.is_(None) & or_(KeyRow.expires_at.is_(None), KeyRow.expires_at > now_seconds())


def _within(project_id: str | None) -> list[ColumnElement[bool]]:
    return [] if project_id is None else [KeyRow.project_id == project_id]
