"""The models that the tests of this folder ask, each by what it is trained on and how."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.explaining.tables import dense, interacting, mirrored, mixed, planted, three_classes
from tests.e2e.explaining.texts import texts


@dataclass(frozen=True)
class Recipe:
    """How a model comes about: a file, what is said of it at the upload, and the job's spec."""

    rows: Callable[[], bytes]
    form: dict[str, str]
    spec: dict[str, Any] = field(default_factory=dict)


LINEAR = {"kind": "linear"}
REGRESSION = {"problem": "tabular_regression"}
TREES: dict[str, Any] = {"training": {"epochs": 15, "learning_rate": 0.3}, "early_stopping": None}
CLASSES = '{"note": "text", "flag": "ignore", "score": "ignore"}'
RECIPES = {
    "linear": Recipe(planted, {"target": "y", "columns": '{"label": "ignore"}'}, {**REGRESSION, "estimator": LINEAR}),
    "logistic": Recipe(
        planted, {"target": "label", "columns": '{"y": "ignore"}'}, {"estimator": {"kind": "linear", "l2": 0.01}}
    ),
    "dense": Recipe(dense, {}, {**REGRESSION, "estimator": LINEAR}),
    "interacting": Recipe(
        interacting, {}, {**REGRESSION, **TREES, "estimator": {"kind": "gradient_boosting", "max_depth": 4}}
    ),
    "network": Recipe(
        three_classes,
        {},
        {
            "estimator": {"kind": "mlp", "hidden_sizes": [16], "dropout": 0.0},
            "training": {"epochs": 8, "batch_size": 32, "learning_rate": 0.02},
            "early_stopping": None,
        },
    ),
    "mirrored": Recipe(
        mirrored,
        {"columns": '{"pair": "ignore"}'},
        {**REGRESSION, "estimator": LINEAR, "split": {"strategy": "group", "group_column": "pair"}},
    ),
    "boosted": Recipe(
        mixed,
        {"target": "size", "columns": CLASSES},
        {**TREES, "estimator": {"kind": "gradient_boosting", "max_depth": 3}},
    ),
    "boosted flag": Recipe(
        mixed,
        {"target": "flag", "columns": '{"note": "text", "size": "ignore", "score": "ignore"}'},
        {**TREES, "estimator": {"kind": "gradient_boosting", "max_depth": 3}},
    ),
    "dart": Recipe(
        mixed,
        {"target": "size", "columns": CLASSES},
        {**TREES, "estimator": {"kind": "gradient_boosting", "booster": "dart", "rate_drop": 0.3, "max_depth": 3}},
    ),
    "forest": Recipe(
        mixed,
        {"target": "score", "columns": '{"note": "text", "size": "ignore", "flag": "ignore"}'},
        {**REGRESSION, "estimator": {"kind": "random_forest", "trees": 20, "max_depth": 5}},
    ),
    "texts": Recipe(
        texts,
        {"modality": "text"},
        {
            "backbone": {"trainable": "head"},
            "training": {"epochs": 8, "batch_size": 16, "learning_rate": 0.01, "max_tokens": 24},
            "early_stopping": None,
        },
    ),
}
