"""Keys: the first one, and what is no key."""

from pathlib import Path

import pytest

from service.auth import authenticate, ensure_admin_key, new_secret
from service.errors import InsufficientScope, Unauthenticated
from service.settings import Settings
from service.store import Store

GIVEN = "k0-a-key-that-somebody-has-chosen"


def test_the_first_start_makes_a_key_and_the_second_keeps_it(sqlite_store: Store, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    made = ensure_admin_key(sqlite_store, settings)
    assert made == tmp_path / "admin.key"
    assert made.stat().st_mode & 0o777 == 0o600
    secret = made.read_text().strip()
    assert ensure_admin_key(sqlite_store, settings) is None
    assert authenticate(sqlite_store, f"Bearer {secret}").scopes == {"admin"}
    assert list(tmp_path.glob("*.part")) == []


@pytest.mark.parametrize("content", ["", "\n", "\u00a0", "short"])
def test_a_broken_key_file_opens_nothing(sqlite_store: Store, tmp_path: Path, content: str) -> None:
    (tmp_path / "admin.key").write_text(content)
    with pytest.raises(ValueError, match="holds no key"):
        ensure_admin_key(sqlite_store, Settings(data_dir=tmp_path))
    with pytest.raises(Unauthenticated):
        authenticate(sqlite_store, f"Bearer {content}")


CUT = pytest.param(new_secret()[:23], id="cut short")


@pytest.mark.parametrize(
    "given",
    [
        *("", "changeme", "password", CUT, "changemechangemechangeme", "changeme-changeme-changeme"),
        *("abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba", "1234567890abcdefghijklmnop"),
        *("qwertyuiopasdfghjklzxcvbnm", "abc123xyz-abc123xyz-abc123xyz", "Passw0rd-Tunelens-2024!!"),
    ],
)
def test_s03_weak_keys_are_refused(sqlite_store: Store, tmp_path: Path, given: str) -> None:
    with pytest.raises(ValueError, match="TUNELENS_ADMIN_KEY"):
        ensure_admin_key(sqlite_store, Settings(data_dir=tmp_path, admin_key=given))


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic abc", f"Bearer {new_secret()}", "bearer \u00a0"],
    ids=["none", "empty", "no-secret", "blank", "basic", "unknown", "space"],
)
def test_what_is_no_key(sqlite_store: Store, header: str | None) -> None:
    with pytest.raises(Unauthenticated):
        authenticate(sqlite_store, header)


def test_scopes_include_one_another(sqlite_store: Store, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, admin_key=GIVEN)
    ensure_admin_key(sqlite_store, settings)
    caller = authenticate(sqlite_store, f"Bearer {GIVEN}")
    for scope in ("read", "write", "admin"):
        caller.require(scope)
    with pytest.raises(InsufficientScope):
        type(caller)(caller.key_id, caller.project_id, frozenset({"read"})).require("write")
