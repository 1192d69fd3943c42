"""Fields of a spec that were set and cannot act on what is trained."""

from collections.abc import Iterator

from service.specs.datasets import Warning
from service.specs.jobs import BackboneSpec, JobSpec, TrainingSpec
from service.specs.resolving import ONE_EPOCH

_CODE = "no-effect"
USED_BY = {
    "gradient_boosting": {"epochs", "learning_rate", "class_weights"},
    "random_forest": {"epochs", "class_weights"},
    "linear": {"epochs", "class_weights"},
}
"""Of `training`; estimators that are not trained by gradients."""
OF_CLASSES = {"class_weights", "label_smoothing"}
ELSEWHERE = {"image_size", "max_tokens"}
"""Told of by themselves."""


def idle_fields(spec: JobSpec) -> Iterator[Warning]:
    """A warning for each; what the backbone itself cannot do is refused before."""
    if spec.backbone is not None:
        yield from _of_backbone(spec.backbone, spec.training)
    if spec.estimator is not None and spec.estimator.kind in USED_BY:
        yield from _of_estimator(spec, spec.estimator.kind)
    elif spec.problem == "tabular_regression":
        for name in sorted(OF_CLASSES & _set_fields(spec.training)):
            yield Warning(code=_CODE, message=f"training.{name} does nothing where values are learned.")
    if spec.training.image_size is not None and spec.problem != "image_classification":
        yield Warning(code=_CODE, message="training.image_size does nothing without images.")
    if spec.training.max_tokens is not None and spec.problem != "text_classification":
        yield Warning(code=_CODE, message="training.max_tokens does nothing without texts.")


def _of_estimator(spec: JobSpec, kind: str) -> Iterator[Warning]:
    """Of one that no gradients train."""
    used = USED_BY[kind] - (OF_CLASSES if spec.problem == "tabular_regression" else set())
    for name in sorted(_set_fields(spec.training) - used - ELSEWHERE):
        yield Warning(code=_CODE, message=f"training.{name} does nothing for {kind}.")
    searched = used - {"epochs"} if kind in ONE_EPOCH else used
    for path in spec.tuning.space if spec.tuning else ():
        part, _, name = path.partition(".")
        if part == "training" and name not in searched:
            yield Warning(code=_CODE, message=f"Searching {path} does nothing for {kind}.")


def _set_fields(training: TrainingSpec) -> set[str]:
    """That differ from their defaults."""
    fields = TrainingSpec.model_fields
    return {name for name in fields if getattr(training, name) != fields[name].default}


def overruled(asked: JobSpec, resolved: JobSpec) -> Iterator[Warning]:
    """A warning for what was asked for in vain."""
    epochs = asked.training.epochs
    if resolved.estimator and "epochs" in asked.training.model_fields_set and epochs != resolved.training.epochs:
        yield Warning(code=_CODE, message=f"training.epochs does nothing for {resolved.estimator.kind}: it has one.")


def _of_backbone(backbone: BackboneSpec, training: TrainingSpec) -> Iterator[Warning]:
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
