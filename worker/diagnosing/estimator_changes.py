"""Single changes of the estimators of tables, as `worker.diagnosing.changes` for networks.

What the parameters of trees do: Chen and Guestrin 2016, and XGBoost's notes on parameter tuning.
"""

from typing import Any

from service.specs.estimators import (
    Estimator,
    GradientBoostingSpec,
    LinearSpec,
    MlpSpec,
    RandomForestSpec,
)
from worker.diagnosing.course import Course

Patch = dict[str, Any]
SMALLEST_LAYER, LARGEST_LAYER = 8, 1024
DEEPEST_BOOSTED, DEEPEST_FOREST = 10, 24
MOST_LEAF_WEIGHT, STRONG_L2 = 50.0, 100.0
MOST_TREES = 1000
USUAL_ROUNDS, USUAL_RATE, USUAL_PATIENCE = 300, 0.1, 20


def fewer_units(course: Course) -> Patch | None:
    """Half of the units of every hidden layer, eight at least."""
    spec = course.spec.estimator
    if not isinstance(spec, MlpSpec):
        return None
    sizes = [max(min(size, SMALLEST_LAYER), size // 2) for size in spec.hidden_sizes]
    return _patch(hidden_sizes=sizes) if sizes != spec.hidden_sizes else None


def more_units(course: Course) -> Patch | None:
    """Twice the units of every hidden layer, up to 1,024; a first layer where there is none."""
    spec = course.spec.estimator
    if not isinstance(spec, MlpSpec):
        return None
    sizes = [max(size, min(LARGEST_LAYER, 2 * size)) for size in spec.hidden_sizes] or [128]
    return _patch(hidden_sizes=sizes) if sizes != spec.hidden_sizes else None


def shallower_trees(course: Course) -> Patch | None:
    """Two levels less, one at least."""
    spec = course.spec.estimator
    if not isinstance(spec, GradientBoostingSpec | RandomForestSpec) or spec.max_depth == 1:
        return None
    return _patch(max_depth=max(1, spec.max_depth - 2))


def deeper_trees(course: Course) -> Patch | None:
    """Two levels more, while trees are not deep."""
    spec = course.spec.estimator
    if not isinstance(spec, GradientBoostingSpec | RandomForestSpec):
        return None
    deepest = DEEPEST_BOOSTED if isinstance(spec, GradientBoostingSpec) else DEEPEST_FOREST
    return _patch(max_depth=min(deepest, spec.max_depth + 2)) if spec.max_depth < deepest else None


def heavier_leaves(course: Course) -> Patch | None:
    """Five times the weight that a leaf needs, five at least."""
    spec = course.spec.estimator
    if not isinstance(spec, GradientBoostingSpec | RandomForestSpec) or spec.min_child_weight >= MOST_LEAF_WEIGHT:
        return None
    return _patch(min_child_weight=max(5.0, spec.min_child_weight * 5))


def stronger_penalty(course: Course) -> Patch | None:
    """Ten times the penalty, ten at least."""
    spec = course.spec.estimator
    if spec is None or isinstance(spec, MlpSpec) or spec.l2 >= STRONG_L2:
        return None
    return _patch(l2=max(10.0, spec.l2 * 10))


def more_trees(course: Course) -> Patch | None:
    """Twice as many in a forest: their mean is steadier, and never fits worse."""
    spec = course.spec.estimator
    if not isinstance(spec, RandomForestSpec) or spec.trees >= MOST_TREES:
        return None
    return _patch(trees=min(MOST_TREES, 2 * spec.trees))


def boosted_trees(course: Course) -> Patch | None:
    """Instead of a linear model, with the usual number of rounds."""
    if not isinstance(course.spec.estimator, LinearSpec):
        return None
    training = {"epochs": USUAL_ROUNDS, "learning_rate": USUAL_RATE}
    spec = GradientBoostingSpec(kind="gradient_boosting")
    patience = {"early_stopping": {"patience": USUAL_PATIENCE}} if course.spec.early_stopping else {}
    return {"estimator": spec.model_dump(), "training": training} | patience


def freed(spec: Estimator) -> Patch:
    """The fields of an estimator that hold it back strongly, at milder values."""
    if isinstance(spec, MlpSpec):
        return {"dropout": 0.2} if spec.dropout >= 0.5 else {}
    fields: Patch = {"l2": 1.0} if spec.l2 > 1.0 else {}
    if isinstance(spec, GradientBoostingSpec | RandomForestSpec) and spec.min_child_weight > 1.0:
        fields["min_child_weight"] = 1.0
    if isinstance(spec, GradientBoostingSpec):
        fields |= {name: 0.0 for name in ("l1", "min_split_loss") if getattr(spec, name) > 0.0}
    return fields


def _patch(**fields: object) -> Patch:
    return {"estimator": fields}
