"""The learning-rate range test (Smith 2017, arXiv:1506.01186)."""

import math
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

import torch

from service.specs.auto import settled
from worker.data.batches import BatchOrder, epoch_seed
from worker.training.learner import Learner
from worker.training.optimisation import Schedule
from worker.training.reporting import Reporter
from worker.training.setting import Setting
from worker.training.trying import undone

LOWEST, HIGHEST = 1e-7, 10.0
FEWEST_STEPS, MOST_STEPS = 20, 100
SHARE_OF_STEPS = 0.1
SHARE_OF_WALL_TIME = 0.1
SMOOTHING = 0.98
DIVERGED_AT = 4.0


@dataclass(frozen=True)
class RangeTest:
    """Rates that rise from batch to batch, and the smoothed training loss (nats) at each."""

    rates: list[float]
    losses: list[float]

    @property
    def suggestion(self) -> float | None:
        """The rate to train with, to two digits: halfway down the valley; None if the loss hardly fell.

        The first tenth and the last twentieth of the curve are left out, as in fastai: there its average has hardly
        begun, or it is already blowing up.
        """
        count = len(self.rates)
        place = halfway_down(self.losses[count // 10 : count - count // 20])
        return None if place is None else float(f"{self.rates[count // 10 + place]:.2g}")


def halfway_down(losses: list[float]) -> int | None:
    """Where half of the longest descent is done; None if there is none of three losses at least.

    The descent is the longest strictly decreasing subsequence, the valley of fastai's `valley`. Smith wants the rate
    at which the loss falls fastest: an S-shaped fall is steepest where half of it is done, and that place needs no
    derivative of a noisy curve. fastai takes the middle by number of batches, which came out ten times too low with
    SGD in our trials.
    """
    lengths: list[int] = []
    before: list[int | None] = []
    for place, loss in enumerate(losses):
        higher = [earlier for earlier in range(place) if losses[earlier] > loss]
        before.append(max(higher, key=lengths.__getitem__, default=None))
        lengths.append(1 + max((lengths[earlier] for earlier in higher), default=0))
    if max(lengths, default=0) < 3:
        return None
    descent: list[int] = []
    at: int | None = lengths.index(max(lengths))
    while at is not None:
        descent.insert(0, at)
        at = before[at]
    half = (losses[descent[0]] + losses[descent[-1]]) / 2
    return next(place for place in descent if losses[place] <= half)


def find_learning_rate(setting: Setting, reporter: Reporter) -> RangeTest:
    """Trains over mini-batches at rates that rise exponentially, and undoes it.

    As many steps as a tenth of the training has, 20 at least and 100 at most, from 1e-7 to 10; the backbone's rate,
    unless given, and the layer decay go along. Trains all that the trial will come to train. From each loss that of
    the untrained network on the same batch, with the same random draws, is taken off, and their mean added: without
    that, how hard a batch is drowns what few steps have learned. Then losses are averaged with a bias-corrected
    decay of 0.98 for each hundredth of the range, as in fastai. Ends early when they reach four times their best,
    are not finite, or have taken a tenth of the job's wall time. Seed and spec decide its course.

    Raises:
        Stopped: the sink asked for it.
    """
    spec = setting.order.spec
    tried = setting.with_training(learning_rate=LOWEST, ema_decay=None)
    steps = _steps(spec.training.epochs * -(-len(setting.dealt["train"]) // settled(spec.training.batch_size)))
    batches, rates = list(islice(_batches(tried), steps)), rising_rates(steps)
    started = time.monotonic()
    untrained = list(_course(tried, reporter, batches, [0.0] * steps))
    average = _Average(SMOOTHING ** (MOST_STEPS / steps))
    losses: list[float] = []
    with closing(_course(tried, reporter, batches, rates)) as course:  # undone here, wherever it is left
        for loss, of_untrained in zip(course, untrained, strict=True):
            smoothed = average.see(loss - of_untrained + sum(untrained) / steps)
            if not math.isfinite(smoothed) or smoothed > DIVERGED_AT * min([*losses, smoothed]):
                break
            losses.append(smoothed)
            if time.monotonic() - started > SHARE_OF_WALL_TIME * spec.limits.wall_seconds:
                break
    return RangeTest(rates[: len(losses)], losses)


def rising_rates(steps: int) -> list[float]:
    """From the lowest to the highest by equal factors."""
    return [LOWEST * (HIGHEST / LOWEST) ** (step / (steps - 1)) for step in range(steps)]


def _course(setting: Setting, reporter: Reporter, batches: list[BatchOrder], rates: list[float]) -> Generator[float]:
    """The mean loss of each batch, before the step at its rate; every course draws the same random numbers."""
    spec = setting.order.spec
    with undone(setting):
        learner = Learner(setting, reporter)
        learner.schedule = Rates(setting, rates)
        setting.subject.prepare_training(spec.training.epochs)
        torch.manual_seed(epoch_seed(spec.seed, spec.training.epochs + 1))
        for step, batch in enumerate(learner.batches.make(batches)):
            learner.step = step  # also where the one before was skipped
            reporter.batch(1, 0.0)
            yield float(learner.learn(batch)[0]) / len(batch.targets)


def _steps(training_steps: int) -> int:
    return min(MOST_STEPS, max(FEWEST_STEPS, int(training_steps * SHARE_OF_STEPS)))


def _batches(setting: Setting) -> Iterator[BatchOrder]:
    """Batches of epochs that the training itself does not have."""
    spec, epoch = setting.order.spec, setting.order.spec.training.epochs
    while True:
        epoch += 1
        size = settled(spec.training.batch_size)
        yield from setting.subject.orders(setting.dealt["train"], batch_size=size, seed=spec.seed, epoch=epoch)


class Rates(Schedule):
    """Every group at the rate that it would have if the learning rate were the one of this step; 0 stops them all."""

    def __init__(self, setting: Setting, rates: list[float]) -> None:
        self.setting, self.rates = setting, rates

    def apply(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Sets the rates for step `step`."""
        rate = self.rates[step]
        training = self.setting.with_training(learning_rate=rate or LOWEST).order.spec.training
        for group, wanted in zip(optimizer.param_groups, self.setting.parameter_groups(training), strict=True):
            group["lr"] = wanted["base_rate"] if rate else 0.0


class _Average:
    """An exponential moving average that makes up for its start at nought."""

    def __init__(self, decay: float) -> None:
        self.decay, self._sum, self._weight = decay, 0.0, 0.0

    def see(self, value: float) -> float:
        """The average with `value` taken in."""
        self._sum = self.decay * self._sum + (1 - self.decay) * value
        self._weight = self.decay * self._weight + (1 - self.decay)
        return self._sum / self._weight
