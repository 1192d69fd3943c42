"""Steps that are only tried: what they do to the network is undone."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from worker.training.setting import Setting


@contextmanager
def undone(setting: Setting) -> Iterator[None]:
    """A block after which weights, statistics, gradients, loss scale and generators are what they were before it."""
    network, scaler = setting.learned, setting.precision.scaler
    state = {name: value.clone() for name, value in network.state_dict().items()}
    scale = scaler.state_dict()
    with torch.random.fork_rng(devices=[setting.device] if setting.device.type == "cuda" else []):
        try:
            yield
        finally:
            network.load_state_dict(state)
            network.zero_grad(set_to_none=True)
            if scale:
                scaler.load_state_dict(scale)
