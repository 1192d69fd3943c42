"""What a trial came to: its best epoch on every split, once."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy

from worker.backbones.trained import calibrated
from worker.training.bootstrap import Answers, intervals
from worker.training.calibration import choose_temperature, reliability
from worker.training.metrics import majority_scores, scores
from worker.training.reporting import Reporter
from worker.training.setting import Setting

MOST_TRAIN_SAMPLES_SCORED = 5000


@dataclass(frozen=True)
class Scored:
    """JSON-safe.

    Attributes:
        metrics: as `TrialOutcome`.
        calibration: how often the answers on test are right, by how sure they are, before and after scaling.
    """

    metrics: dict[str, Any]
    calibration: dict[str, Any]


def score(setting: Setting, reporter: Reporter) -> Scored:
    """Scores of the restored best epoch, after its temperature is fitted on validation and set in `setting.trained`.

    The test split is looked at here and nowhere else.
    """
    dealt, classes = setting.dealt, setting.trained.classes
    every = -(-len(dealt["train"]) // MOST_TRAIN_SAMPLES_SCORED)
    parts = {"train": dealt["train"][::every], "validation": dealt["validation"], "test": dealt["test"]}
    logits = {name: setting.logits(setting.learned, indices, reporter.check) for name, indices in parts.items()}
    targets = {name: setting.targets[indices] for name, indices in parts.items()}
    temperature = choose_temperature(logits["validation"], targets["validation"])
    reporter.log(temperature.reason, temperature=temperature.value)
    setting.trained.temperature = temperature.value
    metrics: dict[str, Any] = {
        name: scores(logits[name], targets[name], classes, temperature=temperature.value) for name in parts
    }
    uncalibrated = scores(logits["test"], targets["test"], classes)
    metrics["test"] |= {
        "intervals": intervals(_answers(logits["test"], targets["test"], temperature.value), setting.order.spec.seed),
        "uncalibrated": {name: uncalibrated[name] for name in ("expected_calibration_error", "log_loss")},
    }
    metrics["baseline"] = majority_scores(setting.targets[dealt["train"]].numpy(), targets["test"].numpy(), classes)
    metrics["temperature"] = temperature.value
    return Scored(metrics, _calibration(logits["test"], targets["test"], temperature.value))


def _answers(logits: Tensor, targets: Tensor, temperature: float) -> Answers:
    return Answers(
        probabilities=calibrated(logits.double(), temperature).numpy(),
        predicted=logits.argmax(1).numpy(),
        targets=targets.numpy(),
        losses=cross_entropy(logits.double(), targets, reduction="none").numpy(),
        log_losses=cross_entropy(logits.double() / temperature, targets, reduction="none").numpy(),
    )


def _calibration(logits: Tensor, targets: Tensor, temperature: float) -> dict[str, Any]:
    predicted, truth = logits.argmax(1).numpy(), targets.numpy()
    before, after = (calibrated(logits.double(), by).numpy() for by in (1.0, temperature))
    return {
        "split": "test",
        "temperature": temperature,
        "before": reliability(before, predicted, truth),
        "after": reliability(after, predicted, truth),
    }
