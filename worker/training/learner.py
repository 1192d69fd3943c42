"""Learning on the train split: objective, optimizer steps, moving average, and their state for a checkpoint."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from service.errors import Diverged
from service.specs.auto import settled
from worker.data.batches import Batch, BatchOrder, epoch_seed, shuffled
from worker.data.transforms import batch_mixing
from worker.training.checkpoints import Tensors
from worker.training.moving_average import MovingAverage
from worker.training.optimisation import Schedule, build_optimizer
from worker.training.reporting import Reporter
from worker.training.setting import Setting

_BATCHES_BETWEEN_LOSS_CHECKS_ON_GPU = 20


class Learner:
    """A network in training: call `train_epoch` for epochs 1, 2, …; what happens depends on seed and epoch alone."""

    def __init__(self, setting: Setting, reporter: Reporter) -> None:
        spec = setting.order.spec
        self.setting, self.reporter, self.spec = setting, reporter, spec.training
        self.indices = setting.dealt["train"]
        self.batches = setting.training_batches()
        self.optimizer = build_optimizer(setting.parameter_groups(spec.training), spec.training)
        self.schedule = Schedule(spec.training, len(self._orders(1)))
        self.average = MovingAverage(setting.learned, spec.training.ema_decay) if spec.training.ema_decay else None
        self.mixing = batch_mixing(spec.augmentation, len(setting.trained.classes))
        self.class_weights = self._class_weights() if spec.training.class_weights == "balanced" else None
        self.step = 0

    @property
    def result(self) -> nn.Module:
        """What is evaluated and published: the average if there is one."""
        return self.average.network if self.average else self.setting.learned

    def train_epoch(self, epoch: int) -> tuple[float, float]:
        """One pass over the train split: mean cross entropy and accuracy of its batches as they were seen.

        Raises:
            Diverged: a loss is not finite.
            Stopped: the sink asked for it.
        """
        orders = self._orders(epoch)
        torch.manual_seed(epoch_seed(self.setting.order.spec.seed, epoch))
        self.setting.prepare_training(epoch)
        totals = torch.zeros(2, dtype=torch.float64, device=self.setting.device)
        check_every = 1 if self.setting.device.type == "cpu" else _BATCHES_BETWEEN_LOSS_CHECKS_ON_GPU
        for number, batch in enumerate(self.batches.make(orders), start=1):
            self.reporter.batch(epoch, (number - 1) / len(orders))
            totals += self.learn(batch)
            if (number % check_every == 0 or number == len(orders)) and not bool(totals[0].isfinite()):
                raise Diverged(f"The training loss stopped being finite in epoch {epoch}, batch {number}.")
        loss, accuracy = (totals / len(self.indices)).tolist()
        return loss, accuracy

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
        parts = self.setting.trained_parts(self.spec.epochs)
        changing = {id(tensor) for part in parts for tensor in part.state_dict(keep_vars=True).values()}
        names = [
            name for name, value in self.setting.learned.state_dict(keep_vars=True).items() if id(value) in changing
        ]
        state = network.state_dict()
        return {name: state[name] for name in names}

    def learn(self, batch: Batch) -> Tensor:
        """One optimizer step; returns [summed loss, correct answers] float64 on the device."""
        setting, scaler = self.setting, self.setting.precision.scaler
        inputs = setting.to_input(batch.inputs.to(setting.device, non_blocking=True))
        targets = batch.targets.to(setting.device, non_blocking=True)
        if self.mixing:
            inputs, targets = self.mixing(inputs, targets)
        self.schedule.apply(self.optimizer, self.step)
        self.optimizer.zero_grad(set_to_none=True)
        with setting.precision.autocast():
            logits = setting.learned(inputs).float()
            loss = cross_entropy(logits, targets, self.class_weights, label_smoothing=self.spec.label_smoothing)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self.spec.gradient_clip_norm:
            scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(setting.learned.parameters(), self.spec.gradient_clip_norm)
        scaler.step(self.optimizer)
        scaler.update()
        if self.average:
            self.average.update(setting.learned, self.step)
        self.step += 1
        with torch.no_grad():
            truth = targets if targets.ndim == 1 else targets.argmax(1)
            correct = (logits.argmax(1) == truth).sum()
            return torch.stack([cross_entropy(logits, targets).double() * len(logits), correct.double()])

    def _orders(self, epoch: int) -> list[BatchOrder]:
        seed = self.setting.order.spec.seed
        return shuffled(self.indices, batch_size=settled(self.spec.batch_size), seed=seed, epoch=epoch)

    def _class_weights(self) -> Tensor:
        """[c]: n / (c · samples of the class), so that every class weighs the same."""
        counts = torch.bincount(self.setting.targets[self.indices], minlength=len(self.setting.trained.classes))
        return (len(self.indices) / (len(counts) * counts)).to(self.setting.device, torch.float32)


def laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """`value` in the memory layout of `parameter`, where it has its shape.

    Fused optimizers walk through parameters and their state side by side in memory: state that comes back from a
    file in another layout (channels last in, contiguous out) would be paired with the wrong weights.
    """
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
