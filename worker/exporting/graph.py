"""A trained network as one graph that takes pictures as anybody has them: normalising is part of it."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from service.errors import ExportFailed
from worker.backbones.trained import FORMAT, TrainedNetwork, calibrated

BATCH = "n"
OUTPUTS = ("logits", "probabilities")
TRACED_IMAGES = 2
"""A batch of one would be taken for a constant."""


class PictureClassifier(nn.Module):
    """Images in 0..1 → logits and probabilities; holds the trained network and what normalises its input."""

    mean: Tensor
    std: Tensor

    def __init__(self, trained: TrainedNetwork) -> None:
        super().__init__()
        self.network, self.temperature = trained.network, trained.temperature
        pixels = trained.pixel_format
        self.register_buffer("mean", torch.tensor(pixels.mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(pixels.std).view(3, 1, 1))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """[n, 3, s, s] float32, RGB in 0..1 → `logits` and `probabilities`, both [n, c]."""
        logits = self.network((images - self.mean) / self.std)
        return {"logits": logits, "probabilities": calibrated(logits, self.temperature)}


def traced(trained: TrainedNetwork) -> ExportedProgram:
    """The graph of the network in evaluation mode, for batches of any size.

    Lays the network's weights out contiguously, as files want them. What tracing notes about this machine (folders of
    source files, the batch it traced with) is taken out again.

    Raises:
        ExportFailed: the network does something that a graph cannot say.
    """
    size = trained.image_size
    network = PictureClassifier(trained).eval()
    network = network.to(memory_format=torch.contiguous_format)
    images = torch.zeros(TRACED_IMAGES, 3, size, size)
    try:
        program = torch.export.export(network, (images,), dynamic_shapes={"images": {0: Dim(BATCH)}})
    except RuntimeError as error:
        raise ExportFailed(f"The network cannot be traced ({type(error).__name__}).") from error
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)
    program._example_inputs = None  # PyTorch would write it as a pickle
    return program


def notes(trained: TrainedNetwork, digest: str) -> dict[str, Any]:
    """What a user of the file has to know; JSON-safe."""
    return {
        "format": FORMAT,
        "backbone": trained.backbone,
        "classes": trained.classes,
        "image_size": trained.image_size,
        "interpolation": trained.pixel_format.interpolation,
        "resize": "stretch",
        "model_digest": digest,
    }
