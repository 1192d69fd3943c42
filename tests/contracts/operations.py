"""Every operation of the OpenAPI document as a request that would succeed with the right key.

An operation that is new to the document makes the walks fail until it is described here: its body, the values of its
path parameters, the ids that its body may hold.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.contracts.world import Project, job_spec
from tests.corpora import pets
from tests.corpora.pictures import png

PUBLIC = {("get", "/healthz"), ("get", "/readyz")}
VALUES = {
    "number": "0",
    "form": "png",
    "format": "onnx",
    "index": "0",
    "label": "cat",
    "picture": "overlay",
}


@dataclass(frozen=True)
class Operation:
    """One method at one path template."""

    method: str
    template: str
    scope: str
    has_body: bool
    streams: bool
    id_fields: frozenset[str]
    """Where its JSON body may hold ids, as dotted paths."""

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.template}"

    def path(self, ids: dict[str, str]) -> str:
        """The template filled in."""
        name = "model.safetensors" if "artifacts" in self.template else "best"
        plot = "bar" if "explanations" in self.template else "learning_curves"
        return self.template.format(**VALUES, **ids, name=name, plot=plot)

    def body(self, project: Project) -> dict[str, Any]:
        """Request options with a body that is valid for the project."""
        ids = project.ids
        bodies: dict[str, dict[str, Any]] = {
            "POST /v1/datasets": {"files": {"file": ("p.zip", pets.plain())}, "data": {"modality": "image"}},
            "POST /v1/jobs": {"json": job_spec(ids["dataset_id"])},
            "POST /v1/jobs/{job_id}/rerun": {"json": {}},
            "POST /v1/models/{model_id}/predictions": {"files": {"file": ("a.png", png())}},
            "POST /v1/models/{model_id}/explanations": {
                "files": {"file": ("a.png", png())},
                "data": {"spec": '{"method": "shap"}'},
            },
            "POST /v1/models/{model_id}/exports": {"json": {"format": "onnx"}},
            "PUT /v1/aliases/{name}": {"json": {"model_id": ids["model_id"]}},
            "POST /v1/keys": {"json": {"name": "made"}},
            "POST /v1/keys/{key_id}/rotate": {"json": {}},
        }
        assert self.has_body == (str(self) in bodies), f"{self}: describe its body here"
        return bodies.get(str(self), {})


def operations(document: dict[str, Any]) -> list[Operation]:
    """All that need a key."""
    return [
        _operation(document, method, template)
        for template, methods in document["paths"].items()
        for method in methods
        if (method, template) not in PUBLIC
    ]


def _operation(document: dict[str, Any], method: str, template: str) -> Operation:
    details = document["paths"][template][method]
    content = details.get("requestBody", {}).get("content", {})
    answers = details["responses"].get("200", {}).get("content", {})
    return Operation(
        method=method,
        template=template,
        scope=details["x-scope"],
        has_body=bool(content),
        streams="text/event-stream" in answers,
        id_fields=frozenset(_id_fields(document, content.get("application/json", {}).get("schema", {}))),
    )


def _id_fields(document: dict[str, Any], schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    """Fields of a schema whose names say that they hold ids or names of what is a project's own.

    A patch of a job's spec is any object to the schema; what it may hold is the spec.
    """
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if len(path) < 6:
            yield from _id_fields(document, document["components"]["schemas"][name], path)
        return
    for part in (*schema.get("anyOf", []), *schema.get("oneOf", []), *schema.get("allOf", [])):
        yield from _id_fields(document, part, path)
    for name, field in schema.get("properties", {}).items():
        if name.endswith(("_id", "_ids")) or name == "project":
            yield ".".join((*path, name))
        elif name == "override":
            spec = document["components"]["schemas"]["JobSpec"]
            yield from _id_fields(document, spec, (*path, name))
        else:
            yield from _id_fields(document, field, (*path, name))
