"""The epochs of a trial: train, evaluate, checkpoint, until patience, epochs or time are used up."""

import hashlib
import json
import math
import time
from dataclasses import asdict, dataclass

from service.errors import Diverged
from service.specs.auto import settled
from worker.training.checkpoints import Checkpoint, Checkpoints, Tensors
from worker.training.early_stopping import EarlyStopping, best_epoch
from worker.training.learner import Learner
from worker.training.metrics import quick_scores
from worker.training.order import EpochRecord, StoppedBy, TrialOrder
from worker.training.reporting import Reporter
from worker.training.setting import Setting, head_epochs


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
        stopped_by = self._stopped_by()
        while stopped_by is None:
            self._epoch(len(self.curve) + 1)
            stopped_by = self._stopped_by()
        self.setting.learned.load_state_dict(self.best, strict=False)
        return Fitted(self.curve, best_epoch(self.curve, self.stopping.monitor), stopped_by)

    def _epoch(self, epoch: int) -> None:
        started = time.monotonic()
        rate = settled(self.spec.training.learning_rate) * self.learner.schedule.factor(self.learner.step)
        self._announce(epoch)
        train_loss, train_accuracy = self.learner.train_epoch(epoch)
        validation = self.setting.dealt["validation"]
        logits = self.setting.logits(self.learner.result, validation, self.reporter.check)
        scores = quick_scores(logits, self.setting.targets[validation])
        if not math.isfinite(scores.loss):
            raise Diverged(f"The validation loss stopped being finite in epoch {epoch}.")
        record = EpochRecord(
            epoch=epoch,
            train_loss=train_loss,
            validation_loss=scores.loss,
            train_accuracy=train_accuracy,
            validation_accuracy=scores.accuracy,
            validation_balanced_accuracy=scores.balanced_accuracy,
            validation_macro_f1=scores.macro_f1,
            learning_rate=rate,
            seconds=time.monotonic() - started,
        )
        self._see(record)
        self._save(epoch)
        self.reporter.epoch(record)

    def _see(self, record: EpochRecord) -> None:
        """Takes in an epoch's scores; on resuming, those of the epochs before."""
        if self._gradual and record.epoch == head_epochs(self.spec.training.epochs) + 1:
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
        """Why no further epoch is due, if so."""
        if len(self.curve) >= self.spec.training.epochs:
            return "epochs"
        if self.stopping.exhausted and not (
            self._gradual and len(self.curve) <= head_epochs(self.spec.training.epochs)
        ):
            return "early_stopping"
        seconds = [record.seconds for record in self.curve]
        if seconds and sum(seconds) + seconds[-1] > self.spec.limits.wall_seconds:
            text = f"The {self.spec.limits.wall_seconds} s of the job do not suffice for another epoch."
            self.reporter.warn(text, epochs=len(self.curve))
            return "limit"
        return None

    def _announce(self, epoch: int) -> None:
        if not self._gradual:
            return
        alone = head_epochs(self.spec.training.epochs)
        if epoch == 1 and alone:
            self.reporter.log(f"The head alone is trained until epoch {alone}, then the whole network.", epochs=alone)
        elif epoch == alone + 1:
            self.reporter.log(f"From epoch {epoch} on the whole network is trained.", epoch=epoch)

    @property
    def _gradual(self) -> bool:
        return self.spec.network.trainable == "gradual"


def identity(order: TrialOrder) -> str:
    """A digest of all that decides a trial's course: checkpoints of another order are not resumed."""
    facts = order.spec.model_dump_json(exclude={"name", "metadata", "limits"}) + order.dataset_digest
    return hashlib.sha256(facts.encode()).hexdigest()
