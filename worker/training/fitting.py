"""The epochs of a trial: train, evaluate, checkpoint, until patience, epochs or time are used up."""

import hashlib
import json
import math
import time
from dataclasses import asdict, dataclass
from typing import Any

from service.errors import Diverged
from service.specs.auto import settled
from worker.training.checkpoints import Checkpoint, Checkpoints, Tensors
from worker.training.early_stopping import EarlyStopping, best_epoch
from worker.training.ending import stopped_by
from worker.training.learner import Learner
from worker.training.optimisation import replay
from worker.training.order import EpochRecord, StoppedBy, TrialOrder
from worker.training.ranks import ALONE, Ranks
from worker.training.reporting import Reporter
from worker.training.setting import Setting


@dataclass(frozen=True)
class Fitted:
    """The course of a trial, whose network now holds the weights of the best epoch."""

    curve: list[EpochRecord]
    best_epoch: int
    stopped_by: StoppedBy
    micro_batch_size: int | None = None


def fit(setting: Setting, reporter: Reporter, ranks: Ranks = ALONE) -> Fitted:
    """Trains `setting.learned`, from its latest checkpoint if there is one, and leaves the best epoch's weights in it.

    It leads the other `ranks`, which `follow`.

    Raises:
        Diverged: a loss is not finite.
        Stopped: the sink asked for it; the last checkpoint stands.
    """
    return _Fitting(setting, reporter, ranks).run()


def follow(setting: Setting, reporter: Reporter, ranks: Ranks) -> None:
    """Takes part in the training that rank 0 `fit`s, from the same checkpoint to the same end.

    Raises:
        Diverged: a loss is not finite.
        PassesTooLarge, ResourceExhausted: as `fit`.
    """
    learner = Learner(setting, reporter, ranks)
    checkpoint = _checkpoints(setting).latest()
    epoch = 0
    if checkpoint is not None:
        curve, epoch = _restore(checkpoint, setting, learner), checkpoint.epoch
        replay(learner.schedule, [record.validation_loss for record in curve[:-1]])
    while True:
        goes_on, loss = ranks.told()
        if epoch:
            learner.schedule.see(loss)
        if not goes_on:
            return
        epoch += 1
        learner.train_epoch(epoch)


class _Fitting:
    def __init__(self, setting: Setting, reporter: Reporter, ranks: Ranks) -> None:
        self.setting, self.reporter, self.spec, self.ranks = setting, reporter, setting.order.spec, ranks
        self.learner = Learner(setting, reporter, ranks)
        self.stopping = EarlyStopping(self.spec.early_stopping)
        self.curve: list[EpochRecord] = []
        self.best: Tensors = {}
        self.checkpoints = _checkpoints(setting)

    def run(self) -> Fitted:
        self._resume()
        ended = self._stopped_by()
        self._tell(ended)
        while ended is None:
            self._epoch(len(self.curve) + 1)
            ended = self._stopped_by()
            self._tell(ended)
        self.setting.learned.load_state_dict(self.best, strict=False)
        best = best_epoch(self.curve, self.stopping.monitor)
        return Fitted(self.curve, best, ended, self.learner.micro_batch_size)

    def _tell(self, ended: StoppedBy | None) -> None:
        loss = self.curve[-1].validation_loss if self.curve else math.nan
        self.ranks.told(goes_on=ended is None, loss=loss)

    def _epoch(self, epoch: int) -> None:
        started = time.monotonic()
        rate = settled(self.spec.training.learning_rate) * self.learner.schedule.factor(self.learner.step)
        self._announce(epoch)
        train_loss, train_accuracy = self.learner.train_epoch(epoch)
        outputs = self.setting.outputs(self.learner.result, self.setting.dealt["validation"], self.reporter.check)
        scores = self.setting.objective.evaluation(outputs, self.setting.targets("validation"))
        record = epoch_record(
            scores,
            epoch=epoch,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            learning_rate=rate,
            seconds=time.monotonic() - started,
        )
        if not math.isfinite(record.validation_loss):
            raise Diverged(f"The validation loss stopped being finite in epoch {epoch}.")
        self._see(record)
        self._save(epoch)
        self.reporter.epoch(record)

    def _see(self, record: EpochRecord) -> None:
        """Takes in an epoch's scores; on resuming, those of the epochs before."""
        if record.epoch == self.setting.subject.head_epochs + 1:
            self.stopping.restart_counting()
        self.curve.append(record)
        self.stopping.see(record)
        self.learner.schedule.see(record.validation_loss)

    def _save(self, epoch: int) -> None:
        is_best = best_epoch(self.curve, self.stopping.monitor) == epoch
        if is_best:
            result = self.learner.changing(self.learner.result)
            self.best = {name: value.detach().cpu().clone() for name, value in result.items()}
        facts: dict[str, object] = {
            "curve": [asdict(record) for record in self.curve],
            "step": self.learner.step,
            "scaler": self.setting.precision.scaler.state_dict(),
            "micro_batch_size": self.learner.passes.micro_batch_size,
        }
        checkpoint = Checkpoint(epoch, facts, self.learner.state(), self.best)
        self.checkpoints.save(checkpoint, best_is_new=is_best)

    def _resume(self) -> None:
        checkpoint = self.checkpoints.latest()
        if checkpoint is None:
            return
        for record in _restore(checkpoint, self.setting, self.learner):
            self._see(record)
            self.reporter.epoch(record)
        self.best = checkpoint.best
        self.reporter.log(f"Resumed after epoch {checkpoint.epoch}.", epoch=checkpoint.epoch)

    def _stopped_by(self) -> StoppedBy | None:
        spared = self.setting.subject.head_epochs
        return stopped_by(self.curve, self.spec, self.stopping, spared=spared, reporter=self.reporter)

    def _announce(self, epoch: int) -> None:
        alone = self.setting.subject.head_epochs
        if epoch == 1 and alone:
            self.reporter.log(f"The head alone is trained until epoch {alone}, then the whole network.", epochs=alone)
        elif alone and epoch == alone + 1:
            self.reporter.log(f"From epoch {epoch} on the whole network is trained.", epoch=epoch)


def _checkpoints(setting: Setting) -> Checkpoints:
    return Checkpoints(setting.order.scratch / "checkpoint", identity(setting.order))


def _restore(checkpoint: Checkpoint, setting: Setting, learner: Learner) -> list[EpochRecord]:
    """Puts the learner back to where it was; the epochs so far."""
    facts = json.loads(json.dumps(checkpoint.facts))
    learner.restore(checkpoint.tensors, facts["step"])
    learner.passes.limit(facts.get("micro_batch_size"))
    if facts["scaler"]:
        setting.precision.scaler.load_state_dict(facts["scaler"])
    return [EpochRecord(**record) for record in facts["curve"]]


def epoch_record(scores: dict[str, float | None], **others: Any) -> EpochRecord:
    """With None for the scores that the objective does not have."""
    names = ("validation_accuracy", "validation_balanced_accuracy", "validation_macro_f1")
    fields: dict[str, Any] = dict.fromkeys(names) | scores | others
    return EpochRecord(**fields)


def identity(order: TrialOrder) -> str:
    """A digest of all that decides a trial's course: checkpoints of another order are not resumed.

    Fields at their defaults are left out, so that one that comes with an upgrade does not make another order.
    """
    facts = order.spec.model_dump_json(exclude={"name", "metadata", "limits"}, exclude_defaults=True)
    facts += order.dataset_digest
    return hashlib.sha256(facts.encode()).hexdigest()
