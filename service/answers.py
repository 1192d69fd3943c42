"""Answers of models in other forms than JSON: which one a client asks for, and tables as CSV."""

from collections.abc import Iterable, Sequence

from fastapi.responses import StreamingResponse

from service.specs.csv_cells import Cell, write_csv

CSV, PNG = "text/csv", "image/png"


def wanted(accept: str) -> str:
    """The media type that an Accept header names first, without its parameters."""
    return accept.split(",")[0].split(";")[0].strip().lower()


def csv_response(name: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> StreamingResponse:
    """A download named `<name>.csv`; cells that a spreadsheet could take for formulas are guarded."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(write_csv(columns, rows), media_type=CSV, headers=headers)
