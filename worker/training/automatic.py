"""What the spec leaves to the service: found before the first epoch, kept for every attempt after."""

import json
from pathlib import Path

from service.specs.auto import AUTO
from worker.training.batch_size import largest_batch
from worker.training.fitting import identity
from worker.training.learning_rate_finder import RangeTest, find_learning_rate
from worker.training.reporting import Reporter
from worker.training.setting import Setting

FINDER_FILE = "learning_rate_finder.json"
USUAL_RATE = 0.001
_FOUND = "automatic.json"


def decided(setting: Setting, reporter: Reporter) -> Setting:
    """`setting` with numbers wherever its spec says `auto`; the batch size first, as the rate depends on it.

    A resumed trial takes the numbers that it found at first, from its scratch folder.

    Raises:
        Stopped: the sink asked for it.
    """
    training, scratch = setting.order.spec.training, setting.order.scratch
    if AUTO not in (training.batch_size, training.learning_rate):
        return setting
    order = identity(setting.order)
    found = _kept(scratch / _FOUND, order)
    if found is None:
        found = {}
        if training.batch_size == AUTO:
            found["batch_size"] = largest_batch(setting, reporter)
            reporter.log(f"Batches of {found['batch_size']} fit.", batch_size=found["batch_size"])
        if training.learning_rate == AUTO:
            found["learning_rate"] = _rate(setting.with_training(**found), reporter)
        _write(scratch / _FOUND, {"order": order, "found": found})
    return setting.with_training(**found)


def _rate(setting: Setting, reporter: Reporter) -> float:
    test = find_learning_rate(setting, reporter)
    rate = test.suggestion
    if rate is None:
        reporter.warn(f"The range test shows no descent; the learning rate is the usual {USUAL_RATE}.")
        rate = USUAL_RATE
    _write(setting.order.scratch / FINDER_FILE, {"learning_rate": rate, "curve": _curve(test)})
    reporter.log(f"The range test suggests a learning rate of {rate:g}.", learning_rate=rate, curve=_curve(test))
    return rate


def _curve(test: RangeTest) -> list[dict[str, float]]:
    return [{"learning_rate": rate, "loss": loss} for rate, loss in zip(test.rates, test.losses, strict=True)]


def _kept(file: Path, order: str) -> dict[str, object] | None:
    """What an earlier attempt at the same order found."""
    if not file.is_file():
        return None
    document = json.loads(file.read_text("utf-8"))
    return document["found"] if document["order"] == order else None


def _write(file: Path, content: object) -> None:
    temporary = file.with_name(f".{file.name}")
    temporary.write_text(json.dumps(content, allow_nan=False) + "\n", "utf-8")
    temporary.replace(file)
