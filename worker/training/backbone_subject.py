"""What images and texts share: a backbone with a head, of which a trial trains some or all."""

from abc import abstractmethod
from collections.abc import Mapping

from torch import nn

from worker.backbones.layer_depths import layer_depths
from worker.backbones.parts import trainable_modules
from worker.training.subject import Subject


class BackboneSubject(Subject):
    """A subject whose spec names a backbone of the catalogue."""

    @property
    @abstractmethod
    def network(self) -> nn.Module:
        """The whole network, to be published."""

    def trained_parts(self, epoch: int) -> list[nn.Module]:
        """As `backbone.trainable` says."""
        if self.learned is self.head:
            return [self.head]
        backbone = self.order.spec.network
        trainable = backbone.trainable
        if trainable == "gradual":
            trainable = "head" if epoch <= self.head_epochs else "all"
        return trainable_modules(self.network, backbone.name, trainable)

    @property
    def head_epochs(self) -> int:
        """Of `gradual`: a fifth of the epochs, from one to five; none of a single one."""
        spec = self.order.spec
        if spec.network.trainable != "gradual" or spec.training.epochs == 1:
            return 0
        return min(5, max(1, spec.training.epochs // 5))

    def depths(self) -> Mapping[int, int]:
        """By the layers of the whole network; the head alone has none below it."""
        if self.learned is self.head:
            return {}
        by_name = layer_depths(self.network, self.order.spec.network.name)
        return {id(parameter): by_name[name] for name, parameter in self.network.named_parameters()}
