"""An exponential moving average of a network's weights and batch-norm statistics."""

import copy

import torch
from torch import nn


class MovingAverage:
    """Averaged twin of a network: a ← d·a + (1-d)·w after each step, with d = min(decay, (1+t)/(10+t)).

    The smaller decay of the first steps (as in TensorFlow's ExponentialMovingAverage) lets the random head go.
    Counters of batches are copied.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(network).requires_grad_(False).eval()

    def update(self, network: nn.Module, step: int) -> None:
        """Takes in the weights after step `step` (from 0)."""
        share = 1.0 - min(self.decay, (1 + step) / (10 + step))
        averaged, current = self.network.state_dict(), network.state_dict()
        floating = [name for name, value in averaged.items() if value.is_floating_point()]
        torch._foreach_lerp_([averaged[name] for name in floating], [current[name] for name in floating], share)
        for name in averaged.keys() - set(floating):
            averaged[name].copy_(current[name])
