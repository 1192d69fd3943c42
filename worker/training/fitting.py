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
from worker.training.order import EpochRecord, StoppedBy, TrialOrder
from worker.training.reporting import Reporter
from worker.training.setting import Setting


@dataclass(frozen=True)
class Fitted:
    """The course of a trial, whose network now holds the weights of the best epoch."""

    curve: list[EpochRecord]
    best_epoch: int
    stopped_by: StoppedBy


def fit(setting: Setting, reporter: Reporter) -> Fitted:
    """Trains `setting.learned`, from its latest checkpoint if there is one, and leaves the best epoch's weights in it.

    Raises:
        Diverged: a loss is not finite.
        Stopped: the sink asked for it; the last checkpoint stands.
    """
    return _Fitting(setting, reporter).run()


class _Fitting:
    def __init__(self, setting: Setting, reporter: Reporter) -> None:
        self.setting, self.reporter, self.spec = setting, reporter, setting.order.spec
        self.learner = Learner(setting, reporter)
        self.stopping = EarlyStopping(self.spec.early_stopping)
        self.curve: list[EpochRecord] = []
        self.best: Tensors = {}
        self.checkpoints = Checkpoints(setting.order.scratch / "checkpoint", identity(setting.order))

    def run(self) -> Fitted:
        self._resume()
        ended = self._stopped_by()
        while ended is None:
            self._epoch(len(self.curve) + 1)
            ended = self._stopped_by()
        self.setting.learned.load_state_dict(self.best, strict=False)
        return Fitted(self.curve, best_epoch(self.curve, self.stopping.monitor), ended)

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
        }
        checkpoint = Checkpoint(epoch, facts, self.learner.state(), self.best)
        self.checkpoints.save(checkpoint, best_is_new=is_best)

    def _resume(self) -> None:
        checkpoint = self.checkpoints.latest()
        if checkpoint is None:
            return
        facts = json.loads(json.dumps(checkpoint.facts))
        self.learner.restore(checkpoint.tensors, facts["step"])
        if facts["scaler"]:
            self.setting.precision.scaler.load_state_dict(facts["scaler"])
        for record in facts["curve"]:
            self._see(EpochRecord(**record))
            self.reporter.epoch(self.curve[-1])
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
