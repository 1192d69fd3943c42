"""Pictures of a search, drawn by Optuna, and the figures behind them.

Optuna draws on pyplot's figures and changes its style: run this in a process of its own.
"""

import io
import json
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import optuna
from optuna.exceptions import ExperimentalWarning

from service.specs.jobs import JobSpec
from service.specs.search_space import Params, axes_of, baseline_params
from service.specs.tuning import is_better
from worker.tuning.records import Record
from worker.tuning.study import make_sampler, rebuild

Figures = dict[str, object]


def draw_search(spec: JobSpec, records: Sequence[Record]) -> dict[str, bytes]:
    """Files by name: `tuning_history`, `parameter_importances` and `parallel_coordinate` as PNG, SVG and JSON.

    What the search does not suffice for is left out: importances need two trials that succeeded with different
    parameters and values, coordinates one trial whose parameters lie in the space.
    """
    if all(record.value is None for record in records):
        return {}
    matplotlib.use("Agg")
    study = rebuild(spec, records, make_sampler("tpe", 0))
    history = _with_all_values(spec, records)
    done = [trial for trial in study.get_trials(deepcopy=False) if trial.value is not None and trial.params]
    draw = optuna.visualization.matplotlib
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.filterwarnings("ignore", "Attempting to set identical low and high", UserWarning)
        files = _written("tuning_history", lambda: draw.plot_optimization_history(history, target_name=_metric(spec)))
        files["tuning_history.json"] = _json(_history(spec, records))
        if len({trial.value for trial in done}) > 1 and any(_varies(done, axis.path) for axis in axes_of(spec)):
            importances = optuna.importance.get_param_importances(study)
            files |= _written("parameter_importances", lambda: draw.plot_param_importances(study))
            files["parameter_importances.json"] = _json({"metric": _metric(spec), "importances": importances})
        if done:
            files |= _written(
                "parallel_coordinate", lambda: draw.plot_parallel_coordinate(study, target_name=_metric(spec))
            )
            files["parallel_coordinate.json"] = _json(_coordinates(spec, records))
    return files


def _metric(spec: JobSpec) -> str:
    assert spec.tuning is not None
    return spec.tuning.metric.replace("_", " ")


def _with_all_values(spec: JobSpec, records: Sequence[Record]) -> optuna.Study:
    """The history shows every trial that succeeded, also a baseline that the space does not hold."""
    assert spec.tuning is not None
    study = optuna.create_study(direction=spec.tuning.better)
    for record in records:
        done = record.state == "succeeded" and record.value is not None
        state = optuna.trial.TrialState.COMPLETE if done else optuna.trial.TrialState.FAIL
        study.add_trial(optuna.trial.create_trial(state=state, value=record.value if done else None))
    return study


def _varies(done: Sequence[optuna.trial.FrozenTrial], path: str) -> bool:
    return len({trial.params[path] for trial in done}) > 1


def _history(spec: JobSpec, records: Sequence[Record]) -> Figures:
    assert spec.tuning is not None
    best: float | None = None
    trials: list[Figures] = []
    for record in records:
        if record.value is not None and (best is None or is_better(spec.tuning.metric, record.value, best)):
            best = record.value
        trials.append({"number": record.number, "state": record.state, "value": record.value, "best_value": best})
    return {"metric": spec.tuning.metric, "direction": spec.tuning.better, "trials": trials}


def _coordinates(spec: JobSpec, records: Sequence[Record]) -> Figures:
    assert spec.tuning is not None
    axes = [{"path": axis.path, "log": axis.log} for axis in axes_of(spec)]
    lines: list[Figures] = []
    for record in records:
        params: Params | None = baseline_params(spec) if record.number == 0 else record.params
        if record.value is not None and params is not None:
            lines.append({"number": record.number, "value": record.value, "params": params})
    return {"metric": spec.tuning.metric, "direction": spec.tuning.better, "axes": axes, "trials": lines}


def _written(name: str, draw: Callable[[], Any]) -> dict[str, bytes]:
    """The picture as PNG and SVG, on a figure that is closed again, whatever style was set undone."""
    import matplotlib.pyplot as plt

    with matplotlib.rc_context():
        figure = draw().figure
        try:
            return {f"{name}.{kind}": _saved(figure, kind) for kind in ("png", "svg")}
        finally:
            plt.close(figure)


def _saved(figure: Any, kind: str) -> bytes:
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else None
    figure.savefig(buffer, format=kind, dpi=144, bbox_inches="tight", metadata=metadata)
    return buffer.getvalue()


def _json(content: object) -> bytes:
    return (json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n").encode()
