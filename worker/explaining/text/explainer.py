"""Explains texts by any method: the one door that the runtime uses."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch

from service.errors import Fault, Invalid
from service.specs.explanations import METHODS, ExplanationSpec
from worker.backbones.trained_text import TrainedText
from worker.explaining.asking import asked_classes, refuse_foreign_method, refuse_foreign_parameters
from worker.explaining.meter import Meter, Progress
from worker.explaining.results import (
    Attribution,
    Explanation,
    ItemExplanation,
    Space,
    TargetExplanation,
    additivity,
    warnings_of,
)
from worker.explaining.serving import as_prediction
from worker.explaining.text.integrated_gradients import IntegratedGradients, margins, tolerances
from worker.explaining.text.lime import TextLime
from worker.explaining.text.occlusion import TextOcclusion
from worker.explaining.text.partition import TextPartition
from worker.explaining.text.quality import LEAST_WORDS, TextJudge
from worker.explaining.text.subject import Subject, subject_of
from worker.explaining.text.units import words_of

ADDITIVITY_TOLERANCE = 1e-4


class TextExplainer(Protocol):
    """A method with its parameters, for one request; holds no reference to networks or texts."""

    name: str
    space: Space

    @property
    def parameters(self) -> dict[str, Any]:
        """As used, defaults filled in."""
        ...

    def baseline(self, trained: TrainedText) -> dict[str, Any]:
        """What stood for hidden words."""
        ...

    def cost(self, targets: int) -> int:
        """Evaluations for one text at most, its serving answer included."""
        ...

    def sketch(self) -> "TextExplainer":
        """A cheaper way to attributions that can be compared with each other."""
        ...

    def attribute(self, trained: TrainedText, subject: Subject, targets: list[int], meter: Meter) -> list[Attribution]:
        """Attributions [m] of the words, for each target."""
        ...


def explain_texts(
    trained: TrainedText, texts: Sequence[str], spec: ExplanationSpec, *, progress: Progress
) -> Explanation:
    """Explains each text's targets as `spec` asks. Each text is explained by itself, whatever it comes with.

    Args:
        trained: the serving network, in eval mode.
        texts: at least one.
        spec: method, targets, parameters, seed.
        progress: called between batches with (done, total) evaluations; may raise `Stopped`.

    Raises:
        Invalid: a target is no class of this network, the method does not explain texts, a parameter belongs to
            another method, or a text has no word that the network reads.
        Stopped: `progress` asked to end.

    The network is left as found, also on error. Safe to call from several threads at once on one network.
    """
    explainer = _explainer(trained, spec)
    asked = asked_classes(spec, trained.classes)
    _refuse_empty(trained, texts)
    judge = TextJudge(explainer, spec.seed) if spec.evaluate else None
    cost = explainer.cost(1 if asked is None else len(asked)) + (judge.cost if judge else 0)
    meter = Meter(len(texts) * cost, progress)
    items: list[ItemExplanation] = []
    for i, text in enumerate(texts):
        subject = subject_of(trained, text)
        meter.count(forward=1)
        targets = [int(subject.logits.argmax())] if asked is None else asked
        attributed = explainer.attribute(trained, subject, targets, meter)
        quality = judge.judge(trained, subject, attributed[0], meter) if judge else None
        meter.advance((i + 1) * cost)
        items.append(_item(trained, explainer, subject, attributed, quality))
    return Explanation(
        method=spec.method,
        explainer=explainer.name,
        fallback=None,
        parameters=explainer.parameters,
        baseline=explainer.baseline(trained),
        evaluations={"forward": meter.forward, "backward": meter.backward},
        warnings=warnings_of(items) + (_unjudged(items) if judge else []),
        items=items,
    )


def _unjudged(items: Sequence[ItemExplanation]) -> list[dict[str, str]]:
    message = f"Texts of fewer than {LEAST_WORDS} words are not judged: an order of so few says nothing."
    return [{"code": "too-few-words", "message": message}] if any(item.quality is None for item in items) else []


def _explainer(trained: TrainedText, spec: ExplanationSpec) -> TextExplainer:
    refuse_foreign_method(spec, METHODS["text"], "Texts")
    refuse_foreign_parameters(spec, METHODS["text"])
    asked = spec.parameters
    if spec.method == "shap":
        if asked.explainer not in (None, "partition"):
            fault = Fault(("parameters", "explainer"), "unsupported-explainer", "Texts are explained by partition.")
            raise Invalid("The explainer does not explain texts.", errors=[fault])
        return TextPartition(asked)
    if spec.method == "lime":
        return TextLime(asked, spec.seed)
    if spec.method == "occlusion":
        return TextOcclusion(asked, trained.max_tokens)
    return IntegratedGradients(asked, len(trained.classes))


def _refuse_empty(trained: TrainedText, texts: Sequence[str]) -> None:
    faults = [
        Fault(("inputs", i), "empty-text", "The text has no word that the network reads.")
        for i, text in enumerate(texts)
        if not words_of(text, trained.encode([text]).offsets[0])
    ]
    if faults:
        raise Invalid("A text is empty.", errors=faults)


def _item(
    trained: TrainedText,
    explainer: TextExplainer,
    subject: Subject,
    attributed: list[Attribution],
    quality: dict[str, Any] | None,
) -> ItemExplanation:
    prediction = as_prediction(subject.logits, subject.probabilities, trained.classes)
    targets = [_target(trained, explainer, subject, target) for target in attributed]
    return ItemExplanation(prediction, targets, quality, truncated=subject.truncated)


def _target(trained: TrainedText, explainer: TextExplainer, subject: Subject, target: Attribution) -> TargetExplanation:
    answers, tolerance = subject.probabilities, ADDITIVITY_TOLERANCE
    if explainer.space != "probability":
        answers = margins(trained, torch.from_numpy(subject.logits)[None])[0].double().numpy()
    output = float(answers[target.class_index])
    if explainer.space != "probability" and target.base_value is not None:
        tolerance = float(tolerances(np.array(output - target.base_value)))
    return TargetExplanation(
        label=trained.classes[target.class_index],
        space=explainer.space,
        base_value=target.base_value,
        output_value=output,
        additivity=additivity(target.summed_value, output, tolerance),
        fit=target.fit,
        attributions=[
            {
                "token": subject.text[word.start : word.end],
                "start": word.start,
                "end": word.end,
                "attribution": float(value),
            }
            for word, value in zip(subject.words, target.values, strict=True)
        ],
        layer=None,
        degenerate=target.degenerate,
    )
