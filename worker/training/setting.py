"""What stands before the first epoch: what is trained on what, towards what, the split, the device."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from service.specs.jobs import TrainingSpec
from worker.data.deals import Deal
from worker.data.device_memory import Halving
from worker.data.prefetching import prefetched
from worker.training.objective import Objective
from worker.training.optimisation import parameter_groups
from worker.training.order import TrialOrder
from worker.training.precision import Precision
from worker.training.subject import Subject


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
                halving = Halving(self.device, self.subject.evaluation_batch_size)
                made.append(halving.outputs(network, *self.subject.arguments(batch.inputs)))
                self.subject.evaluation_batch_size = halving.batch_size
        return torch.cat(made).clone()
