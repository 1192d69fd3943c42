"""What answers of models share: how long they took, and other forms than JSON."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from fastapi import Header
from pydantic import BaseModel
from starlette.responses import Response

from service.specs.csv_cells import Cell, write_csv

CSV, PNG = "text/csv", "image/png"
DEFAULT_WAIT_SECONDS = 30.0
"""For an answer that no `Prefer` says otherwise of."""
Accept = Annotated[str, Header(max_length=500)]


class Timing(BaseModel):
    """Seconds from acceptance to start, and of computing."""

    queue_seconds: float | None
    compute_seconds: float | None

    @classmethod
    def from_row(cls, row: Any) -> "Timing":
        """Of a prediction or an explanation."""
        waited = None if row.started_at is None else round(max(0.0, row.started_at - row.created_at), 4)
        return cls(queue_seconds=waited, compute_seconds=row.compute_seconds)


def wanted(accept: str) -> str:
    """The media type that an Accept header names first, without its parameters."""
    return accept.split(",")[0].split(";")[0].strip().lower()


def csv_response(name: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Response:
    """A download named `<name>.csv`; cells that a spreadsheet could take for formulas are guarded.

    A whole body, not a stream: an `Idempotency-Key` has it kept.
    """
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response("".join(write_csv(columns, rows)), media_type=CSV, headers=headers)
