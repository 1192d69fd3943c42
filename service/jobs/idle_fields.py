"""Fields of a spec that were set and cannot act on what is trained."""

from collections.abc import Iterator

from service.specs.datasets import Warning
from service.specs.jobs import BackboneSpec, JobSpec, TrainingSpec

_CODE = "no-effect"
USED_BY = {
    "gradient_boosting": {"epochs", "learning_rate", "class_weights"},
    "random_forest": {"epochs", "class_weights"},
    "linear": {"epochs", "class_weights"},
}
"""Of `training`; estimators that are not trained by gradients."""


def idle_fields(spec: JobSpec) -> Iterator[Warning]:
    """A warning for each; what the backbone itself cannot do is refused before."""
    if spec.backbone is not None:
        yield from _of_backbone(spec.backbone, spec.training)
    used = USED_BY.get(spec.estimator.kind) if spec.estimator else None
    for name, field in TrainingSpec.model_fields.items():
        is_set = getattr(spec.training, name) != field.default
        elsewhere = name in ("image_size", "max_tokens")
        if is_set and not elsewhere and used is not None and name not in used and spec.estimator is not None:
            yield Warning(code=_CODE, message=f"training.{name} does nothing for {spec.estimator.kind}.")
    if spec.problem == "tabular_regression":
        for name in ("class_weights", "label_smoothing"):
            is_told = used is not None and name not in used
            if getattr(spec.training, name) != TrainingSpec.model_fields[name].default and not is_told:
                yield Warning(code=_CODE, message=f"training.{name} does nothing where values are learned.")
    if spec.training.image_size is not None and spec.problem != "image_classification":
        yield Warning(code=_CODE, message="training.image_size does nothing without images.")
    if spec.training.max_tokens is not None and spec.problem != "text_classification":
        yield Warning(code=_CODE, message="training.max_tokens does nothing without texts.")


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
