"""The job spec: a declarative training request, every number bounded.

`JobSpec` is what a client posts. `service.specs.resolving` fills in what depends on the dataset, so that the stored
spec says all that will happen. Defaults that are plain constants stand in the fields.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from service.specs.augmentation import Augmentation
from service.specs.auto import AUTO, Auto, OrAuto
from service.specs.backbones import CATALOGUE, DEFAULT_IMAGE_BACKBONE
from service.specs.base import Metadata, Name, Seed, Spec, broken_rule
from service.specs.datasets import Modality
from service.specs.estimators import Estimator
from service.specs.limits import LimitsSpec
from service.specs.tuning import Monitor as Monitor
from service.specs.tuning import TuningSpec, monitors_of

Problem = Literal["image_classification", "text_classification", "tabular_classification", "tabular_regression"]
NETWORK_PROBLEMS: tuple[Problem, ...] = ("image_classification", "text_classification")
"""What backbones are for; the others take an estimator."""
_MODALITIES: dict[str, Modality] = {"image_classification": "image", "text_classification": "text"}
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Column = Annotated[str, Field(min_length=1, max_length=200)]
LearningRate = Annotated[float | Auto, OrAuto(Annotated[float, Field(gt=0.0, le=100.0)])]
BatchSize = Annotated[int | Auto, OrAuto(Annotated[int, Field(ge=2, le=4096)])]


def modality_of(problem: str) -> Modality:
    """What a model of this problem is asked about."""
    return _MODALITIES.get(problem, "tabular")


class SplitSpec(Spec):
    """How samples are dealt to train, validation and test; the rest of the fractions is train.

    `group` keeps samples of one value of `group_column` together, `time` trains on the oldest by `time_column` and
    tests on the newest; both are columns of the dataset's `metadata.csv`.
    """

    validation: float = Field(0.15, gt=0.0, le=0.5)
    test: float = Field(0.15, gt=0.0, le=0.5)
    strategy: Literal["stratified", "random", "group", "time", "predefined"] | None = None
    group_column: Column | None = Field(None, validate_default=True)
    time_column: Column | None = Field(None, validate_default=True)

    @field_validator("group_column", "time_column")
    @classmethod
    def _column_belongs_to_strategy(cls, column: str | None, info: ValidationInfo) -> str | None:
        needed_by = str(info.field_name).removesuffix("_column")
        strategy = info.data.get("strategy", needed_by if column else None)  # an invalid one has its own error
        if (strategy == needed_by) != (column is not None):
            raise ValueError(f"{info.field_name} is set where strategy is '{needed_by}', and only there")
        return column


class BackboneSpec(Spec):
    """Which network, which weights, and which part of it is trained."""

    name: Annotated[str, Field(max_length=100)] = Field(DEFAULT_IMAGE_BACKBONE, description="A name of the catalogue.")
    weights: Literal["pretrained", "none"] | None = None
    trainable: Literal["head", "last_stage", "all", "gradual"] = "all"
    dropout: float = Field(0.2, ge=0.0, le=0.9)
    stochastic_depth: float | None = Field(
        None,
        ge=0.0,
        le=0.9,
        description="Rate at which training skips residual branches (Huang et al. 2016), rising linearly with depth to "
        "this. Acts where blocks are trained. Null is the rate of the network's own builder: 0.2 "
        "for EfficientNet and Swin-T, 0.1 for ConvNeXt-T, 0.4 for ConvNeXt-S, 0 for EfficientNet-Lite. Other networks "
        "have none.",
    )
    batch_norm: Literal["train", "frozen"] = Field(
        "train",
        description="`train`: batch norm of the trained parts learns, and normalises by the batch. `frozen`: all of it "
        "keeps the statistics, scales and shifts that it came with. In frozen parts it is frozen either way.",
    )

    @model_validator(mode="after")
    def _regularisers_exist(self) -> Self:
        entry = CATALOGUE.get(self.name)
        if entry is None:
            return self
        if self.stochastic_depth and entry.stochastic_depth is None:
            able = ", ".join(name for name, other in CATALOGUE.items() if other.stochastic_depth is not None)
            raise broken_rule("stochastic_depth", f"{entry.name} has no branches to drop; these have: {able}")
        if self.batch_norm == "frozen" and not entry.has_batch_norm:
            raise broken_rule("batch_norm", f"{entry.name} has no batch norm to freeze")
        return self


class TrainingSpec(Spec):
    """Optimisation of one trial."""

    epochs: int = Field(
        30,
        ge=1,
        le=1000,
        description="Unset, pretrained text backbones that are trained beyond the head have 5, gradient_boosting 300 "
        "(its rounds); linear and random_forest always have 1.",
    )
    batch_size: BatchSize = Field(
        32,
        description='"auto": the largest power of two that fits the memory, at most 1024 and a quarter of the train '
        "split; on CPUs at most a twentieth of it, but 8 at least.",
    )
    image_size: int | None = Field(None, ge=32, le=1024, description="Pixels per side; images only.")
    max_tokens: int | None = Field(
        None, ge=8, le=1024, description="Longer texts are cut; null is what the dataset needs. Texts only."
    )
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: LearningRate = Field(
        0.001,
        description='"auto": found by a range test of at most 100 batches before the first epoch (Smith 2017); '
        "`learning_rate_finder.json` has its curve.",
    )
    backbone_learning_rate: float | None = Field(
        None,
        gt=0.0,
        le=100.0,
        description="Of everything but the head; null follows `learning_rate`, and is 5e-5 where Adam trains a "
        "pretrained text backbone (Devlin et al. 2019).",
    )
    layer_decay: float | None = Field(
        None,
        gt=0.0,
        le=1.0,
        description="Layer-wise learning-rate decay (Clark et al. 2020, Bao et al. 2021): a layer d below the head "
        "trains at `backbone_learning_rate * layer_decay ** d`, the head at `learning_rate`. Null is 1.",
    )
    weight_decay: float = Field(0.01, ge=0.0, le=10.0)
    schedule: Literal["cosine", "constant", "one_cycle", "plateau"] = "cosine"
    warmup_epochs: int = Field(0, ge=0, le=100)
    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0)
    class_weights: Literal["none", "balanced"] = "none"
    gradient_clip_norm: float | None = Field(
        1.0, ge=0.0, le=1e6, description="Null, or 0, does not clip; a merge patch can only say 0."
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    ema_decay: float | None = Field(None, gt=0.0, lt=1.0)

    @field_validator("gradient_clip_norm")
    @classmethod
    def _zero_does_not_clip(cls, norm: float | None) -> float | None:
        return norm or None

    @model_validator(mode="after")
    def _warm_up_is_shorter_than_training(self) -> Self:
        if self.warmup_epochs >= self.epochs and self.warmup_epochs > 0:
            raise broken_rule("warmup_epochs", "warmup_epochs must be smaller than epochs")
        return self


class EarlyStoppingSpec(Spec):
    """Ends a trial once `monitor` has not improved by `min_delta` for `patience` evaluations."""

    monitor: Monitor = "validation_loss"
    patience: int = Field(5, ge=1, le=1000)
    min_delta: float = Field(0.0, ge=0.0, le=100.0)


class JobSpec(Spec):
    """One training request. Unset fields take the defaults shown in the OpenAPI document.

    `problem` follows from the dataset where it is null. Images and texts are learned by a `backbone`, tables by an
    `estimator`; the other one is null.
    """

    dataset_id: Annotated[str, Field(max_length=64)]
    name: Name | None = None
    metadata: Metadata = Field(default_factory=dict)
    problem: Problem | None = None
    seed: Seed = 0
    split: SplitSpec = Field(default_factory=SplitSpec)
    backbone: BackboneSpec | None = None
    estimator: Estimator | None = None
    augmentation: Augmentation = Field(default_factory=Augmentation)
    training: TrainingSpec = Field(default_factory=TrainingSpec)
    early_stopping: EarlyStoppingSpec | None = Field(default_factory=EarlyStoppingSpec)
    tuning: TuningSpec | None = None
    limits: LimitsSpec = Field(default_factory=LimitsSpec)

    @property
    def network(self) -> BackboneSpec:
        """The backbone of a spec about images or texts, once it is resolved."""
        assert self.backbone is not None, "tables have an estimator"
        return self.backbone

    @model_validator(mode="after")
    def _backbone_or_estimator(self) -> Self:
        if self.backbone is not None and self.estimator is not None:
            raise broken_rule("estimator", "give either a backbone or an estimator")
        if self.estimator and self.estimator.kind == "gradient_boosting" and self.training.learning_rate == AUTO:
            raise broken_rule("training.learning_rate", "gradient_boosting takes a number")
        if self.problem is None:
            return self
        if self.problem in NETWORK_PROBLEMS and self.estimator is not None:
            raise broken_rule("estimator", f"{self.problem} takes a backbone")
        if self.problem not in NETWORK_PROBLEMS and self.backbone is not None:
            raise broken_rule("backbone", f"{self.problem} takes an estimator")
        self.augmentation.check_problem(self.problem)
        return self

    @model_validator(mode="after")
    def _devices_have_work(self) -> Self:
        devices, size = self.limits.devices, self.training.batch_size
        if self.estimator and self.estimator.kind != "mlp" and devices > 1:
            raise broken_rule("limits.devices", f"{self.estimator.kind} trains on one device")
        if size != AUTO and devices > size:
            raise broken_rule("limits.devices", "limits.devices must not be greater than training.batch_size")
        return self

    @model_validator(mode="after")
    def _backbone_fits(self) -> Self:
        entry = CATALOGUE.get(self.backbone.name) if self.backbone else None
        if self.backbone is None or entry is None:
            return self
        if self.backbone.weights == "pretrained" and not entry.has_pretrained_weights:
            raise broken_rule("backbone.weights", f"{entry.name} is trained from scratch: weights must be 'none'")
        size = self.training.image_size
        if entry.fixed_input_size and size not in (None, entry.input_size):
            raise broken_rule("training.image_size", f"{entry.name} takes image_size {entry.input_size} only")
        return self

    @model_validator(mode="after")
    def _one_metric_decides(self) -> Self:
        early = self.early_stopping
        if self.tuning and early and "monitor" in early.model_fields_set and early.monitor != self.tuning.metric:
            raise broken_rule("early_stopping.monitor", "early_stopping.monitor must be tuning.metric, or be left out")
        return self

    @model_validator(mode="after")
    def _metric_is_of_the_problem(self) -> Self:
        if self.problem is None:
            return self
        asked = {"tuning.metric": self.tuning.metric} if self.tuning else {}
        asked |= {"early_stopping.monitor": self.early_stopping.monitor} if self.early_stopping else {}
        allowed = monitors_of(self.problem == "tabular_regression")
        for path, metric in asked.items():
            if metric not in allowed:
                raise broken_rule(path, f"{self.problem} has {', '.join(allowed)}")
        return self
