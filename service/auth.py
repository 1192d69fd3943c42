"""API keys: how they look, how they are checked, and the first one.

A key reads `tl_<id>_<secret><checksum>`: a typed prefix that secret scanners can match, 256 random bits, and a
CRC-32 that tells a mistyped key from a wrong one. The store keeps its SHA-256.
"""

import hashlib
import os
import secrets
import zlib
from dataclasses import dataclass
from pathlib import Path

from service.errors import InsufficientScope, Unauthenticated
from service.settings import Settings
from service.specs.base import new_id
from service.store import Store
from service.store.tables import KeyRow
from service.weak_secrets import MIN_KEY_LENGTH, refuse_weak_secrets

SCOPES = ("read", "write", "admin")
PREFIX = "tl_"
DEFAULT_PROJECT = "default"


@dataclass(frozen=True)
class Caller:
    """Who asks: a key, its project, and what it may do."""

    key_id: str
    project_id: str
    scopes: frozenset[str]

    def require(self, scope: str) -> None:
        """Raises `InsufficientScope`. `admin` includes `write`, which includes `read`."""
        sufficient = SCOPES[SCOPES.index(scope) :]
        if self.scopes.isdisjoint(sufficient):
            raise InsufficientScope(f"This needs a key with the scope `{scope}`.")


def new_secret() -> str:
    """A fresh key; shown once."""
    body = f"{PREFIX}{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"
    return body + _checksum(body)


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"


def digest(secret: str) -> str:
    """What the store keeps of a key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def authenticate(store: Store, authorization: str | None) -> Caller:
    """The caller behind an Authorization header; raises `Unauthenticated`."""
    scheme, _, secret = (authorization or "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or len(secret) < MIN_KEY_LENGTH:
        raise Unauthenticated("Send `Authorization: Bearer <key>`.")
    if secret.startswith(PREFIX) and _checksum(secret[:-8]) != secret[-8:]:
        raise Unauthenticated("The key is mistyped or cut short: its checksum is wrong.")
    with store.read() as work:
        row = work.keys.live(digest(secret))
    if row is None:
        raise Unauthenticated("The key is unknown, expired or revoked.")
    return Caller(row.id, row.project_id, frozenset(row.scopes))


def ensure_admin_key(store: Store, settings: Settings) -> Path | None:
    """Makes the first admin key, or takes the one from the environment.

    Returns:
        The file that holds a key made by this very call, else None.

    Raises:
        ValueError: a secret of the deployment is weak.
    """
    given = settings.admin_key
    refuse_weak_secrets(settings)
    path = settings.data_dir / "admin.key"
    made = None
    if given is None and not path.exists():
        given, made = new_secret(), path
        _write_secret(path, given)
    secret = given or path.read_text().strip()
    if len(secret) < MIN_KEY_LENGTH:
        raise ValueError(f"{path} holds no key; delete it and start again")
    with store.work() as work:
        if work.keys.by_digest(digest(secret)) is None:
            project = work.keys.project(DEFAULT_PROJECT)
            row = KeyRow(id=new_id("key"), project_id=project.id, name="admin", sha256=digest(secret), scopes=["admin"])
            work.keys.add(row)
    return made


def _write_secret(path: Path, secret: str) -> None:
    """Whole or not at all, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.part")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
