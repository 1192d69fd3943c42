"""Rules for API keys.

An admin key rules the keys of its own project. Those of the project `default`, the operator's, rule all of them and
make projects: they are the ones that the first start prints.
"""

from service.auth import DEFAULT_PROJECT, Caller, digest, new_secret
from service.errors import Conflict, Fault, Invalid, NotFound, UnknownReference
from service.keys.schemas import KeyCreate, KeyList, KeyMade, KeyRead, KeyRotate
from service.specs.base import new_id
from service.store import UnitOfWork
from service.store.engine import now_seconds
from service.store.pages import PageQuery
from service.store.tables import KeyRow


def create(work: UnitOfWork, caller: Caller, body: KeyCreate) -> KeyMade:
    """Makes a key; its secret leaves here and is not kept. Raises `Invalid`, `UnknownReference`."""
    if body.expires_at is not None and body.expires_at.tzinfo is None:
        fault = Fault(("body", "expires_at"), "timezone", "give a UTC offset")
        raise Invalid("expires_at lacks a UTC offset.", errors=[fault])
    if body.expires_at is not None and not 2000 <= body.expires_at.year < 9000:
        raise Invalid("expires_at is out of range.", errors=[Fault(("body", "expires_at"), "range", "2000 to 8999")])
    row = KeyRow(
        project_id=_chosen_project(work, caller, body.project),
        name=body.name,
        scopes=list(body.scopes),
        expires_at=body.expires_at.timestamp() if body.expires_at else None,
    )
    return _made(work, row)


def page(work: UnitOfWork, caller: Caller, query: PageQuery) -> KeyList:
    """The keys that the caller rules, newest first."""
    rows, cursor = work.keys.page(_reach(work, caller), query)
    data = [KeyRead.from_row(row, work.keys.project_name(row.project_id)) for row in rows]
    return KeyList(data=data, next_cursor=cursor)


def rotate(work: UnitOfWork, caller: Caller, key_id: str, body: KeyRotate) -> KeyMade:
    """Makes a key like this one, which ends after the overlap; two of a kind live at most.

    The new key lasts as long as the old one was given. What the old one had replaced ends at once.

    Raises:
        NotFound: no such key, or it is revoked.
        Conflict: it has expired, or was rotated already.
    """
    old = _find(work, caller, key_id)
    if not work.keys.living([old.id]):
        raise Conflict("The key has expired; make a new one.")
    if work.keys.successor(old.id) is not None:
        raise Conflict("The key was rotated already; rotate the one that replaced it, or make a new one.")
    if old.replaces is not None:
        work.keys.revoke(old.replaces)
    new = KeyRow(project_id=old.project_id, name=old.name, scopes=list(old.scopes), replaces=old.id)
    if old.expires_at is not None:
        new.expires_at = now_seconds() + (old.expires_at - old.created_at)
    work.keys.expire(old.id, after_seconds=body.overlap_seconds)
    return _made(work, new)


def revoke(work: UnitOfWork, caller: Caller, key_id: str) -> None:
    """Ends a key at once; raises `NotFound`."""
    work.keys.revoke(_find(work, caller, key_id).id)


def _made(work: UnitOfWork, row: KeyRow) -> KeyMade:
    secret = new_secret()
    row.id, row.sha256 = new_id("key"), digest(secret)
    work.keys.add(row)
    work.session.refresh(row)
    return KeyMade(**KeyRead.from_row(row, work.keys.project_name(row.project_id)).__dict__, key=secret)


def _reach(work: UnitOfWork, caller: Caller) -> str | None:
    """The one project whose keys the caller rules; None where it is all of them."""
    is_operator = work.keys.project_name(caller.project_id) == DEFAULT_PROJECT
    return None if is_operator else caller.project_id


def _chosen_project(work: UnitOfWork, caller: Caller, name: str | None) -> str:
    if name is None:
        return caller.project_id
    reach = _reach(work, caller)
    if reach is None:
        return work.keys.project(name).id
    found = work.keys.named_project(name)
    if found is None or found.id != reach:
        fault = Fault(("body", "project"), "unknown-reference", "no such project within this key's reach")
        raise UnknownReference("The project is unknown.", errors=[fault])
    return reach


def _find(work: UnitOfWork, caller: Caller, key_id: str) -> KeyRow:
    row = work.keys.find(_reach(work, caller), key_id)
    if row is None or row.revoked_at is not None:
        raise NotFound("No such key.")
    return row
