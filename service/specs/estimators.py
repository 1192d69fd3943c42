"""Estimators for tables: what stands in a job spec in place of a backbone."""

from typing import Annotated, Literal

from pydantic import Field

from service.specs.base import Spec

EstimatorKind = Literal["mlp", "linear", "gradient_boosting", "random_forest"]
Width = Annotated[int, Field(ge=1, le=4096)]


class MlpSpec(Spec):
    """A multilayer perceptron; categories go through embeddings. Trained by `training` as networks are.

    Fields:
        hidden_sizes: units of each hidden layer; empty is a linear network.
        embedding_size: of every categorical column; null is min(50, (categories + 1) // 2) for each.
    """

    kind: Literal["mlp"]
    hidden_sizes: list[Width] = Field(default_factory=lambda: [128], max_length=8)
    dropout: float = Field(0.3, ge=0.0, le=0.9)
    batch_norm: bool = True
    embedding_size: int | None = Field(None, ge=1, le=512)


class LinearSpec(Spec):
    """Logistic or ridge regression, fitted to convergence by scikit-learn on standardised columns.

    Fields:
        l2: weight of the squared coefficients in the objective, the loss being a sum over samples; where it is not
            set, 0.001 in a regression.
    """

    kind: Literal["linear"]
    l2: float = Field(1.0, ge=0.0, le=1e6)


class GradientBoostingSpec(Spec):
    """XGBoost's trees; `training.epochs` are its rounds, `training.learning_rate` its step size.

    Fields:
        booster: `dart` drops trees while boosting (Rashmi and Gilad-Bachrach 2015), `rate_drop` of them.
        row_sample: the share of the rows that each tree sees.
        column_sample: the share of the columns that each level of a tree may split by.
    """

    kind: Literal["gradient_boosting"]
    booster: Literal["gbtree", "dart"] = "gbtree"
    max_depth: int = Field(4, ge=1, le=16)
    min_child_weight: float = Field(1.0, ge=0.0, le=1e6)
    row_sample: float = Field(0.8, gt=0.0, le=1.0)
    column_sample: float = Field(0.5, gt=0.0, le=1.0)
    l1: float = Field(0.0, ge=0.0, le=1e6)
    l2: float = Field(1.0, ge=0.0, le=1e6)
    min_split_loss: float = Field(0.0, ge=0.0, le=1e6)
    rate_drop: float = Field(0.1, ge=0.0, le=0.9)


class RandomForestSpec(Spec):
    """XGBoost's random-forest mode: `trees` are grown side by side in one round.

    Fields:
        row_sample: the share of the rows that each tree sees.
        column_sample: the share of the columns that each split may choose from.
    """

    kind: Literal["random_forest"]
    trees: int = Field(200, ge=1, le=2000)
    max_depth: int = Field(12, ge=1, le=32)
    min_child_weight: float = Field(1.0, ge=0.0, le=1e6)
    row_sample: float = Field(0.8, gt=0.0, le=1.0)
    column_sample: float = Field(0.5, gt=0.0, le=1.0)
    l2: float = Field(1e-5, ge=0.0, le=1e6)


Estimator = Annotated[
    MlpSpec | LinearSpec | GradientBoostingSpec | RandomForestSpec,
    Field(discriminator="kind"),
]
