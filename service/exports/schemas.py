"""Bodies of exports."""

from typing import Any

from pydantic import BaseModel

from service.problems import ProblemDocument
from service.specs.exports import ExportFormat
from service.store import Artifact
from service.store.tables import ExportRow
from service.streaming import ArtifactRead
from service.times import Timestamp


class ExportRead(BaseModel):
    """A model in a format of other runtimes; `artifact` is the file once it has succeeded."""

    model_id: str
    format: ExportFormat
    state: str
    problem: ProblemDocument | None
    artifact: ArtifactRead | None
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None

    @classmethod
    def from_row(cls, row: ExportRow, artifact: Artifact | None) -> "ExportRead":
        """The row as shown."""
        fields: dict[str, Any] = {name: getattr(row, name) for name in cls.model_fields if name != "artifact"}
        shown = None if artifact is None else ArtifactRead.of_model(row.model_id, artifact)
        return cls.model_validate({**fields, "artifact": shown})


class ExportList(BaseModel):
    """All exports of a model, by format."""

    data: list[ExportRead]
    next_cursor: None = None
