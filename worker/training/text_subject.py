"""Texts: tokenised once, their features computed once where those suffice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from service.specs.jobs import TrainingSpec
from service.specs.texts import TextManifest
from worker.backbones.parts import body_of
from worker.backbones.text_weights import find_text
from worker.backbones.trained import CONFIG_FILE, WEIGHTS_FILE
from worker.backbones.trained_text import TOKENIZER_FILE, TrainedText, save_text
from worker.data.batches import Batch, Batches, BatchOrder, Loading, epoch_seed, shuffled
from worker.data.deals import Deal
from worker.data.texts.augmentation import TextTransform
from worker.data.texts.buckets import bucketed
from worker.data.texts.samples import TextSamples
from worker.data.texts.token_table import TokenTable, text_features, tokenised
from worker.training.backbone_subject import BackboneSubject
from worker.training.order import TrialOrder
from worker.training.reporting import Reporter
from worker.training.subject import (
    Arguments,
    Description,
    TrainingBatches,
    optimisation_facts,
)
from worker.training.text_changes import text_transform


@dataclass
class TextSubject(BackboneSubject):
    """A network on tokens, or its head on what the frozen rest makes of them.

    Attributes:
        trained: the whole network, to be published.
        features: [n, d] float32 where the head alone is trained on texts that stay as they are; else None.
        transform: how training batches are changed; None: not at all.
    """

    trained: TrainedText
    samples: TextSamples
    tokens: TokenTable
    features: Tensor | None
    transform: TextTransform | None

    @property
    def network(self) -> nn.Module:
        """The whole network."""
        return self.trained.network

    def training_batches(self, _batch_size: int, /) -> TrainingBatches:
        """Features, tokens, or tokens of changed texts."""
        if self.features is not None:
            return Batches(self.features, self.targets, transform=None, loading=Loading())
        return _TextBatches(self)

    def batch(self, indices: Sequence[int]) -> Batch:
        """Features [b, d], or ids and mask [b, l]."""
        chosen = list(indices)
        inputs = self.tokens.batch(chosen) if self.features is None else self.features[chosen]
        return Batch(inputs, self.targets[chosen])

    def arguments(self, inputs: Any) -> Arguments:
        """Features, or ids and mask, on the device."""
        tensors = inputs if isinstance(inputs, tuple) else (inputs,)
        return tuple(tensor.to(self.device, non_blocking=True) for tensor in tensors)

    def orders(self, indices: Sequence[int], *, batch_size: int, seed: int, epoch: int) -> list[BatchOrder]:
        """Tokens in batches of about one length."""
        if self.features is not None:
            return shuffled(indices, batch_size=batch_size, seed=seed, epoch=epoch)
        return bucketed(indices, self.tokens.lengths, batch_size=batch_size, seed=seed, epoch=epoch)

    def save(self, folder: Path, *, temperature: float, training: Mapping[str, object]) -> list[str]:
        """`config.json`, `model.safetensors`, `tokenizer.json`."""
        self.trained.network.eval()
        self.trained.temperature = temperature
        save_text(self.trained, folder, dropout=self.order.spec.network.dropout, training=dict(training))
        return [CONFIG_FILE, WEIGHTS_FILE, TOKENIZER_FILE]

    def describe(self, training: TrainingSpec) -> Description:
        """Backbone, tokens, augmentation."""
        spec, entry = self.order.spec, self.trained.entry
        weights = "pretrained" if spec.network.weights == "pretrained" else "trained from scratch"
        source = f"{entry.name} ({entry.source}, {entry.license})"
        cut = f"{self.tokens.truncated} of {len(self.samples)} texts are longer"
        return Description(
            title="Text classifier",
            facts={
                "Backbone": f"{source}, {weights}; trained part: {spec.network.trainable}",
                "Input": f"texts, the first {self.trained.max_tokens} tokens; {cut}",
            },
            samples="texts",
            training=optimisation_facts(training) | {"Augmentation": spec.augmentation.policy or "explicit"},
        )

    def places(self, dealt: Deal) -> dict[str, list[Any]]:
        """Row numbers, from 0."""
        return {name: [*indices] for name, indices in dealt.items()}


@dataclass
class _TextBatches:
    subject: TextSubject

    def make(self, orders: list[BatchOrder]) -> Iterator[Batch]:
        """Changed texts are tokenised anew; they differ from epoch to epoch."""
        subject = self.subject
        for order in orders:
            if subject.transform is None:
                yield subject.batch(order.indices)
                continue
            texts = subject.transform.apply([subject.samples.texts[index] for index in order.indices], order.seed)
            made = subject.trained.encode(texts)
            yield Batch((made.ids, made.mask), subject.targets[order.indices])


def text_subject(order: TrialOrder, manifest: TextManifest, samples: TextSamples, reporter: Reporter) -> TextSubject:
    """Builds the network, tokenises the texts, and computes their features where those suffice.

    Raises:
        UnknownBackbone: the backbone's files are not at hand.
        ArtifactCorrupt: they do not fit.
        Invalid: an augmentation needs what is not installed here.
        Stopped: the sink asked for it.
    """
    backbone, augmentation = order.spec.network, order.spec.augmentation
    trained = _network(order, manifest)
    tokens = tokenised(
        samples.texts, trained.encoder, dataset=order.dataset_digest, cache=order.cache, tick=reporter.check
    )
    positions = {name: index for index, name in enumerate(manifest.classes)}
    _warn(order, tokens, trained.max_tokens, reporter)
    network, features = trained.network, None
    if backbone.trainable == "head" and not augmentation.is_random:
        body = body_of(network, trained.backbone)
        features = text_features(tokens, body, dataset=order.dataset_digest, cache=order.cache, tick=reporter.check)
    return TextSubject(
        order=order,
        learned=network if features is None else network.head,
        head=network.head,
        targets=torch.tensor([positions[label] for label in samples.classes]),
        device=trained.device,
        trained=trained,
        samples=samples,
        tokens=tokens,
        features=features,
        transform=text_transform(augmentation, order.sources, device=trained.device),
    )


def _network(order: TrialOrder, manifest: TextManifest) -> TrainedText:
    spec, backbone, device = order.spec, order.spec.network, torch.device(order.device)
    source = find_text(backbone.name, order.sources)
    torch.manual_seed(epoch_seed(spec.seed, 0))
    network = source.network(
        classes=len(manifest.classes), dropout=backbone.dropout, pretrained=backbone.weights == "pretrained"
    )
    return TrainedText(
        network=network.to(device),
        tokenizer=source.tokenizer(),
        config=source.config,
        classes=manifest.classes,
        backbone=backbone.name,
        max_tokens=spec.training.max_tokens or source.entry.input_size,
        device=device,
        text_column=manifest.text,
    )


def _warn(order: TrialOrder, tokens: TokenTable, most: int, reporter: Reporter) -> None:
    backbone = order.spec.network
    if tokens.truncated:
        share = tokens.truncated / len(tokens.rows)
        text = f"{tokens.truncated} texts ({share:.1%}) are longer than {most} tokens; the rest of them is not read."
        reporter.warn(text, truncated=tokens.truncated, share=share, max_tokens=most)
    if backbone.trainable != "all" and backbone.weights == "none":
        reporter.warn("Part of a network that was never trained is frozen.", trainable=backbone.trainable)
