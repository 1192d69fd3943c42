"""Which explainer stands behind `shap` on tables: the one that fits the model, or the one asked for."""

from dataclasses import dataclass

from service.specs.explanations import ExplainerName

MOST_EXACT_COLUMNS = 12
"""Of more, all coalitions are too many to be enumerated."""
DART = "TreeSHAP is not used for DART, whose trees are rescaled while boosting"


@dataclass(frozen=True)
class Fitted:
    """What decides.

    Attributes:
        kind: of the estimator.
        is_dart: its trees were dropped and rescaled while boosting.
        columns: of the user's that the model gets to see: all but texts.
    """

    kind: str
    is_dart: bool
    columns: int


def usual_explainer(fitted: Fitted, evaluations: int | None) -> tuple[ExplainerName, str | None]:
    """The explainer where none is asked for, and why it is another than the usual one for this kind of estimator.

    The usual: `linear` for linear models, `tree` for trees; for an `mlp` `exact` up to 12 columns, else `permutation`.
    """
    if fitted.kind == "linear":
        return "linear", None
    if fitted.kind != "mlp" and not fitted.is_dart:
        return "tree", None
    if fitted.columns > MOST_EXACT_COLUMNS:
        return "permutation", f"{DART}." if fitted.is_dart else None
    if evaluations is not None and evaluations < 2**fitted.columns:
        reason = f"all coalitions of {fitted.columns} columns would take {2**fitted.columns} evaluations"
        return "permutation", f"{DART}; {reason}." if fitted.is_dart else f"{reason[0].upper()}{reason[1:]}."
    return "exact", f"{DART}." if fitted.is_dart else None


def unfit_reason(name: ExplainerName, fitted: Fitted) -> str | None:
    """Why the explainer that was asked for cannot explain such a model; None where it can."""
    boosted = fitted.kind in ("gradient_boosting", "random_forest")
    if name == "tree" and fitted.is_dart:
        return f"{DART}; try permutation."
    reasons: dict[ExplainerName, tuple[bool, str]] = {
        "tree": (boosted, "TreeSHAP explains trees; this model has none."),
        "linear": (fitted.kind == "linear", "The closed form holds for linear models only."),
        "exact": (
            fitted.columns <= MOST_EXACT_COLUMNS,
            f"Exact values need at most {MOST_EXACT_COLUMNS} columns; this model has {fitted.columns}. "
            "Try permutation.",
        ),
        "gradient": (fitted.kind == "mlp", "Gradients need an mlp; try permutation."),
        "permutation": (True, ""),
        "partition": (False, "The partition explainer is for images and texts; try permutation."),
    }
    fits, reason = reasons[name]
    return None if fits else reason
