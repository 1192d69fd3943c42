"""Gradient boosting and random forests by XGBoost (Chen and Guestrin 2016), round by round.

A fit can go on from the bytes of an earlier one and comes to the same model, bit for bit. XGBoost draws rows and
columns from generators that live in its updaters and are not part of a saved model; so every round begins with fresh
updaters (`load_config`) and with a seed that follows from the trial's seed and the round (`seed_per_iteration`).

Losses are ours, from margins that XGBoost keeps for each matrix and adds the newest trees to: a round costs the same
early and late. DART is the exception: each round changes the weight of earlier trees, so all are summed anew, and a
fit of r rounds costs in the order of r² predictions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from service.specs.estimators import GradientBoostingSpec, RandomForestSpec
from worker.estimators.boosted import Boosted
from worker.estimators.losses import cross_entropy, squared_error
from worker.estimators.predictors import Floats

TreeSpec = GradientBoostingSpec | RandomForestSpec


@dataclass(frozen=True)
class Samples:
    """Encoded rows with their targets.

    Attributes:
        encoded: [n, d], NaN where missing.
        targets: [n] class indices (int64) or values (float64).
        weights: [n] in the fit, for example to balance classes; None is 1. Reported losses are not weighted.
    """

    encoded: Floats
    targets: NDArray[Any]
    weights: Floats | None = None


@dataclass(frozen=True)
class BoostingPlan:
    """What is fitted, and with what.

    Attributes:
        classes: how many; 0 is a regression.
        rounds: at most; a random forest has one.
        learning_rate: the step size of boosting; a random forest has none.
        device: `cpu` or `cuda:<index>`.
    """

    spec: TreeSpec
    classes: int
    rounds: int
    learning_rate: float
    seed: int
    threads: int = 1
    device: str = "cpu"


@dataclass(frozen=True)
class RoundRecord:
    """One round and the evaluation after it.

    Attributes:
        round: from 1.
        train_loss, validation_loss: cross entropy in nats, or mean squared error in squared units of the target.
        train_accuracy, validation_accuracy: None in a regression.
        validation_outputs: [n, c], as a predictor answers.
        booster: so far; further rounds change it.
    """

    round: int
    train_loss: float
    validation_loss: float
    train_accuracy: float | None
    validation_accuracy: float | None
    validation_outputs: Floats
    booster: xgboost.Booster

    def to_ubj(self) -> bytes:
        """The model so far; `fit_boosted` goes on from it."""
        return bytes(self.booster.save_raw("ubj"))


def fit_boosted(
    plan: BoostingPlan,
    train: Samples,
    *,
    validation: Samples,
    on_round: Callable[[RoundRecord], bool],
    start: bytes | None = None,
) -> xgboost.Booster:
    """Fits round after round, until `on_round` says no or `plan.rounds` are done; the booster of the last round.

    `start` is `RoundRecord.to_ubj()` of an earlier fit of the same plan and samples; None begins anew.
    """
    matrix = xgboost.QuantileDMatrix(
        train.encoded.astype(np.float32), label=train.targets, weight=train.weights, nthread=plan.threads
    )
    held_out = xgboost.DMatrix(validation.encoded.astype(np.float32), nthread=plan.threads)
    booster = xgboost.Booster(_parameters(plan), cache=[matrix, held_out])
    if start is not None:
        booster.load_model(bytearray(start))
        booster.set_param(_parameters(plan))
    configuration = booster.save_config()
    for number in range(booster.num_boosted_rounds(), plan.rounds):
        booster.load_config(configuration)
        booster.update(matrix, number)
        answers = {name: _outputs(booster, given, plan) for name, given in (("train", matrix), ("rest", held_out))}
        record = _record(number + 1, train, validation, answers=answers, booster=booster)
        if not on_round(record):
            break
    return booster


class BestRound:
    """The model of the best round so far.

    Of gbtree and forests it is the first `number` rounds of any later model. DART rescales earlier trees, so that
    there the round's own bytes are kept.
    """

    def __init__(self, spec: TreeSpec, *, number: int = 0, ubj: bytes | None = None) -> None:
        self._rescales = isinstance(spec, GradientBoostingSpec) and spec.booster == "dart"
        self.number, self.ubj = number, ubj

    def see(self, record: RoundRecord) -> None:
        """Takes `record` as the best."""
        self.number, self.ubj = record.round, record.to_ubj() if self._rescales else None

    def model(self, booster: xgboost.Booster, *, classes: int, threads: int = 1) -> Boosted:
        """The best round's model, from the `booster` of the same or a later round."""
        ubj = self.ubj if self.ubj is not None else bytes(booster[: self.number].save_raw("ubj"))
        return Boosted.from_ubj(ubj, classes=classes, threads=threads)


def _parameters(plan: BoostingPlan) -> dict[str, object]:
    spec = plan.spec
    shared: dict[str, object] = {
        "objective": {0: "reg:squarederror", 2: "binary:logistic"}.get(plan.classes, "multi:softprob"),
        "tree_method": "hist",
        "device": plan.device,
        "nthread": plan.threads,
        "seed": plan.seed,
        "seed_per_iteration": True,
        "max_depth": spec.max_depth,
        "min_child_weight": spec.min_child_weight,
        "subsample": spec.row_sample,
        "reg_lambda": spec.l2,
        "disable_default_eval_metric": True,
    }
    if plan.classes > 2:
        shared["num_class"] = plan.classes
    if isinstance(spec, RandomForestSpec):
        return shared | {
            "num_parallel_tree": spec.trees,
            "colsample_bynode": spec.column_sample,
            "learning_rate": 1.0,
        }
    if spec.booster == "dart":
        shared |= {"booster": "dart", "rate_drop": spec.rate_drop}
    return shared | {
        "colsample_bylevel": spec.column_sample,
        "learning_rate": plan.learning_rate,
        "reg_alpha": spec.l1,
        "gamma": spec.min_split_loss,
    }


def _outputs(booster: xgboost.Booster, matrix: xgboost.DMatrix, plan: BoostingPlan) -> Floats:
    return Boosted.from_margins(booster.predict(matrix, output_margin=True), classes=plan.classes)


def _record(
    number: int, train: Samples, validation: Samples, *, answers: dict[str, Floats], booster: xgboost.Booster
) -> RoundRecord:
    regression = answers["rest"].shape[1] == 1
    loss = squared_error if regression else cross_entropy
    accuracies = [
        None if regression else float((outputs.argmax(1) == samples.targets).mean())
        for outputs, samples in ((answers["train"], train), (answers["rest"], validation))
    ]
    return RoundRecord(
        round=number,
        train_loss=loss(answers["train"], train.targets),
        validation_loss=loss(answers["rest"], validation.targets),
        train_accuracy=accuracies[0],
        validation_accuracy=accuracies[1],
        validation_outputs=answers["rest"],
        booster=booster,
    )
