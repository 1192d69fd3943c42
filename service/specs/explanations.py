"""What a client may ask of a trained model: predictions and explanations."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from service.specs.base import Seed, Spec
from service.specs.datasets import Modality

MAX_INPUTS = 64
"""Of a request that brings them along."""
MAX_SAMPLES = 10_000
"""Of a request that names a dataset, or brings a file of rows or texts."""
Method = Literal["grad_cam", "shap", "lime", "integrated_gradients", "occlusion", "permutation"]
ExplainerName = Literal["partition", "tree", "linear", "exact", "permutation", "gradient"]
Label = Annotated[str, Field(min_length=1, max_length=255)]
Split = Literal["train", "validation", "test"]


class MethodParameters(Spec):
    """Knobs of the methods; each method takes its own and refuses the others'.

    Fields:
        layer: grad_cam: dotted name of the module to hook; found by itself when null.
        evaluations: shap: budget of the model's evaluations per input, however many targets.
        baseline: shap and lime on images: what hidden regions show.
        batch_size: on images and texts: masked inputs per forward.
        explainer: shap: `partition` is the one for images and texts; tables take the one that fits the model.
        background_rows: shap on tables: rows of the train split that hidden columns take their values from.
        samples: lime: perturbed inputs, the input itself included.
        segments: lime on images: about how many superpixels.
        features: lime: how many components the surrogate keeps; all when null.
        kernel_width: lime: of the proximity; LIME's own for the modality when null.
        steps: integrated_gradients: points of the path.
        window: occlusion on texts: words left out at once.
        repeats: permutation: how often each column is shuffled.
    """

    layer: Annotated[str, Field(max_length=200)] | None = None
    evaluations: int | None = Field(None, ge=32, le=10_000)
    baseline: Literal["blur", "mean", "zero"] | None = None
    batch_size: int | None = Field(None, ge=1, le=512)
    explainer: ExplainerName | None = None
    background_rows: int | None = Field(None, ge=1, le=100)
    samples: int | None = Field(None, ge=50, le=10_000)
    segments: int | None = Field(None, ge=4, le=400)
    features: int | None = Field(None, ge=1, le=1000)
    kernel_width: float | None = Field(None, ge=0.01, le=1000)
    steps: int | None = Field(None, ge=8, le=512)
    window: int | None = Field(None, ge=1, le=20)
    repeats: int | None = Field(None, ge=1, le=100)


METHODS: Mapping[Modality, Mapping[str, frozenset[str]]] = {
    "image": {
        "grad_cam": frozenset({"layer"}),
        "shap": frozenset({"evaluations", "baseline", "batch_size", "explainer"}),
        "lime": frozenset({"samples", "segments", "features", "kernel_width", "baseline", "batch_size"}),
    },
    "text": {
        "shap": frozenset({"evaluations", "batch_size", "explainer"}),
        "lime": frozenset({"samples", "features", "kernel_width", "batch_size"}),
        "integrated_gradients": frozenset({"steps"}),
        "occlusion": frozenset({"window", "batch_size"}),
    },
    "tabular": {
        "shap": frozenset({"explainer", "evaluations", "background_rows"}),
        "lime": frozenset({"samples", "features", "kernel_width"}),
        "permutation": frozenset({"repeats"}),
    },
}
"""Which methods explain what, with the parameters that each takes there."""


class DatasetInputs(Spec):
    """Samples of a dataset of the same project; with `split`, those that the model's own trial dealt there."""

    dataset_id: Annotated[str, Field(max_length=64)]
    split: Split | None = None
    limit: int = Field(MAX_INPUTS, ge=1, le=MAX_SAMPLES)


class ExplanationSpec(Spec):
    """How to explain."""

    method: Method
    targets: Literal["predicted"] | Annotated[list[Label], Field(min_length=1, max_length=16)] = "predicted"
    parameters: MethodParameters = Field(default_factory=MethodParameters)
    evaluate: bool = False
    seed: Seed = 0


class PredictionSpec(Spec):
    """How to predict: nothing to choose yet."""
