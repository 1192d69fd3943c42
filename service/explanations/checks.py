"""Whether a model can be explained as asked, and at what cost, before anything is accepted."""

from collections.abc import Mapping
from typing import Any

from service.answers import CSV, PNG
from service.errors import BudgetExceeded, ExplanationUnsupported, Fault, Invalid
from service.specs.backbones import CATALOGUE
from service.specs.datasets import Modality
from service.specs.explanations import MAX_SAMPLES, METHODS, ExplanationSpec
from service.specs.jobs import modality_of
from service.specs.row_explainers import Fitted, unfit_reason, usual_explainer
from service.store.tables import ModelRow

DEFAULT_EVALUATIONS = 500
DEFAULT_ROW_EVALUATIONS = 1000
DEFAULT_SAMPLES = 1000
DEFAULT_STEPS, MOST_STEPS, PROBES = 32, 7, 17
"""Of integrated gradients: steps asked for, how many times as many are taken where twice the number is tried twice (1 +
2 + 4), and the probes before them."""
BACKGROUND_ROWS = 100
MOST_INPUTS: Mapping[Modality, int] = {"image": 64, "text": 500, "tabular": 2000}
"""Samples of a dataset, or rows or texts of a file, whose attributions one answer may hold."""
MAX_EVALUATIONS = 64_000
"""Forwards of a network: as many inputs as a request may bring, each by LIME's usual number of samples."""
MAX_ROW_EVALUATIONS = 250_000_000
"""Rows sent through a model of tables: minutes of a small network or some hundred trees."""
LIME_CELLS, CELLS = 64 * 64, 32 * 32
"""Of a map of an image."""
MAX_NUMBERS = 1_000_000
"""Attributions of an answer."""
JUDGED_TIMES, JUDGED_MORE = 4, 700
"""What a judged explanation costs at most, of what it costs otherwise: times this, and this many evaluations more.

LIME comes nearest: with one sample more than a sketch's 500 it takes four sketches, 2152 evaluations, beside its own.
"""


def most_inputs(spec: ExplanationSpec, modality: Modality) -> int:
    """How many samples can be explained in one request; permutation importance has no attributions of single ones."""
    return MAX_SAMPLES if spec.method == "permutation" else MOST_INPUTS[modality]


def check_spec(spec: ExplanationSpec, model: ModelRow) -> None:
    """Whether method, parameters and targets are those of such a model.

    Raises:
        Invalid: they are not; `errors` names the fields.
        ExplanationUnsupported: they are, but not for this very model.
    """
    modality = modality_of(model.problem)
    allowed = METHODS[modality].get(spec.method)
    if allowed is None:
        fault = Fault(("body", "method"), "other-modality", f"one of: {', '.join(METHODS[modality])}")
        raise Invalid(f"{spec.method} does not explain models of {model.problem}.", errors=[fault])
    given = {name for name, value in spec.parameters if value is not None}
    faults = [
        Fault(("body", "parameters", name), "other-method", f"not a parameter of {spec.method} here")
        for name in sorted(given - allowed)
    ]
    faults += _faults_of_targets(spec, model)
    if faults:
        raise Invalid("The explanation's spec does not fit the model.", errors=faults)
    _check_support(spec, model, modality)


def check_form(form: str, spec: ExplanationSpec, model: ModelRow) -> None:
    """Raises `Invalid` where the answer cannot have that media type."""
    modality = modality_of(model.problem)
    if form == PNG and (modality == "tabular" or (not isinstance(spec.targets, str) and len(spec.targets) != 1)):
        raise Invalid("`Accept: image/png` needs one image or text, and one target.")
    if form == CSV and modality == "image":
        raise Invalid("`Accept: text/csv` is for attributions of rows and texts.")


def check_budget(spec: ExplanationSpec, model: ModelRow, inputs: int) -> None:
    """Raises `BudgetExceeded` where the explanation would take too long, or its answer be too long."""
    modality = modality_of(model.problem)
    most = MAX_ROW_EVALUATIONS if modality == "tabular" else MAX_EVALUATIONS
    each, field = counted_evaluations(spec, model)
    if inputs * each > most:
        rule = f"inputs * evaluations <= {most}; here {inputs} * {each}{', judged' if spec.evaluate else ''}"
        fault = Fault(("body", *field), "budget", rule)
        raise BudgetExceeded("The explanation costs too many evaluations.", errors=[fault])
    numbers = inputs * _targets(spec) * _attributions(spec, model, modality)
    if numbers > MAX_NUMBERS:
        rule = f"inputs * targets * (columns, tokens or cells of a map) <= {MAX_NUMBERS}; here {numbers}"
        raise BudgetExceeded("The answer would be too long.", errors=[Fault(("body",), "budget", rule)])


