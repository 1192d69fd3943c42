"""A trial's pictures, drawn from its documents alone: in the trial, or of a search's winner once it is known."""

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure

from worker.drawing import saved
from worker.training.calibration_plot import calibration_figure
from worker.training.order import PICTURE_OF
from worker.training.plots import confusion_figure, learning_curves
from worker.training.regression_plots import agreement_figure, residual_figure

Document = Mapping[str, Any]
_DRAW: dict[str, Callable[[Document], Figure]] = {
    "learning_curves": learning_curves,
    "confusion_matrix": confusion_figure,
    "calibration": calibration_figure,
    "predicted_against_actual": agreement_figure,
    "residuals": residual_figure,
}


def draw_trial(documents: Mapping[str, Document]) -> dict[str, bytes]:
    """PNG and SVG files by name, of those `documents`, by file stem, that have a picture."""
    files: dict[str, bytes] = {}
    for stem, name in PICTURE_OF.items():
        if stem in documents:
            files |= saved(_DRAW[name](documents[stem]), name)
    return files
