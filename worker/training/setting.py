"""What stands before the first epoch: what is trained on what, towards what, the split, the device."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from service.errors import ResourceExhausted
from service.specs.jobs import TrainingSpec
from worker.data.deals import Deal
from worker.data.prefetching import prefetched
from worker.training.memory import in_parts, is_out_of_memory, release_memory
from worker.training.objective import Objective
from worker.training.optimisation import parameter_groups
from worker.training.order import TrialOrder
from worker.training.precision import Precision
from worker.training.subject import Arguments, Subject


@dataclass(frozen=True)
class Setting:
    """A trial's fixed parts."""

    order: TrialOrder
    subject: Subject
    objective: Objective
    dealt: Deal
    precision: Precision

    @property
    def learned(self) -> nn.Module:
        """What is trained."""
        return self.subject.learned

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.subject.device

    def targets(self, split: str) -> Tensor:
        """[n], those of a split."""
        return self.subject.targets[self.dealt[split]]  # type: ignore[index]

    def parameter_groups(self, training: TrainingSpec) -> list[dict[str, Any]]:
        """Of what is trained, with the rates and decays of `training`."""
        depths = self.subject.depths() if training.layer_decay else {}
        return parameter_groups(self.learned, self.subject.head, training, depths=depths)

    def with_training(self, **values: object) -> "Setting":
        """The same with other fields in the spec's `training`."""
        spec = self.order.spec
        training = TrainingSpec.model_validate(spec.training.model_dump() | values)
        return replace(self, order=replace(self.order, spec=spec.model_copy(update={"training": training})))

    def outputs(self, network: nn.Module, indices: list[int], tick: Callable[[], None]) -> Tensor:
        """[n, c] float32 on the CPU, of the samples at `indices`, without augmentation, in evaluation mode.

        `network` is what is trained, or a copy of it.
        """
        network.eval()
        made: list[Tensor] = []
        with torch.inference_mode(), self.precision.autocast():
            for batch in prefetched(self.subject.evaluation_batches(indices), self.device):
                tick()
                made += self._answers(network, self.subject.arguments(batch.inputs))
        return torch.cat(made).clone()

    def _answers(self, network: nn.Module, arguments: Arguments) -> list[Tensor]:
        """Of the whole batch at once, or of its halves where memory does not suffice."""
        try:
            return [network(*arguments).float().cpu()]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        release_memory(self.device)
        samples = len(arguments[0])
        if samples == 1:
            raise ResourceExhausted("The device's memory does not suffice for one sample.")
        self.subject.evaluation_batch_size = min(self.subject.evaluation_batch_size, samples // 2)
        return [answer for half in in_parts(arguments, 2) for answer in self._answers(network, half)]
