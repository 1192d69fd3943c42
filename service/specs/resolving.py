"""What a job spec leaves open, decided by the dataset: the stored spec then says all that will happen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from service.specs.backbones import CATALOGUE, DEFAULT_BACKBONES
from service.specs.base import Spec
from service.specs.datasets import Modality
from service.specs.estimators import GradientBoostingSpec
from service.specs.jobs import NETWORK_PROBLEMS, BackboneSpec, EarlyStoppingSpec, JobSpec, Problem, TrainingSpec

BOOSTING_ROUNDS, BOOSTING_RATE, BOOSTING_PATIENCE = 300, 0.1, 20
REGRESSION_L2 = 0.001
"""Just enough for columns that depend on each other: of values a squared penalty biases every coefficient."""
ONE_EPOCH = ("linear", "random_forest")
TEXT_EPOCHS, TEXT_RATE = 5, 5e-5
"""Of pretrained transformers; Devlin et al. 2019, appendix A.3, take 2 to 4 epochs at 2e-5, 3e-5 or 5e-5."""
DERIVED: dict[tuple[str, str], list[tuple[str, str]]] = {
    ("tuning", "strategy"): [("tuning", "sampler")],
    ("tuning", "metric"): [("tuning", "direction"), ("early_stopping", "monitor")],
}
"""Field → the fields that `resolve` decides by it, and that have to go with it."""
Part = TypeVar("Part", bound=Spec)


@dataclass(frozen=True)
class DatasetFacts:
    """What specs depend on.

    Attributes:
        problems: what can be learned from it, the default first.
        samples: how many.
        median_side: pixels, the smaller of the images' median width and height.
        has_predefined_split: whether the archive names train, validation and test folders.
        longest_tokens: of the texts, by the default backbone's tokenizer.
    """

    problems: tuple[Problem, ...] = ("image_classification",)
    samples: int = 0
    median_side: int = 0
    has_predefined_split: bool = False
    longest_tokens: int = 0

    @classmethod
    def of(cls, modality: Modality, profile: Mapping[str, Any]) -> "DatasetFacts":
        """From the profile of a validated dataset."""
        if modality == "tabular":
            return cls(problems=tuple(profile["target"]["problems"]), samples=profile["rows"])
        if modality == "text":
            longest = int(profile["longest_tokens"])
            return cls(problems=("text_classification",), samples=profile["samples"], longest_tokens=longest)
        return cls(
            samples=profile["samples"],
            median_side=min(profile["median_width"], profile["median_height"]),
            has_predefined_split=profile["has_predefined_split"],
        )


def resolve(spec: JobSpec, facts: DatasetFacts) -> JobSpec:
    """The same request with everything decided that depends on the dataset.

    What is `auto` is decided by each trial, on its own device; what follows from a tuned field is left open too:
    `search_space.trial_spec` decides it for each trial.

    Raises:
        ValidationError: what was decided does not go with what was asked for.
    """
    problem = spec.problem or facts.problems[0]
    changes: dict[str, Any] = {
        "problem": problem,
        "split": _set(spec.split, strategy=spec.split.strategy or _strategy(facts)),
        "tuning": spec.tuning.resolve() if spec.tuning else None,
        "augmentation": spec.augmentation.resolve(problem),
    }
    if problem in NETWORK_PROBLEMS:
        changes |= _network(spec, problem, facts)
    else:
        changes |= _table(spec, problem)
    early: EarlyStoppingSpec | None = changes.get("early_stopping", spec.early_stopping)
    if spec.tuning and early:
        changes["early_stopping"] = _set(early, monitor=spec.tuning.metric)
    resolved = spec.model_copy(update=changes)
    JobSpec.model_validate(resolved.model_dump())
    return resolved


def without_derived(spec: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved spec's document without what follows from a field that `patch` changes, unless it sets that too."""
    kept = {name: dict(part) if isinstance(part, dict) else part for name, part in spec.items()}
    for (part, source), fields in DERIVED.items():
        changed = _named(patch, part).get(source)
        if changed is not None and changed != _named(spec, part).get(source):
            for other, name in fields:
                if name not in _named(patch, other):
                    _named(kept, other).pop(name, None)
    return kept


def _named(document: Mapping[str, Any], part: str) -> dict[str, Any]:
    """A part of a document that may be missing, null or no object."""
    found = document.get(part)
    return found if isinstance(found, dict) else {}


def _strategy(facts: DatasetFacts) -> str:
    return "predefined" if facts.has_predefined_split else "stratified"


def _network(spec: JobSpec, problem: Problem, facts: DatasetFacts) -> dict[str, Any]:
    asked = spec.backbone or BackboneSpec()
    tuned = spec.tuning.space if spec.tuning else {}
    if "name" not in asked.model_fields_set:
        asked = _set(asked, name=DEFAULT_BACKBONES[problem])
    training = _of_texts(spec.training, asked) if problem == "text_classification" else spec.training
    entry = CATALOGUE.get(asked.name)
    if entry is None or "backbone.name" in tuned:
        return {"backbone": asked, "training": training}
    weights = asked.weights or ("pretrained" if entry.has_pretrained_weights else "none")
    if problem == "image_classification":
        size = training.image_size or default_image_size(asked.name, facts.median_side)
        training = _set(training, image_size=size)
    else:
        most = training.max_tokens or tokens_needed(facts)
        training = _set(training, max_tokens=min(most, entry.input_size))
    return {"backbone": _set(asked, weights=weights), "training": training}


def _of_texts(training: TrainingSpec, asked: BackboneSpec) -> TrainingSpec:
    """A pretrained body takes few and small steps, a new head as large ones as ever; SGD has other rates."""
    if asked.trainable == "head" or asked.weights == "none":
        return training
    training = _default(training, epochs=TEXT_EPOCHS)
    if training.optimizer == "sgd":
        return training
    return _set(training, backbone_learning_rate=training.backbone_learning_rate or TEXT_RATE)


def _table(spec: JobSpec, problem: Problem) -> dict[str, Any]:
    estimator = spec.estimator or GradientBoostingSpec(kind="gradient_boosting")
    training, early = spec.training, spec.early_stopping
    if estimator.kind == "linear" and problem == "tabular_regression":
        estimator = _default(estimator, l2=REGRESSION_L2)
    if estimator.kind in ONE_EPOCH:
        training = _set(training, epochs=1)
    if estimator.kind == "gradient_boosting":
        training = _default(training, epochs=BOOSTING_ROUNDS, learning_rate=BOOSTING_RATE)
        early = _default(early, patience=BOOSTING_PATIENCE) if early else None
    return {"estimator": estimator, "training": training, "early_stopping": early}


def default_image_size(backbone: str, median_side: int) -> int:
    """The backbone's own size, or less where the images are smaller: the next multiple of 32, 96 at least."""
    entry = CATALOGUE[backbone]
    if entry.fixed_input_size or entry.source == "builtin":
        return entry.input_size
    return min(entry.input_size, max(96, -(-median_side // 32) * 32))


def tokens_needed(facts: DatasetFacts) -> int:
    """As many as the longest text has, rounded up to a multiple of 8."""
    return max(8, -(-facts.longest_tokens // 8) * 8)


def _default(part: Part, **values: object) -> Part:
    """With values for the fields that were not set."""
    return _set(part, **{name: value for name, value in values.items() if name not in part.model_fields_set})


def _set(part: Part, **values: object) -> Part:
    return part.model_copy(update=values)
