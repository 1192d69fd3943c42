"""What tables are made of: the declarative base, and the columns that several have in common."""

from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, ForeignKey, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from service.store.engine import now_seconds

Json = dict[str, Any]


class Row(DeclarativeBase):
    """Base of the ORM classes; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        Json: JSON,
        list[Json]: JSON,
        list[str]: JSON,
        int: BigInteger,
    }


class Owned:
    """What belongs to a project and is listed newest first."""

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    created_at: Mapped[float] = mapped_column(insert_default=now_seconds())


class Labelled:
    """What a client may name."""

    name: Mapped[str | None] = mapped_column(String(120))
    labels: Mapped[Json] = mapped_column("metadata", insert_default=dict)


class Leased:
    """Work that one worker holds at a time.

    `lease_token` grows with each claim; every write of a worker carries the token it got.
    """

    state: Mapped[str] = mapped_column(String(16))
    problem: Mapped[Json | None]
    attempt: Mapped[int] = mapped_column(insert_default=0)
    lease_owner: Mapped[str | None] = mapped_column(String(120))
    lease_token: Mapped[int] = mapped_column(insert_default=0)
    lease_expires_at: Mapped[float | None]
    queued_at: Mapped[float] = mapped_column(insert_default=now_seconds())
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]
