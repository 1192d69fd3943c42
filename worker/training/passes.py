"""A batch through the network and back, in as many parts as the device's memory takes."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from service.errors import ResourceExhausted
from worker.data.device_memory import in_parts, is_out_of_memory, release_memory
from worker.training.order import PassesTooLarge
from worker.training.ranks import ALONE, Ranks
from worker.training.reporting import Reporter
from worker.training.setting import Setting
from worker.training.subject import Arguments


@dataclass(frozen=True)
class Whole:
    """A batch over all ranks: how many samples it has, and what its loss is a mean by (`Objective.weight`)."""

    samples: int
    weight: float | Tensor


class Passes:
    """Adds up the gradients of a batch's loss in the parameters, whatever part of it fits the memory at once.

    Where memory runs out, passes are halved from then on, and the gradients of several are added up: those of the
    whole batch, up to rounding. Two things do depend on the size of a pass. Batch norm in training normalises each by
    itself, and its running statistics see the passes one by one, those of the failed one too; and dropout draws for
    each. Where batch norm trains, a pass keeps two samples at least.

    Several ranks halve together, as their passes meet in batch norm and in the sum of the gradients: the trial begins
    again from its checkpoint.

    Attributes:
        micro_batch_size: the most samples of one pass; None until memory has run out.
        may_halve: else the allocator's error is passed on.
    """

    def __init__(self, setting: Setting, reporter: Reporter, ranks: Ranks = ALONE) -> None:
        self.setting, self.reporter, self.ranks = setting, reporter, ranks
        self.micro_batch_size = setting.order.micro_batch_size
        self.may_halve = True
        self._network: nn.Module = setting.learned
        self._summed: list[int] = []

    def limit(self, micro_batch_size: int | None) -> None:
        """Keeps passes as small as an earlier attempt has found them to have to be."""
        known = [size for size in (self.micro_batch_size, micro_batch_size) if size is not None]
        self.micro_batch_size = min(known, default=None)

    def prepare(self) -> None:
        """To be called whenever other parameters may be trained than before: ranks sum the gradients of just those."""
        trained = [id(parameter) for parameter in self.setting.learned.parameters() if parameter.requires_grad]
        if self.ranks.size > 1 and trained != self._summed:
            self._network = self.setting.learned  # lets go of what sums the gradients of others
            self._network, self._summed = self.ranks.summing(self.setting.learned), trained

    def run(self, arguments: Arguments, targets: Tensor, whole: Whole) -> Tensor:
        """The objective's sums over this rank's share of a batch, float64; the gradients are those of the whole batch.

        Samples beyond the rank's share (`Ranks.share`) count for nothing.

        Raises:
            ResourceExhausted: not even the smallest pass fits.
            PassesTooLarge: memory has run out on one of several ranks.
        """
        while True:
            try:
                return self._run(arguments, targets, whole)
            except (RuntimeError, MemoryError) as error:
                if not (self.may_halve and is_out_of_memory(error)):
                    raise
            self._halve(whole.samples)

    def _run(self, arguments: Arguments, targets: Tensor, whole: Whole) -> Tensor:
        count, share = self._count(whole.samples), self.ranks.share_of(whole.samples)
        first = tuple(tensor[:1] for tensor in (*arguments, targets))
        sums = torch.zeros(1, dtype=torch.float64, device=self.setting.device)
        done = 0
        for number, part in enumerate(in_parts((*arguments, targets), count), start=1):
            *some, truth = part if len(part[-1]) else first  # ranks pass equally often
            counting = max(0, min(len(truth), share - done))
            done += len(part[-1])
            truth = truth[: counting or None]
            factor = self.setting.objective.weight(truth) / whole.weight * self.ranks.size if counting else 0.0
            with self.ranks.quiet(self._network, number < count):
                outputs = self._pass(tuple(some), truth, factor)
            with torch.no_grad():
                sums = sums + self.setting.objective.sums(outputs, truth) * bool(counting)
        return sums

    def _pass(self, arguments: Arguments, targets: Tensor, factor: float | Tensor) -> Tensor:
        """Outputs of the first samples, which have `targets`."""
        setting = self.setting
        with setting.precision.autocast():
            outputs: Tensor = self._network(*arguments).float()[: len(targets)]
            loss = setting.objective.loss(outputs, targets) * factor
        setting.precision.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        return outputs.detach()

    def _count(self, samples: int) -> int:
        """Passes of each rank over a batch of that many samples."""
        if self.micro_batch_size is None:
            return 1
        ranks = self.ranks.size
        count = -(-samples // (ranks * self.micro_batch_size))
        if any(isinstance(module, _BatchNorm) and module.training for module in self.setting.learned.modules()):
            count = min(count, samples // ranks // 2)
        return max(1, count)

    def _halve(self, samples: int) -> None:
        release_memory(self.setting.device)
        self.setting.learned.zero_grad(set_to_none=True)
        before = self._count(samples)
        largest = -(-samples // (self.ranks.size * before))
        self.micro_batch_size = max(1, largest // 2)
        if self._count(samples) == before:
            raise ResourceExhausted(f"The device's memory does not suffice for passes of {largest} sample(s).")
        text = f"Memory does not suffice for {largest} samples at once: passes of {largest // 2} add up."
        if self.ranks.size > 1:
            raise PassesTooLarge(text, self.micro_batch_size)
        self.reporter.warn(text, micro_batch_size=self.micro_batch_size)
