"""Small text datasets and trial orders on small random transformers."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

from service.specs.jobs import JobSpec
from service.specs.resolving import DatasetFacts, resolve
from service.specs.text_files import TextColumns
from tests.worker.backbones.tiny_texts import WORDS, write_backbone
from worker.backbones.sources import WeightSources
from worker.data.disk_cache import DiskCache
from worker.data.texts.validation import validate_texts
from worker.training.order import TrialOrder

DECISIVE = {"games": "game", "sound": "music"}


def planted(per_class: int = 30) -> list[dict[str, str]]:
    """Random words around one that decides the class."""
    generator = random.Random(0)
    others = [word for word in WORDS.split() if word not in DECISIVE.values()]
    rows = []
    for number in range(per_class):
        for label, word in DECISIVE.items():
            words = generator.sample(others, generator.randint(2, 9))
            words.insert(generator.randrange(len(words)), word)
            rows.append({"text": " ".join(words), "label": label, "group": str(number % 9)})
    return rows


def text_spec(**changes: Any) -> JobSpec:
    request: dict[str, Any] = {
        "dataset_id": "ds_x",
        "problem": "text_classification",
        "training": {
            "epochs": 3,
            "batch_size": 8,
            "learning_rate": 0.01,
            "backbone_learning_rate": 0.01,
            "max_tokens": 40,
        }
        | changes.pop("training", {}),
        **changes,
    }
    return resolve(JobSpec.model_validate(request), DatasetFacts(("text_classification",), 60, longest_tokens=40))


def text_order(folder: Path, job: JobSpec, *, scratch: str = "scratch", **more: Any) -> TrialOrder:
    """An order on the planted dataset; cache and network are shared by all orders of that folder."""
    upload, samples = folder / "upload.jsonl", folder / "samples.parquet"
    if not upload.exists():
        rows = more.pop("rows", None) or planted()
        upload.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
        write_backbone(folder, job.network.name)
    found = validate_texts(
        upload, TextColumns(), output=samples, sources=WeightSources(), progress=lambda done, total: None
    )
    (folder / scratch).mkdir(exist_ok=True)
    return TrialOrder(
        spec=job,
        archive=samples,
        manifest=found.manifest,
        dataset_digest=hashlib.sha256(upload.read_bytes()).hexdigest(),
        scratch=folder / scratch,
        cache=more.pop("cache", DiskCache(folder / "cache", budget_bytes=10**9)),
        sources=WeightSources(folder),
        **more,
    )


def without_dropout(backbone: Path) -> None:
    """Takes the dropout out of the body of a written BERT."""
    config = backbone / "config.json"
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config.write_text(json.dumps(json.loads(config.read_text()) | still))
