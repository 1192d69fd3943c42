"""Learning on the train split: optimizer steps, moving average, and their state for a checkpoint."""

import torch
from torch import Tensor, nn

from service.errors import Diverged
from service.specs.auto import settled
from worker.data.batches import Batch, BatchOrder, epoch_seed
from worker.data.prefetching import prefetched
from worker.training.checkpoints import Tensors
from worker.training.moving_average import MovingAverage
from worker.training.optimisation import Schedule, build_optimizer
from worker.training.passes import Passes, Whole
from worker.training.ranks import ALONE, Ranks
from worker.training.reporting import Reporter
from worker.training.setting import Setting

_BATCHES_BETWEEN_LOSS_CHECKS_ON_GPU = 20


class Learner:
    """A network in training: call `train_epoch` for epochs 1, 2, …; what happens depends on seed and epoch alone."""

    def __init__(self, setting: Setting, reporter: Reporter, ranks: Ranks = ALONE) -> None:
        spec = setting.order.spec
        self.setting, self.reporter, self.ranks, self.spec = setting, reporter, ranks, spec.training
        self.passes = Passes(setting, reporter, ranks)
        self.indices = setting.dealt["train"]
        self.batches = setting.subject.training_batches(self._share)
        is_scaled = setting.precision.scaler.is_enabled()
        groups = setting.parameter_groups(spec.training)
        self.optimizer = build_optimizer(groups, spec.training, is_scaled=is_scaled)
        self.schedule = Schedule(spec.training, len(self._orders(1)))
        decay = spec.training.ema_decay if ranks.leads else None
        self.average = MovingAverage(setting.learned, decay) if decay else None
        self.mixing = setting.subject.mixing
        self.step = 0

    @property
    def result(self) -> nn.Module:
        """What is evaluated and published: the average if there is one."""
        return self.average.network if self.average else self.setting.learned

    @property
    def micro_batch_size(self) -> int:
        """The most samples of one pass on one device."""
        return min(self._share, self.passes.micro_batch_size or self._share)

    @property
    def _share(self) -> int:
        """The most samples of a batch on one device."""
        return -(-settled(self.spec.batch_size) // self.ranks.size)

    def train_epoch(self, epoch: int) -> tuple[float, float | None]:
        """One pass over the train split: mean loss, and for classes accuracy, of its batches as they were seen.

        Raises:
            Diverged: a loss is not finite.
            Stopped: the sink asked for it.
        """
        orders = self._orders(epoch)
        torch.manual_seed(epoch_seed(self.setting.order.spec.seed, epoch) + self.ranks.rank)
        self.setting.subject.prepare_training(epoch)
        self.passes.prepare()
        totals = torch.zeros(1, dtype=torch.float64, device=self.setting.device)
        check_every = 1 if self.setting.device.type == "cpu" else _BATCHES_BETWEEN_LOSS_CHECKS_ON_GPU
        batches = prefetched(self.batches.make([self.ranks.share(order) for order in orders]), self.setting.device)
        for number, (order, batch) in enumerate(zip(orders, batches, strict=True), start=1):
            self.reporter.batch(epoch, (number - 1) / len(orders))
            totals = totals + self.learn(batch, order)
            if (number % check_every == 0 or number == len(orders)) and not bool(totals[0].isfinite()):
                raise Diverged(f"The training loss stopped being finite in epoch {epoch}, batch {number}.")
        loss, *rest = (self.ranks.total(totals) / len(self.indices)).tolist()
        return loss, rest[0] if rest else None

    def state(self) -> Tensors:
        """All tensors that training has changed, by part."""
        tensors = {f"learned.{name}": value for name, value in self.changing(self.setting.learned).items()}
        if self.average:
            tensors |= {f"average.{name}": value for name, value in self.changing(self.average.network).items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value for key, value in values.items() if value is not None}
        return tensors

    def restore(self, tensors: Tensors, step: int) -> None:
        """Puts everything back to where `state` found it, after `step` steps."""
        parts: dict[str, Tensors] = {"learned": {}, "average": {}, "optimizer": {}}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        self.setting.learned.load_state_dict(parts["learned"], strict=False)
        if self.average:
            self.average.network.load_state_dict(parts["average"], strict=False)
        state: dict[int, Tensors] = {}
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        for name, value in parts["optimizer"].items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = laid_out_as(parameters[int(index)], value)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.step = step

    def changing(self, network: nn.Module) -> Tensors:
        """The entries of `network`'s state dict (it is `learned`, or a copy) that training can change."""
        parts = self.setting.subject.trained_parts(self.spec.epochs)
        changing = {id(tensor) for part in parts for tensor in part.state_dict(keep_vars=True).values()}
        names = [
            name for name, value in self.setting.learned.state_dict(keep_vars=True).items() if id(value) in changing
        ]
        state = network.state_dict()
        return {name: state[name] for name in names}

    def learn(self, batch: Batch, order: BatchOrder | None = None) -> Tensor:
        """One optimizer step; returns the objective's sums over `batch`, float64 on the device.

        `batch` is this rank's share of what `order` asks all of them for. A step that the loss scale makes overflow is
        skipped: neither schedule nor moving average see it.
        """
        setting, scaler = self.setting, self.setting.precision.scaler
        arguments = setting.subject.arguments(batch.inputs)
        targets = batch.targets.to(setting.device, non_blocking=True)
        if self.mixing:
            arguments, targets = self.mixing(arguments, targets)
        self.schedule.apply(self.optimizer, self.step)
        self.optimizer.zero_grad(set_to_none=True)
        sums = self.passes.run(arguments, targets, self._whole(targets, order))
        if self.spec.gradient_clip_norm:
            scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(setting.learned.parameters(), self.spec.gradient_clip_norm)
        scale = scaler.get_scale()
        scaler.step(self.optimizer)
        scaler.update()
        if scaler.get_scale() >= scale:
            if self.average:
                self.average.update(setting.learned, self.step)
            self.step += 1
        return sums

    def _whole(self, targets: Tensor, order: BatchOrder | None) -> Whole:
        """Of all ranks together."""
        if order is not None and self.ranks.size > 1 and targets.ndim == 1:
            targets = self.setting.subject.targets[order.indices].to(self.setting.device)
        samples = len(order.indices) if order is not None else len(targets)
        weight = float(samples) if targets.ndim > 1 else self.setting.objective.weight(targets)
        return Whole(samples, weight)

    def _orders(self, epoch: int) -> list[BatchOrder]:
        seed = self.setting.order.spec.seed
        size = settled(self.spec.batch_size)
        return self.setting.subject.orders(self.indices, batch_size=size, seed=seed, epoch=epoch)


def laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """`value` in the memory layout of `parameter`, where it has its shape.

    Fused optimizers walk through parameters and their state side by side in memory: state that comes back from a
    file in another layout (channels last in, contiguous out) would be paired with the wrong weights.
    """
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
