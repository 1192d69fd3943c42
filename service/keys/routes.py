"""API keys, for admins."""

from typing import Annotated

from fastapi import Query

from service.deps import Caller, Waiting, Work
from service.errors import Conflict, Invalid, MalformedJson, NotFound, UnknownReference, UnsupportedMediaType
from service.keys import actions
from service.keys.schemas import KeyCreate, KeyList, KeyMade, KeyRotate
from service.problems import error_docs
from service.routing import AdminDoor, door_router
from service.store.pages import PageQuery

router = door_router("/keys", "keys", AdminDoor)
BODY_ERRORS = (Invalid, MalformedJson, UnsupportedMediaType)
SHOWN_ONCE = {"x-shown-once": ["key"]}


@router.post("", status_code=201, openapi_extra=SHOWN_ONCE, responses=error_docs(UnknownReference, *BODY_ERRORS))
async def create_key(body: KeyCreate, desk: Waiting, caller: Caller) -> KeyMade:
    """Makes a key. The secret in `key` is shown once."""
    return await desk.run(actions.create, caller, body)


@router.get("")
def list_keys(
    work: Work,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> KeyList:
    """The project's keys, newest first, without their secrets; in the project `default` those of all projects."""
    return actions.page(work, caller, PageQuery(limit=limit, cursor=cursor))


@router.post(
    "/{key_id}/rotate",
    status_code=201,
    openapi_extra=SHOWN_ONCE,
    responses=error_docs(NotFound, Conflict, *BODY_ERRORS),
)
async def rotate_key(key_id: str, body: KeyRotate, desk: Waiting, caller: Caller) -> KeyMade:
    """Makes a key like this one, which goes on working for `overlap_seconds`."""
    return await desk.run(actions.rotate, caller, key_id, body)


@router.delete("/{key_id}", status_code=204, responses=error_docs(NotFound))
def revoke_key(key_id: str, work: Work, caller: Caller) -> None:
    """Revokes a key at once."""
    actions.revoke(work, caller, key_id)
