"""An order on images → what is trained on what: only as much of the network is built, and decoded, as that takes."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from service.specs.datasets import Manifest
from worker.backbones.building import build_network, load_pretrained
from worker.backbones.cut import cut_before_last_stage
from worker.backbones.parts import body_of, head_of, head_path, memory_format
from worker.backbones.trained import TrainedNetwork
from worker.data.batches import epoch_seed
from worker.data.decoded import Archive
from worker.data.disk_cache import DiskCache, NoRoom
from worker.data.feature_cache import FeatureCache
from worker.training.head_start import find_head_start, keep_head_start
from worker.training.image_subject import ImageSubject, image_size
from worker.training.order import TrialOrder
from worker.training.ranks import synchronised
from worker.training.reporting import Reporter


def image_subject(order: TrialOrder, manifest: Manifest, reporter: Reporter) -> ImageSubject:
    """Decodes the images, builds the network, and computes its features where those suffice.

    Neither is decoded nor built again for the head alone, where an earlier trial has left its features.

    Raises:
        UnknownBackbone: pretrained weights are not at hand.
        Stopped: the sink asked for it.
    """
    backbone, device = order.spec.network, torch.device(order.device)
    if backbone.trainable != "all" and backbone.weights == "none":
        reporter.warn("Part of a network that was never trained is frozen.", trainable=backbone.trainable)
    positions = {name: index for index, name in enumerate(manifest.classes)}
    targets = torch.tensor([positions[sample.label] for sample in manifest.samples])
    if _is_head_on_features(order):
        start = find_head_start(order, len(targets), len(manifest.classes))
        if start is not None:
            head = start.head.to(device)
            whole = partial(_whole_with, head, order, manifest)
            return ImageSubject(order, head, head, targets, device, manifest, whole, start.features, _same)
    trained = _network(order, manifest.classes)
    learned, samples, to_input = _learned(order, trained, _pixels(order, manifest, trained, reporter), reporter)
    head = head_of(trained.network, trained.backbone)
    return ImageSubject(order, learned, head, targets, device, manifest, lambda: trained, samples, to_input)


def _is_head_on_features(order: TrialOrder) -> bool:
    return order.spec.network.trainable == "head" and not order.spec.augmentation.is_random


def _whole_with(head: nn.Module, order: TrialOrder, manifest: Manifest) -> TrainedNetwork:
    """The network that `head` belongs to."""
    trained = _network(order, manifest.classes)
    trained.network.set_submodule(head_path(trained.backbone), head)
    return trained


def _pixels(order: TrialOrder, manifest: Manifest, trained: TrainedNetwork, reporter: Reporter) -> Tensor:
    spare = DiskCache(order.scratch / "cache", budget_bytes=0)
    archive = Archive(order.archive, manifest.samples, digest=order.dataset_digest, cache=order.cache, spare=spare)
    return archive.pixels(trained.pixel_format, threads=order.threads, tick=reporter.check)


def _learned(
    order: TrialOrder, trained: TrainedNetwork, pixels: Tensor, reporter: Reporter
) -> tuple[nn.Module, Tensor, Callable[[Tensor], Tensor]]:
    """What is trained, on which samples, and how those become its input; see `ImageSubject`."""
    network, name = trained.network, trained.backbone
    if _is_head_on_features(order):
        head = head_of(network, name)
        cache = FeatureCache(trained, body_of(network, name), cache=order.cache)
        features = cache.features(pixels, order.dataset_digest, tick=reporter.check)
        keep_head_start(order, head, cache.file_name)
        return head, features, _same
    cut = cut_before_last_stage(network, name) if order.spec.network.trainable == "last_stage" else None
    if cut is not None and not order.spec.augmentation.is_random:
        cache = FeatureCache(trained, cut.frozen, cache=order.cache)
        try:
            activations = cache.stored(pixels, order.dataset_digest, tick=reporter.check)
            return cut.rest, activations, partial(Tensor.contiguous, memory_format=memory_format(name, trained.device))
        except NoRoom:
            reporter.log("The cache has no room for what the frozen part makes of the images: each epoch computes it.")
    return network, pixels, trained.normalise


def _network(order: TrialOrder, classes: list[str]) -> TrainedNetwork:
    spec, backbone, device = order.spec, order.spec.network, torch.device(order.device)
    torch.manual_seed(epoch_seed(spec.seed, 0))
    name, size = backbone.name, image_size(order)
    network = build_network(
        name,
        classes=len(classes),
        dropout=backbone.dropout,
        image_size=size,
        stochastic_depth=backbone.stochastic_depth,
    )
    if backbone.weights == "pretrained":
        load_pretrained(network, name, order.sources)
    network = synchronised(network, order).to(device=device, memory_format=memory_format(name, device))  # type: ignore[call-overload]
    return TrainedNetwork(network, classes, name, size, device)


def _same(samples: Tensor) -> Tensor:
    return samples
