"""Pictures of a search and the figures behind them; importances are Optuna's."""

import json
import warnings
from collections.abc import Callable, Sequence

import optuna
from matplotlib.figure import Figure
from optuna.exceptions import ExperimentalWarning

from service.specs.jobs import JobSpec
from service.specs.search_space import Params, axes_of, baseline_params
from service.specs.tuning import is_better
from worker.drawing import saved
from worker.tuning.plots import coordinates_figure, history_figure, importances_figure
from worker.tuning.records import Record
from worker.tuning.study import make_sampler, rebuild

Document = dict[str, object]


def draw_search(spec: JobSpec, records: Sequence[Record]) -> dict[str, bytes]:
    """Files by name: `tuning_history`, `parameter_importances` and `parallel_coordinate` as PNG, SVG and JSON.

    What the search does not suffice for is left out: importances need two trials that succeeded with different
    parameters and values, coordinates one trial whose parameters lie in the space.
    """
    if all(record.value is None for record in records):
        return {}
    study = rebuild(spec, records, make_sampler("tpe", 0))
    done = [trial for trial in study.get_trials(deepcopy=False) if trial.value is not None and trial.params]
    files = _written("tuning_history", history_figure, _history(spec, records))
    if len({trial.value for trial in done}) > 1 and any(_varies(done, axis.path) for axis in axes_of(spec)):
        files |= _written("parameter_importances", importances_figure, _importances(spec, study))
    if done:
        files |= _written("parallel_coordinate", coordinates_figure, _coordinates(spec, records))
    return files


def _varies(done: Sequence[optuna.trial.FrozenTrial], path: str) -> bool:
    return len({trial.params[path] for trial in done}) > 1


def _history(spec: JobSpec, records: Sequence[Record]) -> Document:
    assert spec.tuning is not None
    best: float | None = None
    trials: list[Document] = []
    for record in records:
        if record.value is not None and (best is None or is_better(spec.tuning.metric, record.value, best)):
            best = record.value
        last = record.curve[max(record.curve)] if record.state == "pruned" and record.curve else None
        trials.append(
            {
                "number": record.number,
                "state": record.state,
                "value": record.value,
                "best_value": best,
                "last_value": last,
            }
        )
    return {"metric": spec.tuning.metric, "direction": spec.tuning.better, "trials": trials}


def _importances(spec: JobSpec, study: optuna.Study) -> Document:
    assert spec.tuning is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return {"metric": spec.tuning.metric, "importances": optuna.importance.get_param_importances(study)}


def _coordinates(spec: JobSpec, records: Sequence[Record]) -> Document:
    assert spec.tuning is not None
    axes = [{"path": axis.path, "log": axis.log, "choices": list(axis.choices) or None} for axis in axes_of(spec)]
    lines: list[Document] = []
    for record in records:
        params: Params | None = baseline_params(spec) if record.number == 0 else record.params
        if record.value is not None and params is not None:
            lines.append({"number": record.number, "value": record.value, "params": params})
    return {"metric": spec.tuning.metric, "direction": spec.tuning.better, "axes": axes, "trials": lines}


def _written(name: str, draw: Callable[[Document], Figure], document: Document) -> dict[str, bytes]:
    """The picture as PNG and SVG, and what it shows as JSON."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n"
    return saved(draw(document), name) | {f"{name}.json": text.encode()}
