"""Names of a model's files, as its configuration gives them."""

from collections.abc import Mapping
from typing import Any

CONFIG = "config.json"


def weights_name(config: Mapping[str, Any]) -> str:
    """The file whose digest is the model's; configurations of images do not say it."""
    return str(config.get("weights", "model.safetensors"))
