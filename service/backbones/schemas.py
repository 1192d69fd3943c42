"""What the catalogue shows."""

from typing import Literal

from pydantic import BaseModel

from service.specs.backbones import Backbone


class BackboneRead(BaseModel):
    """One entry of the closed catalogue; `weights` says whether its pretrained weights are at hand."""

    name: str
    problems: list[str]
    source: Literal["torchvision", "timm", "transformers", "builtin"]
    parameters: int
    input_size: int
    license: str
    weights: Literal["packaged", "local", "downloadable", "none"]
    default: bool

    @classmethod
    def from_entry(cls, entry: Backbone, weights: str) -> "BackboneRead":
        """The entry as shown."""
        return cls.model_validate(
            {
                "name": entry.name,
                "problems": [entry.problem],
                "source": entry.source,
                "parameters": entry.parameters,
                "input_size": entry.input_size,
                "license": entry.license,
                "weights": weights,
                "default": entry.default,
            }
        )


class BackboneList(BaseModel):
    """The catalogue."""

    data: list[BackboneRead]
    next_cursor: None = None
