"""What stands before the first epoch: the network, the samples, the split, the device."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from service.specs.jobs import TrainingSpec
from worker.backbones.building import build_network, load_pretrained
from worker.backbones.cut import cut_before_last_stage
from worker.backbones.layer_depths import layer_depths
from worker.backbones.parts import (
    Head,
    body_of,
    enter_training_mode,
    freeze_all_but,
    freeze_batch_norm,
    head_of,
    memory_format,
    trainable_modules,
)
from worker.backbones.trained import TrainedNetwork
from worker.data.batches import Batches, Loading, epoch_seed, in_order
from worker.data.deals import Deal
from worker.data.decoded import Archive
from worker.data.disk_cache import DiskCache, NoRoom
from worker.data.feature_cache import FeatureCache
from worker.data.splits import deal
from worker.data.transforms import image_transform
from worker.training.optimisation import parameter_groups
from worker.training.order import TrialOrder
from worker.training.precision import Precision
from worker.training.reporting import Reporter

EVALUATION_BATCH = 64
MOST_LOADERS = 8


@dataclass(frozen=True)
class Setting:
    """A trial's fixed parts.

    Attributes:
        trained: the whole network, to be published.
        learned: what is trained on `samples`: the network on pixels, or what of it comes after its frozen part on
            that part's outputs: the head on features, the last stage and the head on activations.
        samples: [n, 3, s, s] uint8 pixels or [n, …] float32 outputs of the frozen part for every image of the dataset.
        targets: [n] int64.
        to_input: a batch of samples on the device → input of `learned`.
    """

    order: TrialOrder
    trained: TrainedNetwork
    head: Head
    learned: nn.Module
    samples: Tensor
    targets: Tensor
    dealt: Deal
    to_input: Callable[[Tensor], Tensor]
    precision: Precision

    @property
    def device(self) -> torch.device:
        """Where the network lies."""
        return self.trained.device

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

    def trained_parts(self, epoch: int) -> list[nn.Module]:
        """What epoch `epoch` (from 1) trains."""
        trainable = self.order.spec.network.trainable
        if self.learned is self.head:
            return [self.head]
        if trainable == "gradual":
            trainable = "head" if epoch <= head_epochs(self.order.spec.training.epochs) else "all"
        return trainable_modules(self.trained.network, self.trained.backbone, trainable)

    def prepare_training(self, epoch: int) -> None:
        """Gradients and modes for epoch `epoch`."""
        parts = self.trained_parts(epoch)
        freeze_all_but(self.learned, parts)
        enter_training_mode(self.learned, parts)
        if self.order.spec.network.batch_norm == "frozen":
            freeze_batch_norm(self.learned)

    def parameter_groups(self, training: TrainingSpec) -> list[dict[str, Any]]:
        """Of what is trained, with the rates and decays of `training`."""
        network = self.trained.network
        depths: dict[int, int] = {}
        if training.layer_decay:
            by_name = layer_depths(network, self.trained.backbone)
            depths = {id(parameter): by_name[name] for name, parameter in network.named_parameters()}
        return parameter_groups(self.learned, self.head, training, depths=depths)

    def with_training(self, **values: object) -> "Setting":
        """The same with other fields in the spec's `training`."""
        spec = self.order.spec
        training = TrainingSpec.model_validate(spec.training.model_dump() | values)
        return replace(self, order=replace(self.order, spec=spec.model_copy(update={"training": training})))

    def logits(self, network: nn.Module, indices: list[int], tick: Callable[[], None]) -> Tensor:
        """[n, c] float32 on the CPU, of the samples at `indices`, without augmentation, in evaluation mode."""
        network.eval()
        batches = Batches(self.samples, self.targets, transform=None, loading=Loading())
        made: list[Tensor] = []
        with torch.inference_mode(), self.precision.autocast():
            for batch in batches.make(in_order(indices, EVALUATION_BATCH)):
                tick()
                made.append(network(self.to_input(batch.inputs.to(self.device))).float().cpu())
        return torch.cat(made).clone()


def head_epochs(epochs: int) -> int:
    """How many epochs `gradual` trains the head alone: a fifth, from one to five; none of a single epoch."""
    return 0 if epochs == 1 else min(5, max(1, epochs // 5))


def set_up(order: TrialOrder, reporter: Reporter) -> Setting:
    """Deals the samples, decodes them, builds the network, and computes its features where those suffice.

    Raises:
        UnknownBackbone: pretrained weights are not at hand.
        TargetInvalid, DatasetTooSmall: the samples cannot be dealt.
        Stopped: the sink asked for it.
    """
    spec, device = order.spec, torch.device(order.device)
    dealt = deal(order.manifest, spec.split, spec.seed)
    trained = _network(order, device)
    spare = DiskCache(order.scratch / "cache", budget_bytes=0)
    archive = Archive(
        order.archive, order.manifest.samples, digest=order.dataset_digest, cache=order.cache, spare=spare
    )
    pixels = archive.pixels(trained.pixel_format, threads=order.threads, tick=reporter.check)
    positions = {name: index for index, name in enumerate(order.manifest.classes)}
    targets = torch.tensor([positions[sample.label] for sample in order.manifest.samples])
    head = head_of(trained.network, trained.backbone)
    learned, samples, to_input = _learned(order, trained, pixels, reporter)
    precision = Precision(spec.training.precision, device)
    return Setting(order, trained, head, learned, samples, targets, dealt, to_input, precision)


def _learned(
    order: TrialOrder, trained: TrainedNetwork, pixels: Tensor, reporter: Reporter
) -> tuple[nn.Module, Tensor, Callable[[Tensor], Tensor]]:
    """What is trained, on which samples, and how those become its input; see `Setting`."""
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


def _network(order: TrialOrder, device: torch.device) -> TrainedNetwork:
    spec = order.spec
    size = spec.training.image_size
    assert size is not None, "the spec is resolved"
    torch.manual_seed(epoch_seed(spec.seed, 0))
    name, classes = spec.network.name, order.manifest.classes
    network = build_network(
        name,
        classes=len(classes),
        dropout=spec.network.dropout,
        image_size=size,
        stochastic_depth=spec.network.stochastic_depth,
    )
    if spec.network.weights == "pretrained":
        load_pretrained(network, name, order.sources)
    network = network.to(device=device, memory_format=memory_format(name))  # type: ignore[call-overload]
    return TrainedNetwork(network, classes, name, size, device)


def _same(samples: Tensor) -> Tensor:
    return samples
