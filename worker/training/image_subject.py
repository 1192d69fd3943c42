"""Images: decoded once, their features computed once where those suffice."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from service.specs.backbones import CATALOGUE
from service.specs.datasets import Manifest
from service.specs.jobs import TrainingSpec
from worker.backbones.parts import freeze_batch_norm
from worker.backbones.trained import CONFIG_FILE, WEIGHTS_FILE, TrainedNetwork, save_trained
from worker.data.batches import SHARED_MEMORY, Batch, Batches, Loading, free_bytes, loading_within
from worker.data.deals import Deal
from worker.data.splits import paths_of
from worker.data.transforms import batch_mixing, image_transform
from worker.training.backbone_subject import BackboneSubject
from worker.training.order import TrialOrder
from worker.training.subject import Arguments, Description, Mixing, optimisation_facts

MOST_LOADERS = 8
SHARE_OF_SHARED_MEMORY = 0.5


@dataclass
class ImageSubject(BackboneSubject):
    """A network on pixels, or what of it comes after its frozen part on that part's outputs.

    Attributes:
        whole: builds the network to be published, or gives the one that is trained; only what it takes is built.
        samples: [n, 3, s, s] uint8 pixels or [n, …] float32 outputs of the frozen part for every image of the dataset.
        to_input: a batch of samples on the device → input of `learned`: the network on pixels, the head on features,
            the last stage and the head on activations.
    """

    manifest: Manifest
    whole: Callable[[], TrainedNetwork]
    samples: Tensor
    to_input: Callable[[Tensor], Tensor]

    @cached_property
    def trained(self) -> TrainedNetwork:
        """The whole network, to be published."""
        return self.whole()

    @property
    def network(self) -> nn.Module:
        """The whole network."""
        return self.trained.network

    def training_batches(self, batch_size: int, /) -> Batches:
        """Augmented batches; on CUDA from worker processes through pinned memory."""
        on_pixels = self.samples.dtype == torch.uint8
        transform = image_transform(self.order.spec.augmentation, image_size(self.order)) if on_pixels else None
        loading = self.loading(batch_size) if self.device.type == "cuda" and on_pixels else Loading()
        return Batches(self.samples, self.targets, transform=transform, loading=loading)

    def loading(self, batch_size: int, folder: Path = SHARED_MEMORY) -> Loading:
        """Of pixels, by worker processes: their batches lie in shared memory, which containers have little of."""
        room = int(free_bytes(folder) * SHARE_OF_SHARED_MEMORY / self.order.neighbours)
        workers = min(self.order.threads, MOST_LOADERS)
        return loading_within(room, batch_size * self.samples[0].nbytes, most_workers=workers)

    def batch(self, indices: Sequence[int]) -> Batch:
        """Pixels, or what the frozen part made of them."""
        chosen = list(indices)
        return Batch(self.samples[chosen], self.targets[chosen])

    def arguments(self, inputs: Any) -> Arguments:
        """Normalised pixels, or what the frozen part made of them."""
        return (self.to_input(inputs.to(self.device, non_blocking=True)),)

    @property
    def mixing(self) -> Mixing | None:
        """Mixup and CutMix."""
        mixing = batch_mixing(self.order.spec.augmentation, len(self.manifest.classes))
        if mixing is None:
            return None

        def mixed(arguments: Arguments, targets: Tensor) -> tuple[Arguments, Tensor]:
            images, shares = mixing(arguments[0], targets)
            return (images,), shares

        return mixed

    def prepare_training(self, epoch: int) -> None:
        """Also keeps batch norm as it came where the spec says so."""
        super().prepare_training(epoch)
        if self.order.spec.network.batch_norm == "frozen":
            freeze_batch_norm(self.learned)

    def save(self, folder: Path, *, temperature: float, training: Mapping[str, object]) -> list[str]:
        """`config.json` and `model.safetensors`."""
        self.trained.network.eval()
        self.trained.temperature = temperature
        save_trained(self.trained, folder, dropout=self.order.spec.network.dropout, training=dict(training))
        return [CONFIG_FILE, WEIGHTS_FILE]

    def describe(self, training: TrainingSpec) -> Description:
        """Backbone, pixels, augmentation."""
        spec, size = self.order.spec, image_size(self.order)
        backbone, entry = spec.network, CATALOGUE[spec.network.name]
        weights = "pretrained on ImageNet" if backbone.weights == "pretrained" else "trained from scratch"
        source = f"{entry.name} ({entry.source}, {entry.license})"
        return Description(
            title="Image classifier",
            facts={
                "Backbone": f"{source}, {weights}; trained part: {backbone.trainable}",
                "Input": f"RGB, stretched to {size} x {size} pixels ({entry.interpolation})",
            },
            samples="images",
            training=optimisation_facts(training) | {"Augmentation": spec.augmentation.policy or "explicit"},
        )

    def places(self, dealt: Deal) -> dict[str, list[Any]]:
        """Paths in the archive."""
        return dict(paths_of(self.manifest.samples, dealt))


def image_size(order: TrialOrder) -> int:
    """Pixels of a side of the network's input."""
    size = order.spec.training.image_size
    assert size is not None, "the spec is resolved"
    return size
