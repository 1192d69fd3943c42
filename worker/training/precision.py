"""Numbers that a trial computes with: float32, or mixed precision."""

from contextlib import AbstractContextManager
from typing import Literal

import torch


class Precision:
    """Autocast and loss scaling.

    `auto` is float32 on a CPU; on CUDA bfloat16 where the GPU has it, else float16. Only float16 needs its losses
    scaled. float16 is not for CPUs: there it becomes float32. bfloat16 is not for GPUs that only emulate it, as cuDNN
    has no engines for it there: it becomes float16.

    Attributes:
        replaced: a sentence where another precision is taken than was wanted.
    """

    def __init__(self, wanted: Literal["auto", "float32", "bfloat16", "float16"], device: torch.device) -> None:
        self.device = device
        self.dtype = _dtype(wanted, device)
        self.replaced: str | None = None
        if wanted != "auto" and self.name != wanted:
            where = "CPUs" if device.type == "cpu" else "this GPU"
            self.replaced = f"{wanted} is not for {where}; the trial computes in {self.name}."
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype == torch.float16)

    @property
    def name(self) -> str:
        """As a spec has it."""
        return str(self.dtype).removeprefix("torch.")

    def autocast(self) -> AbstractContextManager[object]:
        """A context for forward passes and losses."""
        enabled = self.dtype != torch.float32
        return torch.autocast(self.device.type, self.dtype if enabled else torch.bfloat16, enabled=enabled)


def _dtype(wanted: str, device: torch.device) -> torch.dtype:
    if wanted in ("auto", "bfloat16") and device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu" and wanted == "float16":
        return torch.float32
    return {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(wanted, torch.float32)
