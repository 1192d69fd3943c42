"""A trained network with all that it takes to use it; writing it to a folder and reading it back."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save_file
from torch import Tensor, nn

from service.errors import ArtifactCorrupt
from service.specs.backbones import CATALOGUE, Backbone
from worker.backbones.building import build_network
from worker.backbones.parts import memory_format, without_inplace
from worker.backbones.pixels import PixelFormat

FORMAT = "tunelens-image-classifier-1"
WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"


@dataclass
class TrainedNetwork:
    """A network, the classes of its outputs in order, its input format, and the temperature of its probabilities."""

    network: nn.Module
    classes: list[str]
    backbone: str
    image_size: int
    device: torch.device
    temperature: float = 1.0

    @property
    def entry(self) -> Backbone:
        """The backbone's catalogue entry."""
        return CATALOGUE[self.backbone]

    @property
    def pixel_format(self) -> PixelFormat:
        """How images become input: size, interpolation, mean, standard deviation."""
        return PixelFormat.of(self.backbone, self.image_size)

    def preprocess(self, images: Sequence[Image.Image]) -> Tensor:
        """RGB images of any size → [n, 3, s, s] float32, normalised, on the network's device."""
        pixels = np.stack([self.pixel_format.to_pixels(image) for image in images])
        return self.normalise(torch.from_numpy(pixels))

    def normalise(self, pixels: Tensor) -> Tensor:
        """[n, 3, s, s] uint8 → float32 as the network expects, on its device."""
        values = self.pixel_format.normalise(pixels.to(self.device))
        return values.contiguous(memory_format=memory_format(self.backbone, self.device))

    def logits(self, batch: Tensor) -> Tensor:
        """[n, 3, s, s] normalised → [n, c]. Differentiable; wrap in `torch.inference_mode()` to predict only."""
        result: Tensor = self.network(batch.to(self.device, memory_format=memory_format(self.backbone, self.device)))
        return result

    def probabilities(self, logits: Tensor) -> Tensor:
        """[n, c] logits → [n, c], calibrated. Whatever shows or explains a probability takes it from here."""
        return calibrated(logits, self.temperature)


def calibrated(logits: Tensor, temperature: float) -> Tensor:
    """[n, c] logits → [n, c] probabilities: the softmax of logits / temperature (Guo et al. 2017, eq. 9)."""
    return (logits / temperature).softmax(dim=1)


def describe(trained: TrainedNetwork, *, dropout: float) -> dict[str, object]:
    """The JSON beside the weights, from which `load_trained` rebuilds the network."""
    pixels = trained.pixel_format
    return {
        "format": FORMAT,
        "backbone": trained.backbone,
        "classes": trained.classes,
        "image_size": trained.image_size,
        "dropout": dropout,
        "temperature": trained.temperature,
        "input": {
            "height": pixels.size,
            "width": pixels.size,
            "mean": list(pixels.mean),
            "std": list(pixels.std),
            "interpolation": pixels.interpolation,
            "resize": "stretch",
        },
    }


def save_trained(
    trained: TrainedNetwork, folder: Path, *, dropout: float, training: dict[str, object] | None = None
) -> None:
    """Writes `model.safetensors` (the names of torchvision or timm) and `config.json` into `folder`.

    `training` is what the configuration says of how it was trained; using the network does not take it.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in trained.network.state_dict().items()}
    save_file(state, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    description = describe(trained, dropout=dropout) | ({"training": training} if training else {})
    text = json.dumps(description, indent=2, ensure_ascii=False)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")


def load_trained(config: dict[str, object], weights: Path | bytes, device: torch.device) -> TrainedNetwork:
    """The network of a `config.json` and its safetensors, in evaluation mode, frozen, without in-place activations.

    Models from before calibration have no temperature in their configuration: theirs is 1.

    Raises:
        ArtifactCorrupt: another format, or the weights do not fit the configuration.
    """
    if config.get("format") != FORMAT:
        raise ArtifactCorrupt("The model's configuration is of another format.")
    backbone, size, classes = config["backbone"], config["image_size"], config["classes"]
    dropout, temperature = config["dropout"], config.get("temperature", 1.0)
    if not (isinstance(backbone, str) and isinstance(size, int) and isinstance(classes, list)):
        raise ArtifactCorrupt("The model's configuration is damaged.")
    if not (isinstance(temperature, int | float) and 0 < temperature < float("inf")):
        raise ArtifactCorrupt("The model's configuration is damaged.")
    assert isinstance(dropout, int | float)
    network = build_network(backbone, classes=len(classes), dropout=float(dropout), image_size=size)
    try:
        network.load_state_dict(load(weights) if isinstance(weights, bytes) else load_file(weights))
    except (SafetensorError, RuntimeError) as error:
        raise ArtifactCorrupt("The model's weights do not fit its configuration.") from error
    network = without_inplace(network).requires_grad_(False).eval()
    network = network.to(device=device, memory_format=memory_format(backbone, device))  # type: ignore[call-overload]
    return TrainedNetwork(network, [str(name) for name in classes], backbone, size, device, float(temperature))
