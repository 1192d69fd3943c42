"""Keys: made, listed, expired, rotated, revoked (S07)."""

import hashlib
import re
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import update

from service.store.engine import now_seconds
from service.store.tables import KeyRow
from tests.contracts.conftest import Api, problem


def make(api: Api, **fields: Any) -> dict[str, Any]:
    answer = api.call("POST", "/v1/keys", key=api.ours.admin_key, json={"scopes": ["read"], **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def rotate(api: Api, key_id: str, **fields: Any) -> Any:
    return api.call("POST", f"/v1/keys/{key_id}/rotate", key=api.ours.admin_key, json=fields)


def opens(api: Api, made: dict[str, Any]) -> bool:
    answer = api.call("GET", "/v1/jobs", key=made["key"])
    if answer.status_code == 200:
        return True
    problem(answer, 401, "unauthenticated")
    return False


def test_s07_a_key_has_a_typed_prefix_a_secret_and_a_checksum(api: Api) -> None:
    secret = make(api)["key"]
    assert re.fullmatch(r"tl_[0-9a-f]{8}_[A-Za-z0-9_-]{43}[0-9a-f]{8}", secret)
    assert int(secret[-8:], 16) == zlib.crc32(secret[:-8].encode())


def test_s07_a_mistyped_key_is_told_by_its_checksum(api: Api) -> None:
    secret = make(api)["key"]
    other = "B" if secret[20] == "A" else "A"
    for wrong in (
        secret[:20] + other + secret[21:],
        secret[:-1],
        secret + "0",
        secret[:-8] + secret[-8:].upper() + "x",
    ):
        answer = api.call("GET", "/v1/jobs", key=wrong)
        assert "checksum" in problem(answer, 401, "unauthenticated")["detail"]


def test_s07_the_store_keeps_the_digest_alone(make_api: Callable[..., Api]) -> None:
    api = make_api()
    made = make(api)
    with api.store.read() as work:
        row = work.keys.find(None, made["id"])
        assert row is not None
        assert row.sha256 == hashlib.sha256(made["key"].encode()).hexdigest()
    folder = api.client.app.state.settings.data_dir  # type: ignore[attr-defined]
    for path in folder.glob("tunelens.db*"):
        assert made["key"].encode() not in path.read_bytes()


def test_s07_lists_show_no_secret(api: Api) -> None:
    made = make(api, name="listed")
    listed = api.call("GET", "/v1/keys", key=api.ours.admin_key)
    (shown,) = [key for key in listed.json()["data"] if key["id"] == made["id"]]
    assert shown == {name: value for name, value in made.items() if name != "key"}
    assert made["key"] not in listed.text
    assert "sha256" not in listed.text


def test_s07_a_revoked_key_is_no_key(api: Api) -> None:
    made = make(api)
    assert opens(api, made)
    assert api.call("DELETE", f"/v1/keys/{made['id']}", key=api.ours.admin_key).status_code == 204
    assert not opens(api, made)
    problem(api.call("DELETE", f"/v1/keys/{made['id']}", key=api.ours.admin_key), 404, "not-found")


def test_s07_an_expired_key_is_no_key(api: Api) -> None:
    made = make(api, expires_at="2100-01-01T00:00:00Z")
    assert opens(api, made)
    with api.store.work() as work:
        work.session.execute(update(KeyRow).where(KeyRow.id == made["id"]).values(expires_at=now_seconds() - 1.0))
    assert not opens(api, made)
    problem(rotate(api, made["id"]), 409, "conflict")
    assert not opens(api, make(api, expires_at="2020-01-01T00:00:00+02:00"))


@pytest.mark.parametrize("expires_at", ["2100-01-01T00:00:00", "1999-01-01T00:00:00Z", "9999-12-31T00:00:00Z", 5, ""])
def test_s07_expiry_is_a_time_with_an_offset(expires_at: object, api: Api) -> None:
    answer = api.call("POST", "/v1/keys", key=api.ours.admin_key, json={"expires_at": expires_at})
    problem(answer, 422, "validation")


def test_s07_two_keys_live_while_one_is_rotated(api: Api) -> None:
    first = make(api, name="rotated", scopes=["write"])
    second = rotate(api, first["id"]).json()
    assert (second["name"], second["scopes"], second["replaces"]) == ("rotated", ["write"], first["id"])
    assert second["expires_at"] is None
    assert opens(api, first)
    assert opens(api, second)
    problem(rotate(api, first["id"]), 409, "conflict")
    third = rotate(api, second["id"]).json()
    assert [opens(api, made) for made in (first, second, third)] == [False, True, True]


def test_s07_the_old_key_ends_after_the_overlap(api: Api) -> None:
    first = make(api, expires_at="2100-01-01T00:00:00Z")
    second = rotate(api, first["id"], overlap_seconds=0).json()
    assert [opens(api, made) for made in (first, second)] == [False, True]
    lasts = [int(made["expires_at"][:4]) - int(made["created_at"][:4]) for made in (first, second)]
    assert lasts[0] == lasts[1]
    problem(rotate(api, second["id"], overlap_seconds=30 * 24 * 3600 + 1), 422, "validation")


def test_s07_of_two_rotations_at_once_one_wins(api: Api) -> None:
    made = make(api)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: rotate(api, made["id"]), range(2)))
    assert sorted(answer.status_code for answer in answers) == [201, 409]


def test_s07_a_rotated_secret_is_shown_once(api: Api) -> None:
    made = make(api)
    path, headers = f"/v1/keys/{made['id']}/rotate", {"Idempotency-Key": "rotate"}
    first, again = (api.call("POST", path, key=api.ours.admin_key, json={}, headers=headers) for _ in range(2))
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == {name: value for name, value in first.json().items() if name != "key"}


def test_s04_an_admin_rules_the_keys_of_its_project_alone(api: Api) -> None:
    listed = api.call("GET", "/v1/keys?limit=200", key=api.ours.admin_key).json()["data"]
    assert {key["project"] for key in listed} == {"ours"}
    for project in ("theirs", "never-made"):
        answer = api.call("POST", "/v1/keys", key=api.ours.admin_key, json={"project": project})
        problem(answer, 422, "unknown-reference")
    assert make(api, project="ours")["project"] == "ours"


def test_the_operator_makes_projects_and_rules_all_keys(make_api: Callable[..., Api]) -> None:
    operator = "operator-key-3b8d05e2c71fa964d0"
    api = make_api(admin_key=operator)
    made = api.call("POST", "/v1/keys", key=operator, json={"project": "new", "scopes": ["admin"]}).json()
    assert api.call("GET", "/v1/keys", key=made["key"]).json()["data"][0]["id"] == made["id"]
    listed = api.call("GET", "/v1/keys?limit=200", key=operator).json()["data"]
    assert {key["project"] for key in listed} == {"default", "new", "ours", "theirs"}
    assert api.call("DELETE", f"/v1/keys/{api.theirs.ids['key_id']}", key=operator).status_code == 204
