"""What a trial came to: its best epoch on every split, once."""

from worker.data.deals import Deal
from worker.training.objective import Answered, Scored
from worker.training.reporting import Reporter
from worker.training.setting import Setting

MOST_TRAIN_SAMPLES_SCORED = 5000


def score(setting: Setting, reporter: Reporter) -> Scored:
    """Scores of the restored best epoch.

    The test split is looked at here and nowhere else.
    """
    parts: dict[str, Answered] = {}
    for name, indices in scored_parts(setting.dealt).items():
        outputs = setting.outputs(setting.learned, indices, reporter.check)
        parts[name] = Answered(outputs, setting.subject.targets[indices])
    scored = setting.objective.score(parts, setting.targets("train"), seed=setting.order.spec.seed)
    remark(scored, reporter)
    return scored


def remark(scored: Scored, reporter: Reporter) -> None:
    """Tells the owner about the temperature."""
    if scored.remark:
        reporter.log(scored.remark, temperature=scored.temperature)


def scored_parts(dealt: Deal) -> dict[str, list[int]]:
    """The samples that scores are of: all of validation and test, evenly spaced ones of a large train split."""
    every = -(-len(dealt["train"]) // MOST_TRAIN_SAMPLES_SCORED)
    return {"train": dealt["train"][::every], "validation": dealt["validation"], "test": dealt["test"]}
