"""Which changes help against which verdict, in the order in which to try them."""

from pydantic import ValidationError

from service.specs.backbones import CATALOGUE
from service.specs.diagnosis import Remedy, Verdict
from service.specs.jobs import JobSpec
from service.specs.merge_patch import merge_patch, patch_between
from service.specs.search_space import applied, backbones_of
from service.specs.space_faults import space_faults
from worker.diagnosing import changes
from worker.diagnosing.changes import Patch
from worker.diagnosing.course import Course
from worker.diagnosing.kinds import KINDS
from worker.diagnosing.measures import Measures
from worker.diagnosing.thresholds import MEMORISED

SLOW_SKILL = 0.2
"""A train skill that low after `SLOW_EPOCHS` comes from steps that are too small; a higher learning rate moves
training away from underfitting (Smith 2018, "A disciplined approach to neural network hyper-parameters"). The
numbers are ours."""
SLOW_EPOCHS = 5
FEW_PER_CLASS = 50
"""Train samples a class below which a pretrained backbone is better left as it is: fine-tuned on few samples, large
networks overfit (Yosinski et al. 2014, "How transferable are features in deep neural networks?"). The number is
ours."""


AGAINST: dict[Verdict, tuple[str, ...]] = {
    "good_fit": (),
    "overfitting": (
        "stronger-augmentation",
        "train-fewer-layers",
        "more-dropout",
        "shallower-trees",
        "heavier-leaves",
        "fewer-units",
        "stronger-penalty",
        "more-weight-decay",
        "label-smoothing",
        "pretrained-weights",
        "smaller-backbone",
        "more-stochastic-depth",
        "decay-lower-layers",
    ),
    "underfitting": (
        "less-regularisation",
        "train-more-layers",
        "boosted-trees",
        "deeper-trees",
        "more-units",
        "higher-learning-rate",
        "larger-backbone",
        "train-longer",
        "more-trees",
        "class-weights",
    ),
    "undertrained": ("train-longer", "higher-learning-rate"),
    "diverged": ("lower-learning-rate", "gradient-clipping", "warm-up"),
    "unstable": ("lower-learning-rate", "larger-batch", "warm-up", "gradient-clipping"),
    "leakage_suspected": ("stratified-split",),
    "not_better_than_baseline": (
        "class-weights",
        "higher-learning-rate",
        "less-regularisation",
        "train-more-layers",
        "boosted-trees",
        "deeper-trees",
        "more-units",
        "pretrained-weights",
        "larger-backbone",
    ),
}
AGAINST_MEMORISING = (
    "pretrained-weights",
    "stronger-augmentation",
    "train-fewer-layers",
    "shallower-trees",
    "heavier-leaves",
    "fewer-units",
    "stronger-penalty",
    "more-weight-decay",
)


def remedies_for(verdict: Verdict, course: Course, measures: Measures | None) -> list[Remedy]:
    """What would help, likeliest first; every patch makes a valid spec of the job's, and another one."""
    remedies = (_remedy(name, course) for name in _order(verdict, course, measures))
    return [remedy for remedy in remedies if remedy is not None]


def _order(verdict: Verdict, course: Course, measures: Measures | None) -> list[str]:
    ids = AGAINST[verdict]
    if measures is None:
        return [*ids]
    if verdict == "not_better_than_baseline" and min(measures.train_losses) < MEMORISED * measures.baseline.loss:
        return [*AGAINST_MEMORISING]
    if verdict == "undertrained" and measures.train_skill < SLOW_SKILL and len(course.epochs) >= SLOW_EPOCHS:
        return [*reversed(ids)]
    if verdict == "overfitting" and measures.train.samples < FEW_PER_CLASS * course.classes and course.spec.backbone:
        return _with_first(["train-fewer-layers"], ids)
    if verdict in ("not_better_than_baseline", "underfitting"):
        return _with_first(_obvious(course), ids)
    return [*ids]


def _with_first(first: list[str], ids: tuple[str, ...]) -> list[str]:
    return [*first, *(name for name in ids if name not in first)]


def _obvious(course: Course) -> list[str]:
    """What stands in the way of learning whatever the curves say."""
    is_fast = not course.is_fitted_at_once and (course.learning_rate or 0.0) > changes.highest_rate(course)
    backbone = course.spec.backbone
    is_random = backbone is not None and backbone.weights == "none" and backbone.trainable not in ("all", "gradual")
    return ["lower-learning-rate"] * is_fast + ["train-more-layers"] * is_random


def _remedy(name: str, course: Course) -> Remedy | None:
    kind = KINDS[name]
    change = kind.change(course)
    patch = _patch_of_job(course, change) if change is not None else None
    return Remedy(id=name, title=kind.title, rationale=kind.rationale, patch=patch) if patch else None


def _patch_of_job(course: Course, change: Patch) -> Patch | None:
    """From the job's spec to the trained one with `change`; None where a rerun would refuse that, or change nothing.

    In a tuned job the patch carries the winner's hyperparameters too, so that a rerun starts from them. What follows
    from a tuned backbone stays open: set for the winner alone, it would not suit the other choices. A null in a merge
    patch removes the field, whose default returns; the one field that has another default than null is not clipped
    by 0 either.
    """
    job, trained = course.job_spec.model_dump(), applied(course.job_spec, course.params)
    wanted = merge_patch(trained.model_dump(), change)
    if job["training"]["gradient_clip_norm"] and wanted["training"].get("gradient_clip_norm") is None:
        wanted["training"]["gradient_clip_norm"] = 0.0
    patch = patch_between(job, wanted)
    try:
        made = JobSpec.model_validate(merge_patch(job, patch))
    except ValidationError:
        return None
    if made in (course.job_spec, trained) or not _can_be_searched(made, course.pretrained_at_hand):
        return None
    return patch


def _can_be_searched(spec: JobSpec, pretrained_at_hand: frozenset[str]) -> bool:
    """Whether every trial of a tuned spec could be made, and begin."""
    if spec.tuning is None:
        return True
    if space_faults(spec):
        return False
    if spec.backbone is None:
        return True
    wanted = () if spec.backbone.weights == "none" else backbones_of(spec)
    needed = {name for name in wanted if CATALOGUE[name].has_pretrained_weights}
    return needed <= pretrained_at_hand
