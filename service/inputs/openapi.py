"""OpenAPI's description of a body that comes as a form or as JSON."""

from typing import Any

from service.specs.base import Spec
from service.specs.explanations import MAX_INPUTS, DatasetInputs

_FILES = "images; or one CSV or JSON Lines file of rows or texts"
_INPUTS = "texts, or rows as objects"


def multipart_or_json(spec_class: type[Spec]) -> dict[str, Any]:
    """Files, or `inputs`, or samples of a dataset; each with the fields of the spec."""
    fields = spec_class.model_json_schema(ref_template="{model}")
    fields = _inlined(fields, fields.pop("$defs", {}))
    choice = DatasetInputs.model_json_schema()
    form = {
        "type": "object",
        "required": ["file"],
        "properties": {
            "file": {
                "type": "array",
                "maxItems": MAX_INPUTS,
                "items": {"type": "string", "format": "binary"},
                "description": _FILES,
            },
            "spec": {"type": "string", "description": f"JSON of {spec_class.__name__}"},
        },
    }
    value = {"anyOf": [{"type": "string"}, {"type": "object"}]}
    values = {"type": "array", "minItems": 1, "maxItems": MAX_INPUTS, "items": value, "description": _INPUTS}
    bodies = [
        _body("inputs", {"inputs": values}, fields),
        _body("dataset_id", choice["properties"], fields),
    ]
    content = {"multipart/form-data": {"schema": form}, "application/json": {"schema": {"anyOf": bodies}}}
    return {"x-multipart": True, "requestBody": {"required": True, "content": content}}


def _inlined(part: Any, definitions: dict[str, Any]) -> Any:
    """Definitions in place of the references to them: this part of the document has no room for definitions."""
    if isinstance(part, list):
        return [_inlined(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        rest = {name: value for name, value in part.items() if name != "$ref"}
        return _inlined(definitions[part["$ref"]] | rest, definitions)
    return {name: _inlined(value, definitions) for name, value in part.items()}


def _body(needed: str, own: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [needed, *fields.get("required", [])],
        "properties": {**own, **fields.get("properties", {})},
        "additionalProperties": False,
    }
