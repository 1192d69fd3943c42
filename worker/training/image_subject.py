"""Images: decoded once, their features computed once where those suffice."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from service.specs.datasets import Manifest
from service.specs.jobs import TrainingSpec
from worker.backbones.building import build_network, load_pretrained
from worker.backbones.cut import cut_before_last_stage
from worker.backbones.layer_depths import layer_depths
from worker.backbones.parts import body_of, freeze_batch_norm, head_of, memory_format, trainable_modules
from worker.backbones.trained import CONFIG_FILE, WEIGHTS_FILE, TrainedNetwork, save_trained
from worker.data.batches import Batch, Batches, Loading, epoch_seed
from worker.data.deals import Deal
from worker.data.decoded import Archive
from worker.data.disk_cache import DiskCache, NoRoom
from worker.data.feature_cache import FeatureCache
from worker.data.splits import paths_of
from worker.data.transforms import batch_mixing, image_transform
from worker.training.order import TrialOrder
from worker.training.reporting import Reporter
from worker.training.subject import Arguments, Description, Mixing, Subject, head_epochs, optimisation_facts

MOST_LOADERS = 8


@dataclass
class ImageSubject(Subject):
    """A network on pixels, or what of it comes after its frozen part on that part's outputs.

    Attributes:
        trained: the whole network, to be published.
        samples: [n, 3, s, s] uint8 pixels or [n, …] float32 outputs of the frozen part for every image of the dataset.
        to_input: a batch of samples on the device → input of `learned`: the network on pixels, the head on features,
            the last stage and the head on activations.
    """

    manifest: Manifest
    trained: TrainedNetwork
    samples: Tensor
    to_input: Callable[[Tensor], Tensor]

    def training_batches(self) -> Batches:
        """Augmented batches; on CUDA from worker processes through pinned memory."""
        transform = image_transform(self.order.spec.augmentation, self.trained.image_size)
        on_gpu = self.device.type == "cuda"
        workers = min(self.order.threads, MOST_LOADERS) if on_gpu and self.learned is self.trained.network else 0
        return Batches(
            self.samples,
            self.targets,
            transform=transform if self.learned is self.trained.network else None,
            loading=Loading(workers, pinned=on_gpu),
        )

    def batch(self, indices: Sequence[int]) -> Batch:
        """Pixels, or what the frozen part made of them."""
        chosen = list(indices)
        return Batch(self.samples[chosen], self.targets[chosen])

    def arguments(self, inputs: Any) -> Arguments:
        """Normalised pixels, or what the frozen part made of them."""
        return (self.to_input(inputs.to(self.device, non_blocking=True)),)

    def trained_parts(self, epoch: int) -> list[nn.Module]:
        """As `backbone.trainable` says."""
        trainable = self.order.spec.network.trainable
        if self.learned is self.head:
            return [self.head]
        if trainable == "gradual":
            trainable = "head" if epoch <= self.head_epochs else "all"
        return trainable_modules(self.trained.network, self.trained.backbone, trainable)

    @property
    def head_epochs(self) -> int:
        """Of `gradual`."""
        spec = self.order.spec
        return head_epochs(spec.training.epochs) if spec.network.trainable == "gradual" else 0

    @property
    def mixing(self) -> Mixing | None:
        """Mixup and CutMix."""
        mixing = batch_mixing(self.order.spec.augmentation, len(self.trained.classes))
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

    def depths(self) -> Mapping[int, int]:
        """By the layers of the whole network."""
        by_name = layer_depths(self.trained.network, self.trained.backbone)
        return {id(parameter): by_name[name] for name, parameter in self.trained.network.named_parameters()}

    def save(self, folder: Path, *, temperature: float, training: Mapping[str, object]) -> list[str]:
        """`config.json` and `model.safetensors`."""
        self.trained.network.eval()
        self.trained.temperature = temperature
        save_trained(self.trained, folder, dropout=self.order.spec.network.dropout, training=dict(training))
        return [CONFIG_FILE, WEIGHTS_FILE]

    def describe(self, training: TrainingSpec) -> Description:
        """Backbone, pixels, augmentation."""
        spec, entry, size = self.order.spec, self.trained.entry, self.trained.image_size
        backbone = spec.network
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


def image_subject(order: TrialOrder, manifest: Manifest, reporter: Reporter) -> ImageSubject:
    """Decodes the images, builds the network, and computes its features where those suffice.

    Raises:
        UnknownBackbone: pretrained weights are not at hand.
        Stopped: the sink asked for it.
    """
    backbone, device = order.spec.network, torch.device(order.device)
    trained = _network(order, manifest.classes, device)
    spare = DiskCache(order.scratch / "cache", budget_bytes=0)
    archive = Archive(order.archive, manifest.samples, digest=order.dataset_digest, cache=order.cache, spare=spare)
    pixels = archive.pixels(trained.pixel_format, threads=order.threads, tick=reporter.check)
    positions = {name: index for index, name in enumerate(manifest.classes)}
    targets = torch.tensor([positions[sample.label] for sample in manifest.samples])
    head = head_of(trained.network, trained.backbone)
    learned, samples, to_input = _learned(order, trained, pixels, reporter)
    if backbone.trainable != "all" and backbone.weights == "none":
        reporter.warn("Part of a network that was never trained is frozen.", trainable=backbone.trainable)
    return ImageSubject(order, learned, head, targets, device, manifest, trained, samples, to_input)


def _learned(
    order: TrialOrder, trained: TrainedNetwork, pixels: Tensor, reporter: Reporter
) -> tuple[nn.Module, Tensor, Callable[[Tensor], Tensor]]:
    """What is trained, on which samples, and how those become its input; see `ImageSubject`."""
    network, name = trained.network, trained.backbone
    trainable = order.spec.network.trainable
    if trainable == "head" and not order.spec.augmentation.is_random:
        cache = FeatureCache(trained, body_of(network, name), cache=order.cache)
        return head_of(network, name), cache.features(pixels, order.dataset_digest, tick=reporter.check), _same
    cut = cut_before_last_stage(network, name) if trainable == "last_stage" else None
    if cut is not None and not order.spec.augmentation.is_random:
        cache = FeatureCache(trained, cut.frozen, cache=order.cache)
        try:
            activations = cache.stored(pixels, order.dataset_digest, tick=reporter.check)
            return cut.rest, activations, partial(Tensor.contiguous, memory_format=memory_format(name))
        except NoRoom:
            reporter.log("The cache has no room for what the frozen part makes of the images: each epoch computes it.")
    return network, pixels, trained.normalise


def _network(order: TrialOrder, classes: list[str], device: torch.device) -> TrainedNetwork:
    spec, backbone = order.spec, order.spec.network
    size = spec.training.image_size
    assert size is not None, "the spec is resolved"
    torch.manual_seed(epoch_seed(spec.seed, 0))
    name = backbone.name
    network = build_network(
        name,
        classes=len(classes),
        dropout=backbone.dropout,
        image_size=size,
        stochastic_depth=backbone.stochastic_depth,
    )
    if backbone.weights == "pretrained":
        load_pretrained(network, name, order.sources)
    network = network.to(device=device, memory_format=memory_format(name))  # type: ignore[call-overload]
    return TrainedNetwork(network, classes, name, size, device)


def _same(samples: Tensor) -> Tensor:
    return samples
