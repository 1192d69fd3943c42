"""Numbers that may be left to the service: a bounded number, or `auto`."""

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidatorFunctionWrapHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

Auto = Literal["auto"]
AUTO: Auto = "auto"
Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class OrAuto:
    """Annotates `float | Auto` and the like: "auto" passes, all else is checked as `number`.

    A plain union would report a wrong number twice, and name its own members in the fault's location.
    """

    number: Any

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Checks as `number` does, "auto" apart."""
        return core_schema.no_info_wrap_validator_function(
            _auto_or,
            handler.generate_schema(self.number),
            serialization=core_schema.plain_serializer_function_ser_schema(_as_it_is),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The number's schema, or the word."""
        assert schema["type"] == "function-wrap"
        return {"anyOf": [handler(schema["schema"]), {"type": "string", "const": AUTO}]}


def settled(value: Number | Auto) -> Number:
    """The number; ValueError while it is still `auto`."""
    if isinstance(value, str):
        raise ValueError("this is decided before training")
    return value


def _auto_or(value: object, check: ValidatorFunctionWrapHandler) -> object:
    return AUTO if value == AUTO else check(value)


def _as_it_is(value: object) -> object:
    return value
