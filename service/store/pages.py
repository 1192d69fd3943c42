"""Lists: newest first, filtered, cut into pages by a cursor."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, null, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session, defer

from service.errors import Fault, Invalid

RowT = TypeVar("RowT")


@dataclass(frozen=True)
class PageQuery:
    """What a list request asks for."""

    limit: int = 50
    cursor: str | None = None
    state: str | None = None
    name: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def encode_cursor(created_at: float, row_id: str) -> str:
    """An opaque position in a list."""
    return base64.urlsafe_b64encode(f"{created_at!r}|{row_id}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[float, str]:
    """Raises `Invalid` for what this service did not hand out."""
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode()
        at, _, row_id = raw.partition("|")
        return float(at), row_id
    except (ValueError, binascii.Error) as error:
        fault = Fault(("query", "cursor"), "cursor", "not a cursor of this service")
        raise Invalid("The cursor is not one of this service.", errors=[fault]) from error


def fetch_page(
    session: Session,
    row_class: Any,
    where: list[ColumnElement[bool]],
    page: PageQuery,
    *,
    without: Sequence[InstrumentedAttribute[Any]] = (),
) -> tuple[list[Any], str | None]:
    """Rows of one page and the cursor of the next, or None at the end; `without` columns that are large."""
    query: Select[Any] = select(row_class).where(*where).options(*(defer(column) for column in without))
    for name in ("state", "name"):
        if getattr(page, name) is not None:
            query = query.where(getattr(row_class, name, null()) == getattr(page, name))
    for key, value in page.metadata.items():
        labels = getattr(row_class, "labels", None)
        query = query.where(null() if labels is None else labels[key].as_string() == value)
    if page.cursor is not None:
        query = query.where(tuple_(row_class.created_at, row_class.id) < decode_cursor(page.cursor))
    query = query.order_by(row_class.created_at.desc(), row_class.id.desc()).limit(page.limit + 1)
    rows = list(session.scalars(query))
    if len(rows) <= page.limit:
        return rows, None
    last = rows[page.limit - 1]
    return rows[: page.limit], encode_cursor(last.created_at, last.id)
