"""All texts of a dataset as tokens, and what a frozen network makes of them: each computed once, kept in files."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from worker.backbones.tokens import TextEncoder, Tokens
from worker.data.device_memory import Halving
from worker.data.disk_cache import DiskCache, NoRoom
from worker.data.feature_cache import weights_digest
from worker.data.mapped import TensorFile

_AT_ONCE = 256
_BATCH = 64
Tick = Callable[[], None]


@dataclass(frozen=True)
class TokenTable:
    """n texts, m tokens at most.

    Attributes:
        rows: [n, 2 + m] int32: how many tokens, whether the text was cut, the token ids.
        pad_id: what fills batches up.
        key: names the tokenizer and its limits.
    """

    rows: Tensor
    pad_id: int
    key: str

    @property
    def lengths(self) -> Tensor:
        """[n] tokens of each text."""
        return self.rows[:, 0]

    @property
    def truncated(self) -> int:
        """How many texts were cut."""
        return int(self.rows[:, 1].sum())

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Ids [b, l] int64, as long as the longest of them, and mask [b, l]."""
        chosen = self.rows[list(indices)]
        places = torch.arange(int(chosen[:, 0].max()))
        mask = (places < chosen[:, :1]).to(torch.int64)
        ids = chosen[:, 2 : 2 + len(places)].to(torch.int64)
        return torch.where(mask.bool(), ids, self.pad_id), mask

    def by_length(self) -> list[int]:
        """The texts from the shortest to the longest."""
        order: list[int] = torch.argsort(self.lengths, stable=True).tolist()
        return order


def tokenised(texts: Sequence[str], encoder: TextEncoder, *, dataset: str, cache: DiskCache, tick: Tick) -> TokenTable:
    """The tokens of all texts of `dataset`, from the cache if it has them; in memory where it has no room.

    `tick` is called every few texts, and while another process makes them, and may raise to stop.
    """
    facts = f"{encoder.tokenizer.to_str()}\0{encoder.max_tokens}\0{encoder.pad_id}"
    key = hashlib.sha256(facts.encode()).hexdigest()
    shape = (len(texts), 2 + encoder.max_tokens)

    def fill(memory: NDArray[Any]) -> None:
        for start in range(0, len(texts), _AT_ONCE):
            tick()
            _write(memory[start : start + _AT_ONCE], encoder.encode(texts[start : start + _AT_ONCE]))

    try:
        rows = TensorFile(dataset, f"tokens-{key}.i32", np.int32, shape).get(cache, fill, tick=tick, optional=True)
    except NoRoom:
        made = np.zeros(shape, dtype=np.int32)
        fill(made)
        rows = torch.from_numpy(made)
    return TokenTable(rows, encoder.pad_id, key)


def text_features(tokens: TokenTable, body: nn.Module, *, dataset: str, cache: DiskCache, tick: Tick) -> Tensor:
    """[n, d] float32 on the CPU: what `body`, in evaluation mode, makes of the texts, alike ones in length together.

    From the cache if it has them; in memory where it has no room.
    """
    body = body.eval()
    file_name = f"features-{weights_digest({'tokens': tokens.key}, body)}.f32"
    device = next(body.parameters()).device
    halving = Halving(device, _BATCH)

    def outputs(indices: Sequence[int]) -> Tensor:
        ids, mask = tokens.batch(indices)
        return halving.outputs(body, ids.to(device), mask.to(device))

    def fill(memory: Any) -> None:
        order, start = tokens.by_length(), 0
        with torch.inference_mode():
            while start < len(order):
                tick()
                chosen = order[start : start + halving.batch_size]
                memory[chosen] = outputs(chosen).numpy()
                start += len(chosen)

    with torch.inference_mode():
        width = outputs([0]).shape[1]
    shape = (len(tokens.rows), width)
    try:
        return TensorFile(dataset, file_name, np.float32, shape).get(cache, fill, tick=tick, optional=True)
    except NoRoom:
        made = np.empty(shape, dtype=np.float32)
        fill(made)
        return torch.from_numpy(made)


def _write(memory: NDArray[Any], tokens: Tokens) -> None:
    memory[:, 0] = tokens.mask.sum(dim=1).numpy()
    memory[:, 1] = tokens.truncated
    memory[:, 2 : 2 + tokens.ids.shape[1]] = tokens.ids.numpy()
