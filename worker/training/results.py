"""What a finished trial leaves behind: the model, its curves, pictures, documents and card."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from service.specs.auto import settled
from service.specs.jobs import TrainingSpec
from service.specs.tuning import is_better
from worker.data.deals import Deal
from worker.training.automatic import FINDER_FILE
from worker.training.card import card_of
from worker.training.fitting import Fitted
from worker.training.memory import peak_memory_bytes
from worker.training.objective import Objective, Scored
from worker.training.order import OutputFile, TrialOrder, TrialOutcome
from worker.training.pictures import draw_trial
from worker.training.subject import Description

SAME = 1e-12
_MEDIA_TYPES = {
    ".safetensors": "application/octet-stream",
    ".ubj": "application/octet-stream",
    ".parquet": "application/vnd.apache.parquet",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".md": "text/markdown",
}


@dataclass(frozen=True)
class Results:
    """All that is known of a finished trial, whatever was fitted.

    Attributes:
        places: the deal by what the user knows the samples by.
        trained_with: values that were used, of the fields of `training` that matter.
        earlier_peak_bytes: see `Subject`.
    """

    order: TrialOrder
    objective: Objective
    description: Description
    dealt: Deal
    places: Mapping[str, list[Any]]
    fitted: Fitted
    scored: Scored
    trained_with: Mapping[str, object]
    earlier_peak_bytes: int = 0


def finish(results: Results, save: Callable[[Path], list[str]]) -> TrialOutcome:
    """Writes everything into the trial's scratch folder; `save` writes the model and names its files.

    Of a trial that another one has beaten nothing is written, and its model need not be put together. Pictures are
    left out where the order says so: they can be drawn from the documents.
    """
    fitted, is_beaten = results.fitted, _is_beaten(results.order, results.scored)
    return TrialOutcome(
        best_epoch=fitted.best_epoch,
        stopped_by=fitted.stopped_by,
        metrics=results.scored.metrics,
        classes=results.objective.classes,
        device=_device_name(results.order),
        peak_memory_bytes=peak_memory_bytes(torch.device(results.order.device), results.earlier_peak_bytes),
        micro_batch_size=fitted.micro_batch_size,
        trained_with=dict(results.trained_with),
        files=[] if is_beaten else _write(results, save),
    )


def _write(results: Results, save: Callable[[Path], list[str]]) -> list[OutputFile]:
    order, folder, scored = results.order, results.order.scratch, results.scored
    model, fitted = save(folder), results.fitted
    documents = {
        "split": results.places,
        "curves": {"best_epoch": fitted.best_epoch, "epochs": [vars(record) for record in fitted.curve]},
        **scored.documents,
    }
    for stem, document in documents.items():
        _write_json(folder / f"{stem}.json", document)
    pictures = draw_trial(documents) if order.draws else {}
    for name, content in pictures.items():
        (folder / name).write_bytes(content)
    sections = results.objective.card(scored.metrics, results.description.samples)
    card = card_of(order, results.description, results.dealt, fitted=fitted, sections=sections)
    (folder / "card.md").write_text(card, encoding="utf-8")
    found = [FINDER_FILE] if (folder / FINDER_FILE).is_file() else []
    names = [*model, *(f"{stem}.json" for stem in documents), *pictures, "card.md", *found]
    return [_output(folder, name) for name in names]


def effective(training: TrainingSpec) -> dict[str, object]:
    """What was trained with, where the spec may have left it open."""
    rate = settled(training.learning_rate)
    return {
        "learning_rate": rate,
        "backbone_learning_rate": training.backbone_learning_rate or rate,
        "batch_size": settled(training.batch_size),
    }


def _is_beaten(order: TrialOrder, scored: Scored) -> bool:
    """Whether another trial of the job is better: nobody will ask for more of this one than its scores.

    The other's value went through the database; what differs in the last digits only is the same.
    """
    if order.to_beat is None:
        return False
    metric, other = order.to_beat.metric, order.to_beat.value
    mine: float | None = scored.metrics["validation"][metric.removeprefix("validation_")]
    return mine is None or (is_better(metric, other, mine) and not math.isclose(mine, other, rel_tol=SAME))


def _device_name(order: TrialOrder) -> str:
    name = f"CPU, {order.threads} thread{'s' if order.threads > 1 else ''}"
    if order.device != "cpu":
        name = torch.cuda.get_device_name(order.device)
    return name if order.ranks == 1 else f"{order.ranks} x {name}"


def _output(folder: Path, name: str) -> OutputFile:
    return OutputFile(name, _MEDIA_TYPES[Path(name).suffix], folder / name)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
