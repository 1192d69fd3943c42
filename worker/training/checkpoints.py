"""Resumable state after each epoch: safetensors and JSON, never half written, never trusted without its digest."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """The state after `epoch`.

    Attributes:
        facts: JSON: the curve, the step, the loss scale.
        tensors: of the network, its average and the optimizer.
        best: of the network (or its average) at the best epoch so far.
    """

    epoch: int
    facts: dict[str, object]
    tensors: Tensors
    best: Tensors


class Checkpoints:
    """The checkpoints in one folder; the last two are kept.

    A checkpoint counts once its JSON is there, as that is renamed into place last. It names its tensor files with
    their SHA-256 and the order that it belongs to; whatever does not match is passed over for the one before.
    """

    def __init__(self, folder: Path, order: str) -> None:
        self.folder, self.order = folder, order
        self._best_file: dict[str, str] = {}

    def save(self, checkpoint: Checkpoint, *, best_is_new: bool) -> None:
        """Writes `checkpoint`; its `best` only if new since the last one. Older checkpoints are removed, and what was
        written of this one if it cannot be finished.

        Raises:
            OSError, SafetensorError: disk full or unwritable; the checkpoint before still counts.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._write(checkpoint, best_is_new=best_is_new)
        finally:
            self._remove_old()

    def _write(self, checkpoint: Checkpoint, *, best_is_new: bool) -> None:
        name = f"epoch-{checkpoint.epoch:05d}"
        if best_is_new or not self._best_file:
            file = f"best-{checkpoint.epoch:05d}.safetensors"
            self._best_file = {"file": file, "sha256": self._write_tensors(file, checkpoint.best)}
        tensors = f"{name}.safetensors"
        document = {
            "order": self.order,
            "epoch": checkpoint.epoch,
            "facts": checkpoint.facts,
            "tensors": {"file": tensors, "sha256": self._write_tensors(tensors, checkpoint.tensors)},
            "best": self._best_file,
        }
        text = json.dumps(document)
        sealed = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "document": text}
        temporary = self.folder / f".{name}.json"
        temporary.write_text(json.dumps(sealed), "utf-8")
        temporary.replace(self.folder / f"{name}.json")

    def latest(self) -> Checkpoint | None:
        """The newest whole checkpoint of this order, or None."""
        for path in sorted(self.folder.glob("epoch-*.json"), reverse=True):
            try:
                document = self._document(path)
                tensors, best = self._tensors(document["tensors"]), self._tensors(document["best"])
            except (OSError, ValueError, KeyError, TypeError, SafetensorError):
                continue
            self._best_file = document["best"]
            return Checkpoint(document["epoch"], document["facts"], tensors, best)
        return None

    def _document(self, path: Path) -> dict[str, Any]:
        sealed = json.loads(path.read_text("utf-8"))
        if hashlib.sha256(sealed["document"].encode()).hexdigest() != sealed["sha256"]:
            raise ValueError("damaged")
        document: dict[str, Any] = json.loads(sealed["document"])
        if document["order"] != self.order:
            raise ValueError("of another order")
        return document

    def _tensors(self, entry: dict[str, str]) -> Tensors:
        content = (self.folder / entry["file"]).read_bytes()
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise ValueError("damaged")
        return load(content)

    def _write_tensors(self, name: str, tensors: Tensors) -> str:
        """Writes them under `name`; returns the file's SHA-256."""
        temporary = self.folder / f".{name}"
        save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, temporary)
        with temporary.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        temporary.replace(self.folder / name)
        return digest

    def _remove_old(self) -> None:
        kept = sorted(self.folder.glob("epoch-*.json"))[-2:]
        names = {file for path in kept for file in (path.name, f"{path.stem}.safetensors", *self._best_of(path))}
        for path in self.folder.iterdir():
            if path.name not in names:
                path.unlink(missing_ok=True)

    def _best_of(self, path: Path) -> list[str]:
        try:
            return [self._document(path)["best"]["file"]]
        except (OSError, ValueError, KeyError, TypeError):
            return []
