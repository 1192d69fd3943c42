"""Networks kept in memory, least recently used out first, bounded in bytes."""

import json
import threading
from collections import OrderedDict

import torch

from service.errors import NotFound
from service.store import Store
from worker.backbones.trained import TrainedNetwork, load_trained

CONFIG, WEIGHTS = "config.json", "model.safetensors"


class ModelCache:
    """Loads each model once; one network serves any number of threads at once."""

    def __init__(self, store: Store, limit_bytes: int, device: torch.device) -> None:
        self._store = store
        self._limit = limit_bytes
        self._device = device
        self._lock = threading.Lock()
        self._loading: dict[str, threading.Lock] = {}
        self._networks: OrderedDict[str, tuple[TrainedNetwork, int]] = OrderedDict()

    def get(self, model_id: str) -> tuple[TrainedNetwork, str]:
        """The network and its digest.

        Raises:
            NotFound: the model is gone.
            ArtifactCorrupt: its stored bytes do not match their digest.
        """
        with self._store.read() as work:
            kept = {artifact.name: artifact for artifact in work.artifacts.of(model_id)}
        config, weights = kept.get(CONFIG), kept.get(WEIGHTS)
        if config is None or weights is None:
            raise NotFound("The model is gone.")
        with self._lock:
            turn = self._loading.setdefault(model_id, threading.Lock())
        with turn:
            with self._lock:
                if model_id in self._networks:
                    self._networks.move_to_end(model_id)
                    return self._networks[model_id][0], weights.sha256
            described = json.loads(self._store.artifacts.read_bytes(config))
            network = load_trained(described, self._store.artifacts.read_bytes(weights), self._device)
            self._keep(model_id, network, weights.size_bytes)
        return network, weights.sha256

    def _keep(self, model_id: str, network: TrainedNetwork, size: int) -> None:
        with self._lock:
            self._networks[model_id] = (network, size)
            held = sum(size for _, size in self._networks.values())
            while held > self._limit and len(self._networks) > 1:
                gone, (_, freed) = self._networks.popitem(last=False)
                self._loading.pop(gone, None)
                held -= freed
