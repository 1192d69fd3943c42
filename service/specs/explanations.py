"""What a client may ask of a trained model: predictions and explanations."""

from typing import Annotated, Literal

from pydantic import Field

from service.specs.base import Seed, Spec

MAX_INPUTS = 64
IMAGE_METHODS = ("grad_cam", "shap", "lime")
Method = Literal["grad_cam", "shap", "lime", "integrated_gradients", "occlusion"]
Label = Annotated[str, Field(min_length=1, max_length=255)]
Split = Literal["train", "validation", "test"]


class MethodParameters(Spec):
    """Knobs of the methods; each method takes its own and refuses the others'.

    Fields:
        layer: grad_cam: dotted name of the module to hook; found by itself when null.
        evaluations: shap: budget of network evaluations per input and target.
        baseline: shap and lime on images: what hidden regions show.
        batch_size: shap and lime on images: masked images per forward.
        explainer: shap: `partition` is the one for images.
        samples: lime: perturbed inputs, the input itself included.
        segments: lime on images: about how many superpixels.
        features: lime: how many components the surrogate keeps; all when null.
        steps: integrated_gradients: points of the path.
        window: occlusion on texts: words left out at once.
        kernel_width: lime: of the proximity; LIME's own for the modality when null.
    """

    layer: Annotated[str, Field(max_length=200)] | None = None
    evaluations: int | None = Field(None, ge=32, le=10_000)
    baseline: Literal["blur", "mean", "zero"] | None = None
    batch_size: int | None = Field(None, ge=1, le=512)
    explainer: Literal["partition"] | None = None
    samples: int | None = Field(None, ge=50, le=10_000)
    segments: int | None = Field(None, ge=4, le=400)
    features: int | None = Field(None, ge=1, le=1000)
    kernel_width: float | None = Field(None, ge=0.01, le=1000)
    steps: int | None = Field(None, ge=8, le=512)
    window: int | None = Field(None, ge=1, le=20)


class DatasetInputs(Spec):
    """Samples of a dataset of the same project as inputs."""

    dataset_id: Annotated[str, Field(max_length=64)]
    split: Split | None = None
    limit: int = Field(MAX_INPUTS, ge=1, le=MAX_INPUTS)


class ExplanationSpec(Spec):
    """How to explain."""

    method: Method
    targets: Literal["predicted"] | Annotated[list[Label], Field(min_length=1, max_length=16)] = "predicted"
    parameters: MethodParameters = Field(default_factory=MethodParameters)
    evaluate: bool = False
    seed: Seed = 0


class PredictionSpec(Spec):
    """How to predict: nothing to choose yet."""


ALLOWED_PARAMETERS: dict[str, frozenset[str]] = {
    "grad_cam": frozenset({"layer"}),
    "shap": frozenset({"evaluations", "baseline", "batch_size", "explainer"}),
    "lime": frozenset({"samples", "segments", "features", "kernel_width", "baseline", "batch_size"}),
}
