"""The `mlp`: embeddings of categories beside standardised numbers, then hidden layers. The one module with torch.

Embeddings follow Guo and Berkhahn 2016 (entity embeddings of categorical variables).
"""

from dataclasses import dataclass

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from service.errors import ArtifactCorrupt
from service.specs.estimators import MlpSpec
from worker.estimators.encoding import Encoding
from worker.estimators.predictors import Floats


class TableNetwork(nn.Module):
    """[n, d] float32 encoded rows → [n, outputs]."""

    numeric_columns: Tensor

    def __init__(self, encoding: Encoding, spec: MlpSpec, outputs: int) -> None:
        super().__init__()
        self.categorical = list(encoding.categories)
        self.numeric = [position for position in range(encoding.width) if position not in encoding.categories]
        self.register_buffer("numeric_columns", torch.tensor(self.numeric, dtype=torch.int64), persistent=False)
        self.embeddings = nn.ModuleList(
            _embedding(count, spec.embedding_size) for count in encoding.categories.values()
        )
        width = len(self.numeric) + sum(table.embedding_dim for table in self.embeddings)  # type: ignore[misc]
        layers: list[nn.Module] = []
        for size in spec.hidden_sizes:
            layers.append(nn.Linear(width, size))
            layers.extend([nn.BatchNorm1d(size)] if spec.batch_norm else [])
            layers.extend([nn.ReLU(), nn.Dropout(spec.dropout)])
            width = size
        self.hidden = nn.Sequential(*layers)
        self.head = nn.Linear(width, outputs)

    def embed(self, encoded: Tensor) -> Tensor:
        """[n, d] → [n, w]: the numeric columns, then each category's embedding."""
        parts = [encoded[:, self.numeric_columns]]  # a list would be copied to the GPU in every pass
        for position, table in zip(self.categorical, self.embeddings, strict=True):
            parts.append(table(encoded[:, position].long()))
        return torch.cat(parts, dim=1)

    def from_embedded(self, embedded: Tensor) -> Tensor:
        """[n, w] → [n, outputs]."""
        result: Tensor = self.head(self.hidden(embedded))
        return result

    def forward(self, encoded: Tensor) -> Tensor:
        """[n, d] → [n, outputs]."""
        return self.from_embedded(self.embed(encoded))


def build_mlp(encoding: Encoding, spec: MlpSpec, outputs: int) -> TableNetwork:
    """A fresh network; its weights come from torch's global generator.

    The embedding of index 0 (unseen, rare or missing) begins at zero, and stays there if train has no such row.
    """
    return TableNetwork(encoding, spec, outputs)


@dataclass(frozen=True)
class Network:
    """A trained network: `network(encoded) * scale + shift`.

    Attributes:
        network: [n, d] float32 → [n, c]; in evaluation mode, frozen.
        shift, scale: from a regression's standardised outputs to the target's units; 0 and 1 otherwise.
    """

    network: nn.Module
    device: torch.device
    shift: float = 0.0
    scale: float = 1.0

    def outputs(self, encoded: Floats) -> Floats:
        """[n, d] → [n, c]."""
        with torch.inference_mode():
            rows = torch.from_numpy(encoded.astype(np.float32)).to(self.device)
            result: Floats = self.network(rows).double().cpu().numpy()
        return result * self.scale + self.shift

    def to_safetensors(self) -> bytes:
        """The network's state; equal states give equal bytes."""
        state = {name: value.detach().cpu().contiguous() for name, value in self.network.state_dict().items()}
        return save(state, metadata={"format": "pt"})

    def load_safetensors(self, content: bytes) -> "Network":
        """Itself, with the weights of `to_safetensors`, frozen and in evaluation mode.

        Raises:
            ArtifactCorrupt: not safetensors, or of another network.
        """
        try:
            self.network.load_state_dict(load(content))
        except (SafetensorError, RuntimeError) as error:
            raise ArtifactCorrupt("The model's weights do not fit its configuration.") from error
        self.network.requires_grad_(False).eval().to(self.device)
        return self


def _embedding(count: int, size: int | None) -> nn.Embedding:
    table = nn.Embedding(count, size if size is not None else min(50, count // 2 or 1))
    with torch.no_grad():
        table.weight[0].zero_()
    return table