def _attributions(spec: ExplanationSpec, model: ModelRow, modality: Modality) -> int:
    """Of one input for one target at most."""
    if modality == "tabular":
        return 0 if spec.method == "permutation" else len(model.input["columns"])
    if modality == "text":
        return int(model.input["max_tokens"])
    return LIME_CELLS if spec.method == "lime" else CELLS


def counted_evaluations(spec: ExplanationSpec, model: ModelRow) -> tuple[int, tuple[str, ...]]:
    """Of one input at most, with the judging where it is asked for; and the field that decides on it."""
    modality = modality_of(model.problem)
    each, field = _evaluations(spec, model, modality)
    if spec.evaluate:
        background = BACKGROUND_ROWS if modality == "tabular" else 1
        each = each * JUDGED_TIMES + JUDGED_MORE * background
    return each, field


def _targets(spec: ExplanationSpec) -> int:
    return 1 if isinstance(spec.targets, str) else len(spec.targets)


def _faults_of_targets(spec: ExplanationSpec, model: ModelRow) -> list[Fault]:
    if isinstance(spec.targets, str):
        return []
    if not model.classes or spec.method == "permutation":
        what = "a regression" if not model.classes else "permutation importance"
        return [Fault(("body", "targets"), "no-labels", f"{what} has no labels to explain")]
    return [
        Fault(("body", "targets", position), "unknown-label", f"one of the model's {len(model.classes)} classes")
        for position, label in enumerate(spec.targets)
        if label not in model.classes
    ]


def _check_support(spec: ExplanationSpec, model: ModelRow, modality: Modality) -> None:
    if spec.method == "grad_cam" and model.backbone and CATALOGUE[model.backbone].architecture == "mlp":
        fault = Fault(("body", "method"), "explanation-unsupported", "the network has no spatial layer; use shap")
        raise ExplanationUnsupported("grad_cam needs a spatial layer.", errors=[fault])
    if spec.method == "permutation" and spec.evaluate:
        fault = Fault(("body", "evaluate"), "not-judged", "there are no attributions of single rows to judge")
        raise Invalid("Permutation importance is not evaluated.", errors=[fault])
    name = spec.parameters.explainer
    if name is None:
        return
    known = ("partition",) if modality != "tabular" else ()
    reason = unfit_reason(name, fitted_of(model)) if not known else None
    if known and name not in known:
        reason = f"Models of {model.problem} are explained by: {', '.join(known)}."
    if reason is not None:
        fault = Fault(("body", "parameters", "explainer"), "explanation-unsupported", reason)
        raise ExplanationUnsupported("The explainer does not explain this model.", errors=[fault])


def fitted_of(model: ModelRow) -> Fitted:
    """What decides on the explainer of a model of tables."""
    estimator: dict[str, Any] = model.estimator or {}
    seen = sum(column["kind"] != "text" for column in model.input["columns"])
    return Fitted(kind=estimator["kind"], is_dart=estimator.get("booster") == "dart", columns=seen)


def _evaluations(spec: ExplanationSpec, model: ModelRow, modality: Modality) -> tuple[int, tuple[str, ...]]:
    """Of one input at most, not judged, the serving answer aside; and the field that decides on it."""
    asked, targets = spec.parameters, _targets(spec)
    if spec.method == "lime":
        return asked.samples or DEFAULT_SAMPLES, ("parameters", "samples")
    if spec.method == "permutation":
        return 1 + (asked.repeats or 10) * len(model.input["columns"]), ("parameters", "repeats")
    if spec.method == "integrated_gradients":
        return PROBES + MOST_STEPS * (asked.steps or DEFAULT_STEPS) * (1 + targets), ("parameters", "steps")
    if spec.method == "occlusion":
        return int(model.input["max_tokens"]), ("method",)
    if spec.method != "shap":
        return 1 + targets, ("method",)
    if modality != "tabular":
        return asked.evaluations or DEFAULT_EVALUATIONS, ("parameters", "evaluations")
    fitted = fitted_of(model)
    name = asked.explainer or usual_explainer(fitted, asked.evaluations)[0]
    rows = asked.background_rows or BACKGROUND_ROWS
    if name in ("tree", "linear"):
        return 1, ("method",)
    if name == "exact":
        return int(2**fitted.columns) * rows, ("parameters", "background_rows")
    if name == "gradient":
        lines = (asked.evaluations or DEFAULT_ROW_EVALUATIONS) + rows
        return (1 + targets) * lines + rows, ("parameters", "evaluations")
    evaluations = max(asked.evaluations or DEFAULT_ROW_EVALUATIONS, 4 * fitted.columns)
    return evaluations * rows, ("parameters", "evaluations")
