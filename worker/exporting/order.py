"""What an export is asked to do. Torch-free, picklable."""

from dataclasses import dataclass
from pathlib import Path

from service.specs.base import JsonObject
from service.specs.exports import ExportFormat


@dataclass(frozen=True)
class ExportOrder:
    """One model to be written in one format.

    Attributes:
        config: the model's `config.json`.
        weights: its `model.safetensors`.
        digest: SHA-256 of the weights; goes into the file.
        target: where to write.
        threads: for torch's operators and for the check.
    """

    format: ExportFormat
    config: JsonObject
    weights: Path
    digest: str
    target: Path
    threads: int = 1
