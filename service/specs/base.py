"""What every spec shares: frozen, strict, closed, finite."""

import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

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


def broken_rule(field: str, rule: str) -> PydanticCustomError:
    """For validators of whole specs: `rule` is broken at `field`, a dotted path from that spec.

    Pydantic places such an error at the spec; `field` goes along, so that the problem document can name it.
    """
    return PydanticCustomError("value_error", "{rule}", {"rule": rule, "field": field})


def rule_in_words(error: Mapping[str, Any]) -> str:
    """One of a `ValidationError`'s errors in a line: the field and the rule."""
    field = error.get("ctx", {}).get("field")
    place = ".".join(map(str, [*error["loc"], *([field] if field else [])]))
    rule = str(error["msg"]).removeprefix("Value error, ")
    return f"{place}: {rule}" if place else rule


def new_id(prefix: Prefix) -> str:
    """A random opaque id such as `job_5f0c…`: 80 bits, so that none can be guessed."""
    return f"{prefix}_{secrets.token_hex(10)}"
