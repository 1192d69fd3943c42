"""Projects and API keys in the store. Only digests of secrets are kept."""

from sqlalchemy import or_, select
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
        row = self._session.scalars(select(ProjectRow).where(ProjectRow.name == name)).one_or_none()
        if row is None:
            row = ProjectRow(id=new_id("prj"), name=name)
            self._session.add(row)
            self._session.flush()
        return row

    def project_name(self, project_id: str) -> str:
        """A project's name."""
        return self._session.scalars(select(ProjectRow.name).where(ProjectRow.id == project_id)).one()

    def add(self, row: KeyRow) -> None:
        """A new key."""
        self._session.add(row)
        self._session.flush()

    def live(self, sha256: str) -> KeyRow | None:
        """The key with that digest, unless revoked or expired."""
        query = select(KeyRow).where(
            KeyRow.sha256 == sha256,
            KeyRow.revoked_at.is_(None),
            or_(KeyRow.expires_at.is_(None), KeyRow.expires_at > now_seconds()),
        )
        return self._session.scalars(query).one_or_none()

    def find(self, key_id: str) -> KeyRow | None:
        """A key by id, revoked ones too."""
        return self._session.get(KeyRow, key_id)

    def by_digest(self, sha256: str) -> KeyRow | None:
        """A key by digest, revoked ones too."""
        return self._session.scalars(select(KeyRow).where(KeyRow.sha256 == sha256)).one_or_none()

    def page(self, page: PageQuery) -> tuple[list[KeyRow], str | None]:
        """All keys, newest first."""
        return fetch_page(self._session, KeyRow, [], page)

    def revoke(self, row: KeyRow) -> None:
        """Ends a key at once."""
        row.revoked_at = now_seconds()
        self._session.flush()
