"""Numbers that a trial computes with: float32, or mixed precision."""

from contextlib import AbstractContextManager
from typing import Literal

import torch


class Precision:
    """Autocast and loss scaling.

    `auto` is float32 on a CPU; on CUDA bfloat16 where the GPU has it, else float16. Only float16 needs its losses
    scaled. float16 is not for CPUs: there it becomes float32, and `replaced` says so.
    """

    def __init__(self, wanted: Literal["auto", "float32", "bfloat16", "float16"], device: torch.device) -> None:
        self.device = device
        self.replaced = device.type == "cpu" and wanted == "float16"
        self.dtype = _dtype("float32" if self.replaced else wanted, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype == torch.float16)

    def autocast(self) -> AbstractContextManager[object]:
        """A context for forward passes and losses."""
        enabled = self.dtype != torch.float32
        return torch.autocast(self.device.type, self.dtype if enabled else torch.bfloat16, enabled=enabled)


def _dtype(wanted: str, device: torch.device) -> torch.dtype:
    if wanted == "auto" and device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(wanted, torch.float32)
