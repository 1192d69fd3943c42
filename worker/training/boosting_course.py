"""Trees round by round: what happens around XGBoost between one round and the next."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, replace

import torch

from service.errors import Diverged, Stopped
from worker.estimators.boosted import Boosted
from worker.estimators.boosting import BestRound, BoostingPlan, RoundRecord, Samples, fit_boosted
from worker.training.checkpoints import Checkpoint, Checkpoints, Tensors
from worker.training.early_stopping import EarlyStopping, badness
from worker.training.ending import stopped_by
from worker.training.fitting import Fitted, epoch_record, identity
from worker.training.objective import Objective
from worker.training.order import EpochRecord, StoppedBy, TrialOrder
from worker.training.reporting import Reporter

SECONDS_BETWEEN_CHECKPOINTS = 5.0
"""A round takes milliseconds, and writing all trees after each would take longer than growing them."""


class BoostingCourse:
    """Fits trees, hears stop requests at every round, and continues from a checkpoint to the same model.

    The checkpoint is written when a stop is asked for, and every few seconds; rounds are reported again after it.
    """

    def __init__(
        self, order: TrialOrder, plan: BoostingPlan, objective: Objective, *, train: Samples, validation: Samples
    ) -> None:
        self.order, self.plan, self.objective, self.spec = order, plan, objective, order.spec
        self.train, self.validation = train, validation
        self.targets = torch.from_numpy(validation.targets)
        self.stopping = EarlyStopping(self.spec.early_stopping)
        self.checkpoints = Checkpoints(order.scratch / "checkpoint", identity(order))
        self.curve: list[EpochRecord] = []
        self.best = BestRound(plan.spec)
        self.best_badness = math.inf
        self.best_is_saved = False
        self.ended: StoppedBy | None = None

    def run(self, reporter: Reporter, clock: Callable[[], float] = time.monotonic) -> tuple[Boosted, Fitted]:
        """Fits to the end: the best round's trees, and the course that led there.

        Raises:
            Diverged: a loss is not finite.
            Stopped: the sink asked for it; a checkpoint stands.
        """
        self.reporter, self.clock = reporter, clock
        start = self._resume()
        self.ended = self._stopped_by()
        self.round_started = self.saved_at = clock()
        plan = replace(self.plan, rounds=len(self.curve)) if self.ended else self.plan
        booster = fit_boosted(plan, self.train, validation=self.validation, on_round=self._on_round, start=start)
        assert self.ended is not None, "the plan's rounds are the spec's epochs"
        model = self.best.model(booster, classes=plan.classes, threads=plan.threads)
        return model, Fitted(self.curve, self.best.number, self.ended)

    def _on_round(self, record: RoundRecord) -> bool:
        """Takes in a round; whether another one is due."""
        now = self.clock()
        made = self._record(record, now - self.round_started)
        if not (math.isfinite(made.train_loss) and math.isfinite(made.validation_loss)):
            raise Diverged(f"A loss stopped being finite in round {made.epoch}.")
        self.curve.append(made)
        self.stopping.see(made)
        if badness(made, self.stopping.monitor) < self.best_badness or not self.best.number:
            self.best_badness = badness(made, self.stopping.monitor)
            self.best.see(record)
            self.best_is_saved = False
        self.reporter.epoch(made)
        try:
            self.reporter.check()
        except Stopped:
            self._save(record)
            raise
        if now - self.saved_at > SECONDS_BETWEEN_CHECKPOINTS:
            self._save(record)
            self.saved_at = self.clock()
        self.round_started = now
        self.ended = self._stopped_by()
        return self.ended is None

    def _record(self, record: RoundRecord, seconds: float) -> EpochRecord:
        scores = self.objective.evaluation(torch.from_numpy(record.validation_outputs), self.targets)
        return epoch_record(
            scores,
            epoch=record.round,
            train_loss=record.train_loss,
            train_accuracy=record.train_accuracy,
            learning_rate=self.plan.learning_rate,
            seconds=seconds,
        )

    def _stopped_by(self) -> StoppedBy | None:
        return stopped_by(self.curve, self.spec, self.stopping, reporter=self.reporter)

    def _save(self, record: RoundRecord) -> None:
        facts: dict[str, object] = {
            "curve": [asdict(one) for one in self.curve],
            "best": self.best.number,
        }
        best = {} if self.best.ubj is None else {"ubj": _tensor(self.best.ubj)}
        checkpoint = Checkpoint(record.round, facts, {"ubj": _tensor(record.to_ubj())}, best)
        self.checkpoints.save(checkpoint, best_is_new=not self.best_is_saved)
        self.best_is_saved = True

    def _resume(self) -> bytes | None:
        """The trees so far, if there is a checkpoint."""
        checkpoint = self.checkpoints.latest()
        if checkpoint is None:
            return None
        facts = checkpoint.facts
        for fields in facts["curve"]:  # type: ignore[attr-defined]
            record = EpochRecord(**fields)
            self.curve.append(record)
            self.stopping.see(record)
            self.reporter.epoch(record)
        number: int = facts["best"]  # type: ignore[assignment]
        self.best = BestRound(self.plan.spec, number=number, ubj=_bytes(checkpoint.best))
        self.best_badness = badness(self.curve[number - 1], self.stopping.monitor)
        self.best_is_saved = True
        self.reporter.log(f"Resumed after round {checkpoint.epoch}.", epoch=checkpoint.epoch)
        return _bytes(checkpoint.tensors)


def _tensor(content: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def _bytes(tensors: Tensors) -> bytes | None:
    return bytes(tensors["ubj"].numpy()) if "ubj" in tensors else None
