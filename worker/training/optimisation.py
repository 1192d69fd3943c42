"""Parameter groups, optimizers and learning-rate schedules."""

import math
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any

import torch
from torch import nn

from service.specs.auto import settled
from service.specs.jobs import TrainingSpec
from worker.backbones.parts import is_decayed

PLATEAU_PATIENCE = 2
PLATEAU_FACTOR = 0.3
ONE_CYCLE_RISE = 0.3
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = ONE_CYCLE_START / 1e4


def parameter_groups(
    learned: nn.Module, head: nn.Module, spec: TrainingSpec, *, depths: Mapping[int, int] | None = None
) -> list[dict[str, Any]]:
    """Parameters by head or backbone, by layer, and by decayed or not; each group knows its `base_rate`.

    Norms, biases and embeddings are not decayed. Frozen parameters take part once they get gradients. The head's
    rate is `learning_rate`; d layers below it the rate is `backbone_learning_rate · layer_decay^d` (Clark et al.
    2020, Bao et al. 2021), which without a layer decay is the same for all of the backbone.
    `depths` has `id` of a parameter → d; it is needed where there is a layer decay.
    """
    of_head = {id(parameter) for parameter in head.parameters()}
    groups: dict[tuple[bool, int, bool], list[nn.Parameter]] = {}
    for name, parameter in learned.named_parameters():
        key = (id(parameter) in of_head, -(depths or {}).get(id(parameter), 0), is_decayed(name, parameter))
        groups.setdefault(key, []).append(parameter)
    head_rate, decay = settled(spec.learning_rate), spec.layer_decay or 1.0
    backbone_rate = spec.backbone_learning_rate or head_rate
    return [
        {
            "params": parameters,
            "base_rate": head_rate if is_head else backbone_rate * decay**-height,
            "weight_decay": spec.weight_decay if decayed else 0.0,
        }
        for (is_head, height, decayed), parameters in sorted(groups.items(), key=itemgetter(0), reverse=True)
    ]


def build_optimizer(
    groups: list[dict[str, Any]], spec: TrainingSpec, *, is_scaled: bool = False
) -> torch.optim.Optimizer:
    """AdamW (decoupled decay), Adam (L2 in the gradient), or SGD with momentum 0.9; fused.

    Not so SGD whose losses are scaled (`is_scaled`): where the scale overflows in the first step, which is skipped,
    torch 2.14's fused SGD goes on with a momentum that was never written.
    """
    rate = settled(spec.learning_rate)
    if spec.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=0.9, fused=not is_scaled)
    kind = torch.optim.AdamW if spec.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=rate, fused=True)


class Schedule:
    """The factor on every group's base rate: linear warm-up, then the schedule's own course.

    All but `plateau` follow from the step alone. With `one_cycle` the warm-up, if given, is the cycle's rise.
    """

    def __init__(self, spec: TrainingSpec, steps_per_epoch: int) -> None:
        self.kind = spec.schedule
        self.total = spec.epochs * steps_per_epoch
        self.warmup = spec.warmup_epochs * steps_per_epoch
        self.plateau_factor = 1.0
        self._best = math.inf
        self._without_improvement = 0

    def factor(self, step: int) -> float:
        """For step `step` (from 0)."""
        if self.kind == "one_cycle":
            return self._one_cycle(step)
        if step < self.warmup:
            return (step + 1) / self.warmup
        if self.kind == "cosine":
            return 0.5 * (1.0 + math.cos(math.pi * (step - self.warmup) / (self.total - self.warmup)))
        return self.plateau_factor

    def apply(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Sets the learning rates for step `step`."""
        factor = self.factor(step)
        for group in optimizer.param_groups:
            group["lr"] = group["base_rate"] * factor

    def see(self, validation_loss: float) -> None:
        """After each evaluation: `plateau` lowers the rates when the loss has not improved for two in a row."""
        if validation_loss < self._best:
            self._best, self._without_improvement = validation_loss, 0
            return
        self._without_improvement += 1
        if self.kind == "plateau" and self._without_improvement > PLATEAU_PATIENCE:
            self.plateau_factor *= PLATEAU_FACTOR
            self._without_improvement = 0

    def _one_cycle(self, step: int) -> float:
        """As torch's OneCycleLR with cosine annealing (Smith and Topin 2018)."""
        rise = max((self.warmup or ONE_CYCLE_RISE * self.total) - 1, 1e-9)
        if step <= rise:
            return _cosine_between(ONE_CYCLE_START, 1.0, step / rise)
        return _cosine_between(1.0, ONE_CYCLE_END, (step - rise) / max(self.total - 1 - rise, 1e-9))


def replay(schedule: Schedule, losses: Iterable[float]) -> None:
    """Brings a new schedule to where the evaluations so far had brought the old one."""
    for loss in losses:
        schedule.see(loss)


def _cosine_between(start: float, end: float, done: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * done))
