"""What a trained model can be exported as."""

from dataclasses import dataclass
from typing import Literal

from service.specs.base import Spec

ExportFormat = Literal["onnx", "torch_export"]


@dataclass(frozen=True)
class ExportFile:
    """The artifact that an export leaves with its model."""

    name: str
    media_type: str


EXPORT_FILES: dict[ExportFormat, ExportFile] = {
    "onnx": ExportFile("model.onnx", "application/onnx"),
    # No media type is registered for it; it is a zip, but nobody is meant to unpack it.
    "torch_export": ExportFile("model.pt2", "application/octet-stream"),
}


class ExportSpec(Spec):
    """In which format to export."""

    format: ExportFormat
