"""Rules for API keys."""

from service.auth import Caller, digest, new_secret
from service.errors import Fault, Invalid, NotFound
from service.keys.schemas import KeyCreate, KeyList, KeyMade, KeyRead
from service.specs.base import new_id
from service.store import UnitOfWork
from service.store.pages import PageQuery
from service.store.tables import KeyRow


def create(work: UnitOfWork, caller: Caller, body: KeyCreate) -> KeyMade:
    """Makes a key; its secret leaves here and is not kept."""
    if body.expires_at is not None and body.expires_at.tzinfo is None:
        fault = Fault(("body", "expires_at"), "timezone", "give a UTC offset")
        raise Invalid("expires_at lacks a UTC offset.", errors=[fault])
    if body.expires_at is not None and not 2000 <= body.expires_at.year < 9000:
        raise Invalid("expires_at is out of range.", errors=[Fault(("body", "expires_at"), "range", "2000 to 8999")])
    project_id = work.keys.project(body.project).id if body.project else caller.project_id
    secret = new_secret()
    row = KeyRow(
        id=new_id("key"),
        project_id=project_id,
        name=body.name,
        sha256=digest(secret),
        scopes=list(body.scopes),
        expires_at=body.expires_at.timestamp() if body.expires_at else None,
    )
    work.keys.add(row)
    work.session.refresh(row)
    return KeyMade(**KeyRead.from_row(row, work.keys.project_name(project_id)).__dict__, key=secret)


def page(work: UnitOfWork, query: PageQuery) -> KeyList:
    """All keys, newest first."""
    rows, cursor = work.keys.page(query)
    data = [KeyRead.from_row(row, work.keys.project_name(row.project_id)) for row in rows]
    return KeyList(data=data, next_cursor=cursor)


def revoke(work: UnitOfWork, key_id: str) -> None:
    """Ends a key at once; raises `NotFound`."""
    row = work.keys.find(key_id)
    if row is None or row.revoked_at is not None:
        raise NotFound("No such key.")
    work.keys.revoke(row)
