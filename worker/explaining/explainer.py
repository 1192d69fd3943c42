"""Explains images by any method: the one door that the runtime uses."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor

from service.errors import ExplanationUnsupported
from service.specs.explanations import METHODS, ExplanationSpec, MethodParameters
from worker.backbones.trained import TrainedNetwork
from worker.explaining.asking import asked_classes, refuse_foreign_method, refuse_foreign_parameters
from worker.explaining.grad_cam import GradCam
from worker.explaining.layers import LayerFinder
from worker.explaining.lime_images import LimeImages
from worker.explaining.meter import Meter, Progress
from worker.explaining.partition import Partition
from worker.explaining.quality import Judge
from worker.explaining.results import (
    Attributed,
    Attribution,
    ChooseTargets,
    Explanation,
    ItemExplanation,
    TargetExplanation,
    additivity,
    warnings_of,
)
from worker.explaining.serving import as_prediction

ADDITIVITY_TOLERANCE = 1e-4
__all__ = ["Explainer", "Explanation", "ItemExplanation", "TargetExplanation", "explain_images"]


class Explainer(Protocol):
    """A method with its parameters, for one request; holds no reference to networks or images."""

    name: str
    fallback: str | None

    @property
    def parameters(self) -> dict[str, Any]:
        """As used, defaults filled in."""
        ...

    @property
    def baseline(self) -> dict[str, Any] | None:
        """What hidden regions showed, if any were hidden."""
        ...

    @property
    def batch_size(self) -> int:
        """Images to hand over at once."""
        ...

    def cost(self, targets: int) -> int:
        """Evaluations for one image, at most."""
        ...

    def sketch(self) -> "Explainer":
        """A cheaper way to maps that can be compared with each other."""
        ...

    def attribute(
        self, trained: TrainedNetwork, batch: Tensor, choose: ChooseTargets, meter: Meter
    ) -> list[Attributed]:
        """The maps of each image of a batch [n, 3, s, s]."""
        ...


_LAYERS = LayerFinder()
EXPLAINERS: dict[str, Callable[[MethodParameters, int], Explainer]] = {
    "grad_cam": lambda asked, _seed: GradCam(asked.layer, _LAYERS),
    "shap": lambda asked, _seed: Partition(asked.evaluations, asked.baseline, asked.batch_size),
    "lime": LimeImages,
}
"""Each method's maker, from the parameters and the seed of a request."""


def explain_images(
    trained: TrainedNetwork, images: Sequence[Image.Image], spec: ExplanationSpec, *, progress: Progress
) -> Explanation:
    """Explains each image's targets as `spec` asks.

    Args:
        trained: the serving network, in eval mode.
        images: RGB, as displayed; at least one.
        spec: method, targets, parameters, seed.
        progress: called between batches with (done, total) evaluations; may raise `Stopped`.

    Raises:
        Invalid: the method does not explain images, a target is no class of this network, or a parameter belongs to
            another method or does not exist.
        ExplanationUnsupported: the method cannot explain this network.
        Stopped: `progress` asked to end.

    The network is left as found, also on error. Safe to call from several threads at once on one network.
    """
    refuse_foreign_method(spec, EXPLAINERS, "Images")
    asked = asked_classes(spec, trained.classes)
    refuse_foreign_parameters(spec, METHODS["image"])
    if spec.method == "grad_cam" and trained.entry.architecture == "mlp":
        raise ExplanationUnsupported("grad_cam needs a network with convolutions or patches; try shap.")
    explainer = EXPLAINERS[spec.method](spec.parameters, spec.seed)
    judge = Judge(explainer, spec.seed) if spec.evaluate else None
    targets = 1 if asked is None else len(asked)
    cost = explainer.cost(targets) + (judge.cost if judge else 0)
    meter = Meter(len(images) * cost, progress)
    items: list[ItemExplanation] = []
    for start in range(0, len(images), explainer.batch_size):
        batch = trained.preprocess(images[start : start + explainer.batch_size])
        attributed = explainer.attribute(trained, batch, _choice(asked), meter)
        quality = judge.judge(trained, batch, attributed, meter) if judge else [None] * len(batch)
        items += [_item(trained, spec, explainer, *pair) for pair in zip(attributed, quality, strict=True)]
    return Explanation(
        method=spec.method,
        explainer=explainer.name,
        fallback=explainer.fallback,
        parameters=explainer.parameters,
        baseline=explainer.baseline,
        evaluations={"forward": meter.forward, "backward": meter.backward},
        warnings=[*_constant_inputs(images), *warnings_of(items)],
        items=items,
    )


def _constant_inputs(images: Sequence[Image.Image]) -> Iterator[dict[str, str]]:
    """A warning for each image of a single colour: its map is not flat, as networks see borders and padding."""
    for index, image in enumerate(images):
        if all(low == high for low, high in (band.getextrema() for band in image.split())):
            message = f"Item {index} has one colour everywhere: its map shows borders and padding, no evidence."
            yield {"code": "constant-input", "message": message}


def _choice(asked: list[int] | None) -> ChooseTargets:
    if asked is None:
        return lambda probabilities: probabilities.argmax(dim=1, keepdim=True)
    return lambda probabilities: torch.tensor(asked, device=probabilities.device).expand(len(probabilities), -1)


def _item(
    trained: TrainedNetwork,
    spec: ExplanationSpec,
    explainer: Explainer,
    attributed: Attributed,
    quality: dict[str, Any] | None,
) -> ItemExplanation:
    layer = explainer.parameters.get("layer")
    targets = [_target(trained, spec, layer, attributed, target) for target in attributed.targets]
    return ItemExplanation(
        as_prediction(attributed.logits, attributed.probabilities, trained.classes), targets, quality
    )


def _target(
    trained: TrainedNetwork, spec: ExplanationSpec, layer: str | None, attributed: Attributed, target: Attribution
) -> TargetExplanation:
    answers = attributed.logits if spec.method == "grad_cam" else attributed.probabilities
    output = float(answers[target.class_index])
    return TargetExplanation(
        label=trained.classes[target.class_index],
        space="logit" if spec.method == "grad_cam" else "probability",
        base_value=target.base_value,
        output_value=output,
        additivity=additivity(target.summed_value, output, ADDITIVITY_TOLERANCE),
        fit=target.fit,
        attributions=target.values,
        layer=layer,
        degenerate=target.degenerate,
    )
