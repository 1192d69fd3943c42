"""Models kept in memory, least recently used out first, bounded in bytes."""

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch

from service.errors import ArtifactCorrupt, NotFound
from service.store import Artifact, Store
from worker.backbones.trained import FORMAT as IMAGES
from worker.backbones.trained import TrainedNetwork, load_trained
from worker.backbones.trained_text import FORMAT as TEXTS
from worker.backbones.trained_text import TOKENIZER_FILE, TrainedText, load_text
from worker.estimators.table_files import BACKGROUND_FILE, load_table
from worker.estimators.table_files import FORMAT as TABLES
from worker.estimators.trained_table import TrainedTable
from worker.runtime.model_files import CONFIG, weights_name

Model = TrainedNetwork | TrainedText | TrainedTable


class ModelCache:
    """Loads each model once; one serves any number of threads at once."""

    def __init__(self, store: Store, limit_bytes: int, device: torch.device) -> None:
        self._store = store
        self._limit = limit_bytes
        self._device = device
        self._lock = threading.Lock()
        self._loading: dict[str, threading.Lock] = {}
        self._models: OrderedDict[str, tuple[Model, str, int]] = OrderedDict()

    def get(self, model_id: str) -> tuple[Model, str]:
        """The model and its digest.

        Raises:
            NotFound: the model is gone.
            ArtifactCorrupt: its stored bytes do not match their digest, or are no model.
        """
        with self._store.read() as work:
            kept = {str(artifact.name): artifact for artifact in work.artifacts.of(model_id)}
        if CONFIG not in kept:
            raise NotFound("The model is gone.")
        with self._lock:
            turn = self._loading.setdefault(model_id, threading.Lock())
        with turn:
            with self._lock:
                if model_id in self._models:
                    self._models.move_to_end(model_id)
                    model, digest, _ = self._models[model_id]
                    return model, digest
            return self._load(model_id, kept)

    def _load(self, model_id: str, kept: Mapping[str, Artifact]) -> tuple[Model, str]:
        config = json.loads(self._store.artifacts.read_bytes(kept[CONFIG]))
        weights = weights_name(config)
        files = {
            name: self._store.artifacts.read_bytes(kept[name])
            for name in (weights, TOKENIZER_FILE, BACKGROUND_FILE)
            if name in kept
        }
        if weights not in files:
            raise NotFound("The model is gone.")
        model = _load(config, files, self._device)
        self._keep(model_id, (model, kept[weights].sha256, kept[weights].size_bytes))
        return model, kept[weights].sha256

    def _keep(self, model_id: str, entry: tuple[Model, str, int]) -> None:
        with self._lock:
            self._models[model_id] = entry
            held = sum(size for *_, size in self._models.values())
            while held > self._limit and len(self._models) > 1:
                gone, (*_, freed) = self._models.popitem(last=False)
                self._loading.pop(gone, None)
                held -= freed


def _load(config: dict[str, Any], files: Mapping[str, bytes], device: torch.device) -> Model:
    found = config.get("format")
    if found == IMAGES:
        return load_trained(config, files[weights_name(config)], device)
    if found == TEXTS:
        return load_text(config, files, device)
    if found == TABLES:
        return load_table(config, files, device=str(device), threads=torch.get_num_threads())
    raise ArtifactCorrupt("The model's configuration is of another format.")
