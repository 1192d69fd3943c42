"""Every operation of the OpenAPI document as a request that would succeed with the right key."""

from dataclasses import dataclass
from typing import Any

from tests.contracts.world import Project, job_spec
from tests.corpora import pets
from tests.corpora.pictures import png

PUBLIC = {("get", "/healthz"), ("get", "/readyz")}
VALUES = {
    "number": "0",
    "plot": "learning_curves",
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
    multipart: bool

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.template}"

    def path(self, ids: dict[str, str]) -> str:
        """The template filled in."""
        name = "model.safetensors" if "artifacts" in self.template else "best"
        return self.template.format(**VALUES, **ids, name=name)

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
        }
        return bodies.get(str(self), {})


def operations(document: dict[str, Any]) -> list[Operation]:
    """All that need a key."""
    return [
        Operation(method, template, "multipart/form-data" in details.get("requestBody", {}).get("content", {}))
        for template, methods in document["paths"].items()
        for method, details in methods.items()
        if (method, template) not in PUBLIC
    ]
