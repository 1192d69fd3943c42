"""What is to be learned from targets: classes or values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from worker.training.reporting import Reporter


@dataclass(frozen=True)
class Answered:
    """Outputs [n, c] of a split, float32 or float64 on the CPU, and its targets [n]."""

    outputs: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Scored:
    """What a trial came to.

    Attributes:
        metrics: as `TrialOutcome`.
        documents: JSON-safe, by file stem: what the pictures of the same name show.
        temperature: of the probabilities; 1 where there are none.
        remark: why it is that; empty where there are none.
    """

    metrics: dict[str, Any]
    documents: dict[str, dict[str, Any]]
    temperature: float = 1.0
    remark: str = ""


class Objective(Protocol):
    """How outputs are held against targets. Everything that is reported is in the target's own units."""

    @property
    def classes(self) -> list[str]:
        """In the order of the outputs; empty for values."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """What training makes small, with all that regularises it: a scalar of [n, c] outputs on the device."""

    def weight(self, targets: Tensor) -> float | Tensor:
        """What `loss` is a mean by: the samples, or what they weigh by their classes."""

    def sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Plain figures summed over a batch, float64 on the device: the loss; for classes also right answers."""

    def evaluation(self, outputs: Tensor, targets: Tensor) -> dict[str, float | None]:
        """The fields of an `EpochRecord` about validation."""

    def score(self, parts: Mapping[str, Answered], train_targets: Tensor, *, seed: int) -> Scored:
        """Scores of the best epoch on `train` (a part of it, if it is large), `validation` and `test`.

        `train_targets` are those of the whole train split, for the baseline.
        """

    def warn(self, targets: Mapping[str, Tensor], reporter: Reporter) -> None:
        """Says what is amiss with the targets of a split."""

    def card(self, metrics: Mapping[str, Any], samples: str) -> list[str]:
        """The card's sections on scores and limits; `samples` is what the samples are called."""
