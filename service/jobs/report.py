"""A job as one self-contained HTML page: what was asked, how it went, how good it is."""

import base64
import json
from html import escape
from typing import Any

from service.jobs.schemas import EpochRead, JobRead, TrialRead
from service.specs.diagnosis import Diagnosis

SHOWN_METRICS = ("loss", "accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss",
                 "expected_calibration_error", "rmse", "mae", "r2")  # fmt: skip
"""Of classes or of values: those that a job has."""
MOST_EPOCHS = 60
STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --accent: #2f6fde; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: .2rem; } h2 { margin-top: 2.2rem; border-bottom: 1px solid var(--line); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .8rem; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child, .text { text-align: left; } tr.best { background: var(--soft); font-weight: 600; }
.state { display: inline-block; padding: .1rem .6rem; border-radius: 1rem; background: var(--accent); color: white; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; } .figures img { max-width: 100%; background: white; }
pre { overflow: auto; padding: 1rem; background: var(--soft); font-size: .85rem; }
.problem { border-left: 4px solid #d33; padding-left: 1rem; }
"""


def render_report(job: JobRead, trials: list[TrialRead], pictures: dict[str, bytes]) -> str:
    """The page; every text of a client is escaped. `pictures` are PNG bytes by title."""
    title = escape(job.name or job.id)
    parts = [f"<h1>{title}</h1>", f'<p><span class="state">{escape(job.state)}</span> {_facts(job)}</p>']
    if job.problem is not None:
        parts.append(f'<p class="problem"><b>{escape(job.problem.title)}</b><br>{escape(job.problem.detail)}</p>')
    parts += [f"<p>⚠ {escape(warning.message)}</p>" for warning in job.warnings]
    if job.diagnosis:
        parts.append(_diagnosis(job.diagnosis))
    if job.metrics:
        parts += ["<h2>Scores</h2>", _scores(job.metrics)]
    if pictures:
        figures = "".join(_figure(name, png) for name, png in pictures.items())
        parts.append(f'<div class="figures">{figures}</div>')
    if job.spec.tuning is not None:
        parts.append(_search(trials, job.best_trial, job.spec.tuning.metric))
        trials = [trial for trial in trials if trial.number == job.best_trial]
    parts += [_trial(trial) for trial in trials]
    spec = json.dumps(job.spec.model_dump(), indent=2, ensure_ascii=False)
    parts += ["<h2>Spec</h2>", f"<pre>{escape(spec)}</pre>"]
    head = f'<meta charset="utf-8"><title>{title} · Tunelens</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'


def _facts(job: JobRead) -> str:
    spec = job.spec
    learner = f"backbone {spec.backbone.name}" if spec.backbone else f"estimator {getattr(spec.estimator, 'kind', '-')}"
    facts = [job.id, learner, f"dataset {job.dataset_id or 'deleted'}"]
    facts += [f"model {job.model_id}"] if job.model_id else []
    facts += [job.device] if job.device else []
    if job.started_at and job.finished_at:
        facts.append(f"{(job.finished_at - job.started_at).total_seconds():.0f} s")
    return escape(" · ".join(facts))


def _diagnosis(diagnosis: Diagnosis) -> str:
    verdict = escape(diagnosis.verdict.replace("_", " "))
    rows = "".join(
        f"<tr><td>{escape(evidence.measure.replace('_', ' '))}</td><td>{_number(evidence.value)}</td>"
        f"<td>{_number(evidence.threshold)}</td><td class=text>{escape(evidence.comment)}</td></tr>"
        for evidence in diagnosis.evidence
    )
    remedies = "".join(
        f"<li><b>{escape(remedy.title)}</b> ({escape(remedy.id)}). {escape(remedy.rationale)}"
        f"<pre>{escape(json.dumps(remedy.patch, ensure_ascii=False))}</pre></li>"
        for remedy in diagnosis.remedies
    )
    return (
        f"<h2>Diagnosis: {verdict}</h2><p>{escape(diagnosis.summary)} (confidence {diagnosis.confidence:.0%})</p>"
        f"<table><tr><th>measure</th><th>value</th><th>threshold</th><th class=text>comment</th></tr>{rows}</table>"
        + (f"<h3>What to try, in this order</h3><ol>{remedies}</ol>" if remedies else "")
    )


def _scores(metrics: dict[str, Any]) -> str:
    columns = [name for name in ("validation", "test", "baseline") if metrics.get(name)]
    intervals = (metrics.get("test") or {}).get("intervals") or {}
    head = "".join(f"<th>{name}</th>" for name in [*columns, *(["test, 95 %"] if intervals else [])])
    rows = []
    for metric in SHOWN_METRICS:
        if not any(metric in metrics[column] for column in columns):
            continue
        values = "".join(f"<td>{_number(metrics[column].get(metric))}</td>" for column in columns)
        values += f"<td>{_range(intervals.get(metric))}</td>" if intervals else ""
        rows.append(f"<tr><td>{metric.replace('_', ' ')}</td>{values}</tr>")
    per_class = (metrics.get("test") or {}).get("per_class") or []
    lines = [
        f"<tr><td>{escape(str(row['name']))}</td><td>{_number(row['precision'])}</td>"
        f"<td>{_number(row['recall'])}</td><td>{row['support']}</td></tr>"
        for row in per_class
    ]
    classes = (
        "<h2>Classes (test)</h2><table><tr><th>class</th><th>precision</th><th>recall</th><th>samples</th></tr>"
        f"{''.join(lines)}</table>"
        if lines
        else ""
    )
    return f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>{classes}"


def _search(trials: list[TrialRead], best: int | None, metric: str) -> str:
    """All trials of a search, one line each."""
    name = metric.removeprefix("validation_")
    head = (
        f"<tr><th>trial</th><th>{escape(metric.replace('_', ' '))}</th><th>best epoch</th><th>ended</th><th></th></tr>"
    )
    rows = [
        f"<tr{' class=best' if trial.number == best else ''}><td>{trial.number}</td>"
        f"<td>{_number((trial.metrics.validation or {}).get(name))}</td><td>{trial.best_epoch or ''}</td>"
        f"<td>{escape(trial.stopped_by or trial.state)}</td><td>{escape(_params(trial))}</td></tr>"
        for trial in trials
    ]
    return f"<h2>Trials</h2><table>{head}{''.join(rows)}</table>"


def _params(trial: TrialRead) -> str:
    if trial.number == 0:
        return "as written"
    shown = ((path, f"{value:.4g}" if isinstance(value, float) else str(value)) for path, value in trial.params.items())
    return ", ".join(f"{path} = {text}" for path, text in shown)


def _trial(trial: TrialRead) -> str:
    is_regression = any(epoch.validation_rmse is not None for epoch in trial.epochs)
    name = "validation_rmse" if is_regression else "validation_accuracy"
    measure, shown = name.replace("_", " "), _some(trial.epochs, trial.best_epoch)
    head = f"<tr><th>epoch</th><th>train loss</th><th>validation loss</th><th>{measure}</th><th>s</th></tr>"
    rows = [
        f"<tr{' class=best' if epoch.epoch == trial.best_epoch else ''}><td>{epoch.epoch}</td>"
        f"<td>{_number(epoch.train_loss)}</td><td>{_number(epoch.validation_loss)}</td>"
        f"<td>{_number(getattr(epoch, name))}</td><td>{epoch.seconds:.1f}</td></tr>"
        for epoch in shown
    ]
    left_out = f"<p>{len(shown)} of {len(trial.epochs)} epochs.</p>" if len(shown) < len(trial.epochs) else ""
    ended = f", stopped by {escape(trial.stopped_by)}" if trial.stopped_by else ""
    title = f"<h2>Trial {trial.number}: {escape(trial.state)}{ended}</h2>"
    return f"{title}<table>{head}{''.join(rows)}</table>{left_out}"


def _figure(title: str, png: bytes) -> str:
    data = base64.b64encode(png).decode()
    return f'<figure><img alt="{escape(title)}" src="data:image/png;base64,{data}"></figure>'


def _range(interval: list[float] | None) -> str:
    return " to ".join(map(_number, interval)) if interval else "n/a"


def _number(value: object) -> str:
    """Four decimals, or four digits of what would lose its sense by that: errors are in the target's units."""
    if not isinstance(value, int | float):
        return "n/a"
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.4g}"


def _some(epochs: list[EpochRead], best: int | None) -> list[EpochRead]:
    """All of them, or of very many evenly spaced ones, the best and the last among them."""
    every = -(-len(epochs) // MOST_EPOCHS)
    return [epoch for epoch in epochs if (len(epochs) - epoch.epoch) % every == 0 or epoch.epoch == best]
