"""Bodies of API keys."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from service.specs.base import Name, Spec
from service.store.tables import KeyRow
from service.times import Timestamp

Scope = Literal["read", "write", "admin"]


class KeyCreate(Spec):
    """A key to make; its project is the caller's unless named.

    Other projects than the caller's can be named with an admin key of the project `default`, which also makes them.
    """

    name: Name | None = None
    project: Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00]+$")] | None = None
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=3)] = Field(default=["read", "write"])
    expires_at: Annotated[datetime, Field(strict=False)] | None = None


class KeyRotate(Spec):
    """How long the old key lives on beside the new one."""

    overlap_seconds: int = Field(24 * 3600, ge=0, le=30 * 24 * 3600)


class KeyRead(BaseModel):
    """A key without its secret; `replaces` is the key that it was rotated from."""

    id: str
    name: str | None
    project: str
    scopes: list[str]
    created_at: Timestamp
    expires_at: Timestamp | None
    revoked_at: Timestamp | None
    replaces: str | None

    @classmethod
    def from_row(cls, row: KeyRow, project: str) -> "KeyRead":
        """The row as shown."""
        fields = {name: getattr(row, name) for name in cls.model_fields if name != "project"}
        return cls.model_validate({**fields, "project": project})


class KeyMade(KeyRead):
    """A new key; `key` is the secret and is shown this once."""

    key: str


class KeyList(BaseModel):
    """A page of keys."""

    data: list[KeyRead]
    next_cursor: str | None
