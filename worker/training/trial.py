"""One trial from order to outcome."""

from pathlib import Path

import torch

from worker.training.automatic import decided
from worker.training.estimator_trial import run_estimator_trial
from worker.training.fitting import Fitted, fit
from worker.training.objective import Scored
from worker.training.order import TrialOrder, TrialOutcome, TrialSink
from worker.training.reporting import Reporter
from worker.training.results import Results, effective, finish
from worker.training.scoring import score
from worker.training.setting import Setting
from worker.training.setting_up import set_up
from worker.training.table_source import table_data


def run_trial(order: TrialOrder, sink: TrialSink) -> TrialOutcome:
    """Trains, scores and writes one trial; continues from a checkpoint in `order.scratch` if there is one.

    Sets torch's thread count and seeds its global generator: run it in a process of its own.

    Raises:
        Diverged: a loss is not finite.
        Stopped: `sink.stop_requested()`; the last checkpoint stands.
        UnknownBackbone: pretrained weights are not at hand.
        TargetInvalid, DatasetTooSmall: the samples cannot be dealt.
        ArtifactCorrupt: the pretrained weights do not fit.
    """
    torch.set_num_threads(order.threads)
    reporter = Reporter(sink, order.spec.training.epochs)
    if order.spec.estimator is not None and order.spec.estimator.kind != "mlp":
        return run_estimator_trial(order, table_data(order), reporter)
    setting = decided(set_up(order, reporter), reporter)
    if setting.precision.replaced:
        reporter.warn("float16 is not for CPUs; the trial computes in float32.", precision="float32")
    setting.objective.warn({name: setting.targets(name) for name in setting.dealt}, reporter)
    fitted = fit(setting, reporter)
    return _finish(setting, fitted, score(setting, reporter))


def _finish(setting: Setting, fitted: Fitted, scored: Scored) -> TrialOutcome:
    subject, dealt, training = setting.subject, setting.dealt, setting.order.spec.training
    description, places, used = subject.describe(training), subject.places(dealt), effective(training)
    results = Results(setting.order, setting.objective, description, dealt, places, fitted, scored, used)

    def save(folder: Path) -> list[str]:
        return subject.save(folder, temperature=scored.temperature, training=used)

    return finish(results, save)
