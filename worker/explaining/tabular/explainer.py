"""Explains rows by any method: the one door that the runtime uses."""

from collections.abc import Sequence
from typing import Any

from service.errors import Fault, Invalid
from worker.data.table import Table
from worker.estimators.trained_table import TrainedTable
from worker.explaining.asking import Asked, asked_classes
from worker.explaining.meter import Meter, Progress
from worker.explaining.results import Explanation, ItemExplanation, Space, TargetExplanation, additivity, warnings_of
from worker.explaining.serving import as_prediction
from worker.explaining.tabular.background import Background
from worker.explaining.tabular.choosing import RowExplainer, choose_shap, seen_columns
from worker.explaining.tabular.importance import REPEATS, PermutationImportance
from worker.explaining.tabular.judging import RowJudge
from worker.explaining.tabular.lime import Lime
from worker.explaining.tabular.parameters import RowParameters
from worker.explaining.tabular.question import Floats, Question, RowAttribution, in_space
from worker.explaining.tabular.raw_values import raw_values
from worker.explaining.tabular.row_warnings import row_warnings
from worker.explaining.tabular.truth import Truth, known_truth


def explain_rows(
    trained: TrainedTable, table: Table, spec: Asked, *, progress: Progress, targets: Truth | None = None
) -> Explanation:
    """Explains each row's targets as `spec` asks; by `permutation` all rows together, in `summary`.

    Args:
        trained: the serving model.
        table: at least one row, with the model's columns.
        spec: method, targets, parameters, seed.
        progress: called between batches with (done, total) evaluations; may raise `Stopped`.
        targets: [n] for `permutation`: what each row's target really is.

    Raises:
        Invalid: a target is no class of this model, a parameter belongs to another method or is too small for this
            model, or `permutation` lacks what it needs.
        ExplanationUnsupported: the explainer asked for cannot explain this model.
        Stopped: `progress` asked to end.

    The model is left as found. Safe to call from several threads at once on one model.
    """
    asked = RowParameters.of(spec)
    classes = _asked(trained, spec)
    encoded = trained.encode(table)
    outputs = trained.outputs(encoded)
    rows = [[int(best)] if classes is None else classes for best in outputs.argmax(axis=1)]
    question = Question(trained, table, encoded, outputs, rows)
    if spec.method == "permutation":
        measure = PermutationImportance(asked.repeats or REPEATS, spec.seed)
        return _importance(question, targets, measure, progress)
    return _explained(question, asked, spec, progress)


def _asked(trained: TrainedTable, spec: Asked) -> list[int] | None:
    """The classes asked for; None for the predicted one, or the value."""
    if not isinstance(spec.targets, str) and (spec.method == "permutation" or not trained.classes):
        message = "Labels can be asked for of a classifier, by shap or lime."
        raise Invalid("There are no labels to explain here.", errors=[Fault(("targets",), "no-labels", message)])
    if spec.method == "permutation" and spec.evaluate:
        message = "Permutation importance has no attributions of single rows that could be judged."
        raise Invalid("Permutation importance is not evaluated.", errors=[Fault(("evaluate",), "not-judged", message)])
    return asked_classes(spec, trained.classes)


def _importance(
    question: Question, truth: Truth | None, measure: PermutationImportance, progress: Progress
) -> Explanation:
    trained = question.trained
    rows, known = known_truth(trained, truth)
    meter = Meter(measure.cost(len(trained.schema), len(rows)), progress)
    summary = measure.measure(trained, question.encoded[rows], known, meter)
    unknown = len(question.encoded) - len(rows)
    message = f"{unknown} rows have no target that the model knows; they were left out."
    return Explanation(
        method="permutation",
        explainer="permutation",
        fallback=None,
        parameters={"repeats": measure.repeats},
        baseline=None,
        evaluations={"forward": meter.forward, "backward": 0},
        warnings=[{"code": "unknown-targets", "message": message}] if unknown else [],
        items=[ItemExplanation(one, [], None) for one in row_predictions(trained, question.outputs)],
        summary=summary,
    )


def _explained(question: Question, asked: RowParameters, spec: Asked, progress: Progress) -> Explanation:
    trained = question.trained
    explainer: RowExplainer
    if spec.method == "lime":
        explainer, fallback = Lime(Background.of(trained), asked, spec.seed), None
    else:
        explainer, fallback = choose_shap(trained, asked, spec.seed)
    background = Background.of(trained, asked.background_rows)
    judge = RowJudge(explainer, background, spec.seed) if spec.evaluate else None
    columns = seen_columns(trained)
    cost = explainer.cost(columns, len(question.targets[0])) + (judge.cost(columns) if judge else 0)
    meter = Meter(len(question.table) * cost, progress)
    space = explainer.space(question)
    found = explainer.attribute(question, meter)
    quality = judge.judge(question, found, meter, space=space) if judge else [None] * len(found)
    items = _items(question, space, found, quality)
    return Explanation(
        method=spec.method,
        explainer=explainer.name,
        fallback=fallback,
        parameters=explainer.parameters,
        baseline=explainer.baseline,
        evaluations={"forward": meter.forward, "backward": meter.backward},
        warnings=warnings_of(items) + row_warnings(items, found),
        items=items,
    )


def _items(
    question: Question,
    space: Space,
    found: list[list[RowAttribution]],
    quality: Sequence[dict[str, Any] | None],
) -> list[ItemExplanation]:
    trained = question.trained
    answers = in_space(trained, question.outputs, space)
    predictions = row_predictions(trained, question.outputs)
    cells = [raw_values(question.table, column) for column in trained.schema]
    items = []
    for place, (attributions, judged) in enumerate(zip(found, quality, strict=True)):
        targets = []
        for one in attributions:
            described = [
                {"feature": column.name, "value": values[place], "attribution": float(share)}
                for column, values, share in zip(trained.schema, cells, one.values, strict=True)
            ]
            targets.append(_target(trained, space, one, float(answers[place, one.class_index]), described))
        items.append(ItemExplanation(predictions[place], targets, judged))
    return items


def _target(
    trained: TrainedTable, space: Space, one: RowAttribution, output: float, described: list[dict[str, Any]]
) -> TargetExplanation:
    checked = additivity(one.summed_value, output, one.tolerance)
    if checked is not None and one.standard_error is not None:
        checked["standard_error"] = one.standard_error
    return TargetExplanation(
        label=trained.classes[one.class_index] if trained.classes else None,
        space=space,
        base_value=one.base_value,
        output_value=output,
        additivity=checked,
        fit=one.fit,
        attributions=described,
        layer=None,
        degenerate=one.degenerate,
    )


def row_predictions(trained: TrainedTable, outputs: Floats) -> list[dict[str, Any]]:
    """What serving answers for [n, c] outputs: `{"label", "probability", "probabilities"}`, or `{"value"}`."""
    if trained.problem == "tabular_regression":
        return [{"value": float(value)} for value in outputs[:, 0]]
    pairs = zip(outputs, trained.probabilities(outputs), strict=True)
    return [as_prediction(row, probabilities, trained.classes) for row, probabilities in pairs]
