"""Fields of a spec that were set and cannot act on what is trained."""

from collections.abc import Iterator

from service.specs.datasets import Warning
from service.specs.jobs import JobSpec

_CODE = "no-effect"


def idle_fields(spec: JobSpec) -> Iterator[Warning]:
    """A warning for each; what the backbone itself cannot do is refused before."""
    backbone, training = spec.backbone, spec.training
    if backbone.trainable == "head":
        set_fields = {
            "backbone.stochastic_depth": backbone.stochastic_depth,
            "backbone.batch_norm": backbone.batch_norm == "frozen",
            "training.layer_decay": training.layer_decay not in (None, 1.0),
            "training.backbone_learning_rate": training.backbone_learning_rate,
        }
        for name, value in set_fields.items():
            if value:
                yield Warning(code=_CODE, message=f"{name} does nothing where only the head is trained.")
    elif backbone.batch_norm == "frozen" and backbone.weights == "none":
        message = "backbone.batch_norm is frozen without pretrained weights: its statistics were never measured."
        yield Warning(code=_CODE, message=message)
    if backbone.trainable == "gradual" and training.epochs == 1:
        yield Warning(code=_CODE, message="trainable gradual needs two epochs: one trains everything from the start.")
