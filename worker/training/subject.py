"""What one modality brings to the training loop; the loop itself knows none of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from service.specs.jobs import TrainingSpec
from worker.backbones.parts import enter_training_mode, freeze_all_but
from worker.data.batches import Batch, BatchOrder, shuffled
from worker.data.deals import Deal
from worker.training.order import TrialOrder

EVALUATION_BATCH = 64
Arguments = tuple[Tensor, ...]
Mixing = Callable[[Arguments, Tensor], tuple[Arguments, Tensor]]


class TrainingBatches(Protocol):
    """A source of an epoch's batches."""

    def make(self, orders: list[BatchOrder]) -> Iterator[Batch]:
        """The batches asked for, one after another, still on the CPU; augmentation follows from their seeds."""


@dataclass(frozen=True)
class Description:
    """A modality's part of the model card.

    Attributes:
        title: stands above the card of a job without a name.
        facts: by what they are called: the network, its input.
        samples: what the samples are called: `images`, `rows`, `texts`.
        training: more facts, of how it was trained.
    """

    title: str
    facts: Mapping[str, str]
    samples: str
    training: Mapping[str, str]


@dataclass
class Subject(ABC):
    """What is trained on what.

    Attributes:
        learned: what is trained: a network, or what of it comes after its frozen part.
        head: the last layer of `learned`, or all of it; it trains at `learning_rate`, the rest at the backbone's.
        evaluation_batch_size: smaller once memory has run out.
        earlier_peak_bytes: of the GPU's memory, before batch sizes were tried.
        targets: of every sample of the dataset: [n] int64 class indices, or [n] float64 values.
        device: where `learned` lies.
    """

    evaluation_batch_size: int = field(default=EVALUATION_BATCH, init=False)
    earlier_peak_bytes: int = field(default=0, init=False)

    order: TrialOrder
    learned: nn.Module
    head: nn.Module
    targets: Tensor
    device: torch.device

    @abstractmethod
    def training_batches(self, batch_size: int, /) -> TrainingBatches:
        """Of augmented samples, about so many each; asked for once, it serves every epoch."""

    @abstractmethod
    def batch(self, indices: Sequence[int]) -> Batch:
        """The samples at `indices` as one batch, without augmentation."""

    def evaluation_batches(self, indices: Sequence[int]) -> Iterator[Batch]:
        """The samples at `indices`, in that order, without augmentation."""
        start = 0
        while start < len(indices):
            size = self.evaluation_batch_size
            yield self.batch(indices[start : start + size])
            start += size

    @abstractmethod
    def arguments(self, inputs: Any) -> Arguments:
        """A batch's inputs → what `learned` is called with, on its device."""

    @abstractmethod
    def trained_parts(self, epoch: int, /) -> list[nn.Module]:
        """The modules within `learned` that epoch `epoch` (from 1) trains."""

    @abstractmethod
    def save(self, folder: Path, *, temperature: float, training: Mapping[str, object]) -> list[str]:
        """Writes the trained model into `folder`; returns the names of its files."""

    @abstractmethod
    def describe(self, training: TrainingSpec) -> Description:
        """For the model card; `training` is the spec's, with nothing left open."""

    @abstractmethod
    def places(self, dealt: Deal) -> dict[str, list[Any]]:
        """The deal by what the user knows the samples by, as `split.json` has it."""

    @property
    def head_epochs(self) -> int:
        """How many epochs train the head alone before the rest follows; 0 where all epochs train the same."""
        return 0

    @property
    def mixing(self) -> Mixing | None:
        """Mixes the arguments of a batch, and its targets to shares [n, c]."""
        return None

    def orders(self, indices: Sequence[int], *, batch_size: int, seed: int, epoch: int) -> list[BatchOrder]:
        """An epoch's batches of the samples at `indices`, each of them once."""
        return shuffled(indices, batch_size=batch_size, seed=seed, epoch=epoch)

    def prepare_training(self, epoch: int) -> None:
        """Gradients and modes for epoch `epoch`."""
        parts = self.trained_parts(epoch)
        freeze_all_but(self.learned, parts)
        enter_training_mode(self.learned, parts)

    def depths(self) -> Mapping[int, int]:
        """`id` of a parameter of `learned` → layers below the head, for layer-wise learning rates."""
        return {}


def optimisation_facts(training: TrainingSpec) -> dict[str, str]:
    """What the card says of how a network was trained."""
    rate, size = training.learning_rate, training.batch_size
    return {"Optimizer": f"{training.optimizer}, learning rate {rate:g}, {training.schedule}, batch size {size}"}
