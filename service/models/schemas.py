"""Bodies of models, artifacts and aliases."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from service.specs.base import JsonObject, Spec
from service.store import Artifact
from service.store.tables import AliasRow, ModelRow
from service.streaming import ArtifactRead
from service.times import Timestamp


class ModelRead(BaseModel):
    """A published result; `digest` is the SHA-256 of its weights.

    Models of images and texts have a `backbone`, those of tables an `estimator`; `classes` is empty in a regression.
    """

    id: str
    name: str | None
    metadata: dict[str, str]
    job_id: str
    problem: str
    backbone: str | None
    estimator: JsonObject | None
    classes: list[str]
    input: JsonObject
    metrics: JsonObject
    digest: str
    size_bytes: int
    artifacts: list[ArtifactRead]
    aliases: list[str]
    created_at: Timestamp

    @classmethod
    def from_row(cls, row: ModelRow, artifacts: list[Artifact], aliases: list[str]) -> "ModelRead":
        """The row as shown."""
        special = {"metadata", "artifacts", "aliases"}
        fields: dict[str, Any] = {name: getattr(row, name) for name in cls.model_fields if name not in special}
        shown = [ArtifactRead.of_model(row.id, artifact) for artifact in artifacts]
        return cls.model_validate({**fields, "metadata": row.labels, "artifacts": shown, "aliases": aliases})


class ModelList(BaseModel):
    """A page of models."""

    data: list[ModelRead]
    next_cursor: str | None


class AliasPut(Spec):
    """Which model an alias names."""

    model_id: Annotated[str, Field(max_length=64)]


class AliasRead(BaseModel):
    """A name that works wherever a model id does."""

    name: str
    model_id: str
    updated_at: Timestamp

    @classmethod
    def from_row(cls, row: AliasRow) -> "AliasRead":
        """The row as shown."""
        return cls.model_validate({name: getattr(row, name) for name in cls.model_fields})


class AliasList(BaseModel):
    """All aliases by name."""

    data: list[AliasRead]
    next_cursor: None = None
