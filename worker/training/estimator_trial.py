"""Trials of the estimators that are not networks: linear models, boosted trees, random forests."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from service.specs.auto import settled
from service.specs.estimators import GradientBoostingSpec, LinearSpec, MlpSpec
from worker.estimators.boosting import BoostingPlan, Samples, TreeSpec
from worker.estimators.encoding import Encoding
from worker.estimators.linear import fit_classifier, fit_regressor
from worker.estimators.predictors import Floats, Predictor
from worker.estimators.table_files import save_table
from worker.training.boosting_course import BoostingCourse
from worker.training.classification import Classification, balanced_weights
from worker.training.fitting import Fitted, epoch_record
from worker.training.objective import Answered, Objective
from worker.training.order import TrialOrder, TrialOutcome
from worker.training.regression import Regression
from worker.training.reporting import Reporter
from worker.training.results import Results, finish
from worker.training.scoring import remark, scored_parts
from worker.training.subject import Description
from worker.training.table_data import TableData, columns_in_words, estimator_of, rows_of


@dataclass(frozen=True)
class _Task:
    """What is fitted to what. `encoded` is [n, d] of all rows of the dataset."""

    order: TrialOrder
    data: TableData
    objective: Objective
    encoding: Encoding
    encoded: Floats

    def samples(self, split: str) -> Samples:
        """Of a split; weights are for the fit, so only train has them."""
        indices = self.data.dealt[split]  # type: ignore[index]
        targets = self.data.targets[indices]
        return Samples(self.encoded[indices], targets, self._weights(targets) if split == "train" else None)

    def _weights(self, targets: NDArray[np.int64]) -> Floats | None:
        if not self.data.classes or self.order.spec.training.class_weights == "none":
            return None
        of_class = balanced_weights(torch.from_numpy(targets), len(self.data.classes)).double().numpy()
        weights: Floats = of_class[targets]
        return weights


def run_estimator_trial(order: TrialOrder, data: TableData, reporter: Reporter) -> TrialOutcome:
    """Encodes, fits, scores and writes; boosting continues from a checkpoint in `order.scratch` if there is one.

    Label smoothing, optimizer, schedule, batch size and precision are for networks, and are not looked at.

    Raises:
        Diverged: a loss is not finite.
        Invalid: no column can be encoded.
        Stopped: `sink.stop_requested()`; the last checkpoint stands.
        TargetInvalid: train holds one class alone.
    """
    spec = order.spec
    is_linear = estimator_of(spec).kind == "linear"
    if is_linear:
        order = replace(order, device="cpu")  # wherever its worker is
    encoding = Encoding.fit(data.train, standardise=is_linear, one_hot=is_linear)
    reporter.check()
    objective: Objective = Classification(data.classes) if data.classes else Regression()
    task = _Task(order, data, objective, encoding, encoding.encode(data.table))
    objective.warn({name: data.targets_of(name) for name in data.dealt}, reporter)
    predictor, fitted = _fit(task, reporter)
    parts: dict[str, Answered] = {}
    for name, indices in scored_parts(data.dealt).items():
        reporter.check()
        outputs = torch.from_numpy(predictor.outputs(task.encoded[indices]))
        parts[name] = Answered(outputs, torch.from_numpy(data.targets[indices]))
    scored = objective.score(parts, data.targets_of("train"), seed=spec.seed)
    remark(scored, reporter)
    trained = data.trained(spec, encoding, task.samples("train").encoded, predictor)
    trained.temperature = scored.temperature
    used = _effective(order)
    results = Results(order, objective, _describe(task), data.dealt, rows_of(data.dealt), fitted, scored, used)

    def save(folder: Path) -> list[str]:
        return save_table(trained, folder, training=dict(used))

    return finish(results, save)


def _fit(task: _Task, reporter: Reporter) -> tuple[Predictor, Fitted]:
    """Boosting reports every round; what is fitted in one call says nothing until it is over."""
    estimator = estimator_of(task.order.spec)
    assert not isinstance(estimator, MlpSpec)
    if isinstance(estimator, GradientBoostingSpec):
        return _fit_trees(task, estimator, reporter)
    with reporter.speaking():
        if isinstance(estimator, LinearSpec):
            return _fit_linear(task, estimator, reporter)
        return _fit_trees(task, estimator, reporter)


def _fit_linear(task: _Task, spec: LinearSpec, reporter: Reporter) -> tuple[Predictor, Fitted]:
    started, train = time.monotonic(), task.samples("train")
    if task.data.classes:
        classes = len(task.data.classes)
        fit = fit_classifier(train.encoded, train.targets, spec, classes=classes, weights=train.weights)
    else:
        fit = fit_regressor(train.encoded, train.targets, spec, weights=train.weights)
    if not fit.converged:
        reporter.warn("The linear model has not converged; a greater l2 helps.", l2=spec.l2)
    validation = task.samples("validation")
    on_train, on_validation = (
        torch.from_numpy(fit.predictor.outputs(samples.encoded)) for samples in (train, validation)
    )
    sums = task.objective.sums(on_train, torch.from_numpy(train.targets))
    loss, *accuracy = (sums / len(train.targets)).tolist()
    record = epoch_record(
        task.objective.evaluation(on_validation, torch.from_numpy(validation.targets)),
        epoch=1,
        train_loss=loss,
        train_accuracy=accuracy[0] if accuracy else None,
        learning_rate=0.0,
        seconds=time.monotonic() - started,
    )
    reporter.epoch(record)
    return fit.predictor, Fitted([record], 1, "epochs")


def _fit_trees(task: _Task, estimator: TreeSpec, reporter: Reporter) -> tuple[Predictor, Fitted]:
    order, spec = task.order, task.order.spec
    boosted = isinstance(estimator, GradientBoostingSpec)
    plan = BoostingPlan(
        estimator,
        classes=len(task.data.classes),
        rounds=spec.training.epochs if boosted else 1,
        learning_rate=settled(spec.training.learning_rate) if boosted else 1.0,
        seed=spec.seed,
        threads=order.threads,
        device=order.device,
    )
    train, validation = task.samples("train"), task.samples("validation")
    return BoostingCourse(order, plan, task.objective, train=train, validation=validation).run(reporter)


def _describe(task: _Task) -> Description:
    estimator = estimator_of(task.order.spec)
    fields = {name: value for name, value in estimator.model_dump().items() if name != "kind"}
    asked = ", ".join(f"{name} {value}" for name, value in fields.items())
    return Description(
        title="Table model",
        facts={
            "Estimator": f"{estimator.kind}: {asked}",
            "Input": columns_in_words(task.data.table, task.encoding),
        },
        samples="rows",
        training={name.replace("_", " ").capitalize(): f"{value:g}" for name, value in _effective(task.order).items()},
    )


def _effective(order: TrialOrder) -> dict[str, float]:
    """What was trained with, of the spec's `training`."""
    if not isinstance(order.spec.estimator, GradientBoostingSpec):
        return {}
    return {"learning_rate": settled(order.spec.training.learning_rate)}
