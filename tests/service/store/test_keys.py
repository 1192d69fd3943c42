"""Keys in both databases: what lives, what is replaced, what ends."""

import pytest

from service.auth import Caller, authenticate
from service.errors import Conflict, NotFound, Unauthenticated
from service.keys import actions
from service.keys.schemas import KeyCreate, KeyMade, KeyRotate
from service.store import Store


def opens(store: Store, made: KeyMade) -> bool:
    try:
        authenticate(store, f"Bearer {made.key}")
    except Unauthenticated:
        return False
    return True


def test_s07_rotation_keeps_two_keys_and_revocation_none(store: Store) -> None:
    with store.work() as work:
        caller = Caller("key_0", work.keys.project("ours").id, frozenset({"admin"}))
        first = actions.create(work, caller, KeyCreate(scopes=["read"]))
    with store.work() as work:
        second = actions.rotate(work, caller, first.id, KeyRotate())
    assert [opens(store, made) for made in (first, second)] == [True, True]
    with store.work() as work, pytest.raises(Conflict):
        actions.rotate(work, caller, first.id, KeyRotate())
    with store.work() as work:
        third = actions.rotate(work, caller, second.id, KeyRotate(overlap_seconds=0))
    assert [opens(store, made) for made in (first, second, third)] == [False, False, True]
    with store.work() as work:
        actions.revoke(work, caller, third.id)
    assert not opens(store, third)
    with store.work() as work, pytest.raises(NotFound):
        actions.rotate(work, caller, third.id, KeyRotate())
