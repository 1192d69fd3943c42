"""What every spec shares: frozen, strict, closed, finite."""

import secrets
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

NO_NUL = r"^[^\x00]*$"  # PostgreSQL keeps no NUL
Name = Annotated[str, StringConstraints(max_length=120, strip_whitespace=True, pattern=NO_NUL)]
MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=NO_NUL)]
MetadataValue = Annotated[str, StringConstraints(max_length=500, pattern=NO_NUL)]
Metadata = Annotated[dict[MetadataKey, MetadataValue], Field(max_length=16)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Prefix = Literal["prj", "key", "ds", "job", "trl", "mdl", "prd", "exp", "xpt", "art", "req"]
JsonObject = dict[str, object]


class Spec(BaseModel):
    """An immutable instruction: unknown fields, coercions, NaN and infinity are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def new_id(prefix: Prefix) -> str:
    """A random opaque id such as `job_5f0c…`: 80 bits, so that none can be guessed."""
    return f"{prefix}_{secrets.token_hex(10)}"
