"""API keys, for admins."""

from typing import Annotated

from fastapi import Depends, Query

from service.deps import Caller, Waiting, Work, require_admin
from service.errors import NotFound
from service.keys import actions
from service.keys.schemas import KeyCreate, KeyList, KeyMade
from service.problems import error_docs
from service.routing import door_router
from service.store.pages import PageQuery

router = door_router("/keys", "keys")
router.dependencies.append(Depends(require_admin))


@router.post("", status_code=201, openapi_extra={"x-shown-once": ["key"]})
async def create_key(body: KeyCreate, desk: Waiting, caller: Caller) -> KeyMade:
    """Makes a key. The secret in `key` is shown once."""
    return await desk.run(actions.create, caller, body)


@router.get("")
def list_keys(
    work: Work,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> KeyList:
    """All keys, newest first, without their secrets."""
    return actions.page(work, PageQuery(limit=limit, cursor=cursor))


@router.delete("/{key_id}", status_code=204, responses=error_docs(NotFound))
def revoke_key(key_id: str, work: Work) -> None:
    """Revokes a key at once."""
    actions.revoke(work, key_id)
