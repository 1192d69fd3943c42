"""One trial from order to outcome."""

from dataclasses import dataclass
from pathlib import Path

import torch

from worker.training.automatic import decided
from worker.training.estimator_trial import run_estimator_trial
from worker.training.fitting import Fitted, fit, follow
from worker.training.objective import Scored
from worker.training.order import EpochRecord, EventType, TrialOrder, TrialOutcome, TrialSink
from worker.training.ranks import joined
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
        ResourceExhausted: not even the smallest pass fits the memory.
        PassesTooLarge: memory has run out on one of several ranks.
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
        reporter.warn(setting.precision.replaced, precision=setting.precision.name)
    setting.objective.warn({name: setting.targets(name) for name in setting.dealt}, reporter)
    with joined(order) as ranks:
        ranks.told()
        fitted = fit(setting, reporter, ranks)
    return _finish(setting, fitted, score(setting, reporter))


def follow_trial(order: TrialOrder, sink: TrialSink) -> None:
    """Takes part in a trial that rank 0 runs: the same steps on other samples, and nothing is told or written.

    What the spec leaves open, rank 0 has found by the time that they meet.

    Raises:
        Diverged, UnknownBackbone, TargetInvalid, DatasetTooSmall, ArtifactCorrupt: as `run_trial`.
        PassesTooLarge: memory has run out.
    """
    torch.set_num_threads(order.threads)
    reporter = Reporter(_Unheard(sink), order.spec.training.epochs)
    setting = set_up(order, reporter)
    with joined(order) as ranks:
        ranks.told()
        follow(decided(setting, reporter), reporter, ranks)


@dataclass(frozen=True)
class _Unheard:
    """Only hears when to stop."""

    sink: TrialSink

    def epoch(self, record: EpochRecord) -> None:
        """Rank 0 tells."""

    def progress(self, epoch: int, fraction: float) -> None:
        """Rank 0 tells."""

    def event(self, type: EventType, message: str, data: dict[str, object]) -> None:
        """Rank 0 tells."""

    def stop_requested(self) -> bool:
        """As the sink hears."""
        return self.sink.stop_requested()


def _finish(setting: Setting, fitted: Fitted, scored: Scored) -> TrialOutcome:
    subject, dealt, training = setting.subject, setting.dealt, setting.order.spec.training
    description, places, used = subject.describe(training), subject.places(dealt), effective(training)
    earlier = subject.earlier_peak_bytes
    results = Results(setting.order, setting.objective, description, dealt, places, fitted, scored, used, earlier)

    def save(folder: Path) -> list[str]:
        return subject.save(folder, temperature=scored.temperature, training=used)

    return finish(results, save)
