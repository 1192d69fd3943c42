"""Tunelens' estimators for tables, as a job has them by default, beside scikit-learn's HistGradientBoosting.

    python -m benchmarks.tabular [--seeds 5]

Each seed deals 70/15/15, stratified by class. Gradient boosting stops after 20 rounds without a better validation
loss, at most 300, and keeps the best round. Probabilities are calibrated on validation, as a job does where it has 50
samples (wine has 27). HistGradientBoosting has its own defaults; it is fitted on train alone, and on train with
validation, as it has no use for the latter. The `mlp` is not here: it trains as networks do.

Figures are of the test split: mean ± standard deviation over the seeds; `lead` is the mean over the seeds of how much
better the estimator is than HistGradientBoosting on train, ± its standard error: more than two of them below 0 would
be beyond noise.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import train_test_split

from service.specs.estimators import GradientBoostingSpec, LinearSpec, RandomForestSpec
from service.specs.tables import ColumnSchema
from worker.data.table import Table
from worker.estimators.boosting import BestRound, BoostingPlan, RoundRecord, Samples, fit_boosted
from worker.estimators.encoding import Encoding
from worker.estimators.linear import fit_classifier, fit_regressor
from worker.estimators.losses import cross_entropy
from worker.estimators.predictors import Floats, Predictor
from worker.training.calibration import choose_temperature

DATASETS = {"breast_cancer": load_breast_cancer, "wine": load_wine, "diabetes": load_diabetes}
ROUNDS, LEARNING_RATE, PATIENCE = 300, 0.1, 20
REFERENCE = "HistGradientBoosting (train)"


@dataclass(frozen=True)
class Deal:
    """A dataset dealt by one seed; `classes` is 0 for a regression."""

    rows: dict[str, Floats]
    targets: dict[str, NDArray[Any]]
    classes: int
    seed: int

    def table(self, split: str) -> Table:
        names = [f"x{number}" for number in range(self.rows[split].shape[1])]
        schema = tuple(ColumnSchema(name=name, kind="numeric") for name in names)
        return Table(schema, dict(zip(names, self.rows[split].T, strict=True)))


def deal(name: str, seed: int) -> Deal:
    rows, targets = DATASETS[name](return_X_y=True)
    classes = 0 if name == "diabetes" else len(set(targets))

    def cut(rows: Floats, targets: NDArray[Any], share: float) -> Any:
        strata = targets if classes else None
        return train_test_split(rows, targets, test_size=share, random_state=seed, stratify=strata)

    rest, test, rest_targets, test_targets = cut(rows, targets, 0.15)
    train, validation, train_targets, validation_targets = cut(rest, rest_targets, 0.15 / 0.85)
    return Deal(
        {"train": train, "validation": validation, "test": test},
        {"train": train_targets, "validation": validation_targets, "test": test_targets},
        classes,
        seed,
    )


def linear(given: Deal) -> Floats:
    encoding = Encoding.fit(given.table("train"), standardise=True, one_hot=True)
    encoded, targets, spec = encoding.encode(given.table("train")), given.targets["train"], LinearSpec(kind="linear")
    fitted = (
        fit_classifier(encoded, targets, spec, classes=given.classes)
        if given.classes
        else fit_regressor(encoded, targets, spec)
    )
    return calibrated_logits(fitted.predictor, given, encoding)


def trees(spec: GradientBoostingSpec | RandomForestSpec) -> Callable[[Deal], Floats]:
    def answer(given: Deal) -> Floats:
        encoding = Encoding.fit(given.table("train"), standardise=False, one_hot=False)
        encoded = {split: encoding.encode(given.table(split)) for split in given.rows}
        train, validation = (Samples(encoded[split], given.targets[split]) for split in ("train", "validation"))
        return calibrated_logits(boosted(spec, given, train, validation), given, encoding)

    return answer


def calibrated_logits(predictor: Predictor, given: Deal, encoding: Encoding) -> Floats:
    """Outputs on test, over the temperature that a job would choose on validation."""
    outputs = {split: predictor.outputs(encoding.encode(given.table(split))) for split in ("validation", "test")}
    if not given.classes:
        return outputs["test"]
    tensors = torch.from_numpy(outputs["validation"]), torch.from_numpy(given.targets["validation"])
    return outputs["test"] / choose_temperature(*tensors).value


def boosted(spec: Any, given: Deal, train: Samples, validation: Samples) -> Predictor:
    rounds = 1 if isinstance(spec, RandomForestSpec) else ROUNDS
    plan = BoostingPlan(spec, given.classes, rounds, LEARNING_RATE, seed=given.seed)
    best, losses = BestRound(spec), [np.inf]

    def on_round(record: RoundRecord) -> bool:
        if record.validation_loss < min(losses):
            best.see(record)
        losses.append(record.validation_loss)
        return record.round - best.number < PATIENCE

    booster = fit_boosted(plan, train, validation=validation, on_round=on_round)
    return best.model(booster, classes=given.classes)


def reference(*splits: str) -> Callable[[Deal], Floats]:
    def answer(given: Deal) -> Floats:
        rows = np.concatenate([given.rows[split] for split in splits])
        targets = np.concatenate([given.targets[split] for split in splits])
        if not given.classes:
            fitted = HistGradientBoostingRegressor(random_state=given.seed).fit(rows, targets)
            return fitted.predict(given.rows["test"])[:, None]
        fitted = HistGradientBoostingClassifier(random_state=given.seed).fit(rows, targets)
        return np.log(np.maximum(fitted.predict_proba(given.rows["test"]), 1e-300))

    return answer


ESTIMATORS: dict[str, Callable[[Deal], Floats]] = {
    "linear": linear,
    "gradient_boosting": trees(GradientBoostingSpec(kind="gradient_boosting")),
    "gradient_boosting, dart": trees(GradientBoostingSpec(kind="gradient_boosting", booster="dart")),
    "random_forest": trees(RandomForestSpec(kind="random_forest")),
    REFERENCE: reference("train"),
    "HistGradientBoosting (train + validation)": reference("train", "validation"),
}


def measures(outputs: Floats, given: Deal) -> dict[str, float]:
    """Each the larger the better."""
    targets = given.targets["test"]
    if given.classes:
        accuracy = float((outputs.argmax(1) == targets).mean())
        return {"accuracy": accuracy, "-log_loss": -cross_entropy(outputs, targets)}
    error = float(((outputs[:, 0] - targets) ** 2).mean())
    return {"r2": 1.0 - error / float(targets.var()), "-rmse": -(error**0.5)}


def figures(name: str, seeds: int) -> dict[str, dict[str, Floats]]:
    """Test figures of each estimator, by measure, each [seeds]."""
    deals = [deal(name, seed) for seed in range(seeds)]
    found: dict[str, dict[str, Floats]] = {}
    for estimator, answer in ESTIMATORS.items():
        by_seed = [measures(answer(given), given) for given in deals]
        found[estimator] = {key: np.array([one[key] for one in by_seed]) for key in by_seed[0]}
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    seeds: int = parser.parse_args().seeds
    for name in DATASETS:
        found = figures(name, seeds)
        for measure in found[REFERENCE]:
            print(f"\n{name}, {measure}, {seeds} seeds")
            for estimator, by_measure in found.items():
                values, leads = by_measure[measure], by_measure[measure] - found[REFERENCE][measure]
                error = leads.std(ddof=1) / seeds**0.5
                print(
                    f"  {estimator:<42} {values.mean():9.4f} ± {values.std(ddof=1):.4f}"
                    f"   lead {leads.mean():+.4f} ± {error:.4f}"
                )


if __name__ == "__main__":
    main()
