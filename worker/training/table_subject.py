"""Tables for the `mlp`: encoded once, by what the train split has taught."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from service.specs.estimators import MlpSpec
from service.specs.jobs import TrainingSpec
from worker.data.batches import Batch, Batches, Loading, epoch_seed
from worker.data.deals import Deal
from worker.estimators.encoding import Encoding
from worker.estimators.network import Network, TableNetwork, build_mlp
from worker.estimators.predictors import Floats
from worker.estimators.table_files import save_table
from worker.training.order import TrialOrder
from worker.training.ranks import synchronised
from worker.training.regression import Regression
from worker.training.subject import Arguments, Description, Subject, optimisation_facts
from worker.training.table_data import TableData, columns_in_words, estimator_of, rows_of


@dataclass
class TableSubject(Subject):
    """A network on encoded rows.

    Attributes:
        encoded: [n, d] float64, all rows of the dataset.
        rows: the same as float32 tensor, for the network.
        values: how its outputs become values, in a regression.
    """

    evaluation_batch_size: int = field(default=4096, init=False)

    network: TableNetwork
    data: TableData
    encoding: Encoding
    encoded: Floats
    rows: Tensor
    values: Regression

    def training_batches(self, _batch_size: int, /) -> Batches:
        """Rows as they are."""
        return Batches(self.rows, self.targets, transform=None, loading=Loading())

    def batch(self, indices: Sequence[int]) -> Batch:
        """Encoded rows [n, d] float32."""
        chosen = list(indices)
        return Batch(self.rows[chosen], self.targets[chosen])

    def arguments(self, inputs: Any) -> Arguments:
        """Encoded rows on the device."""
        return (inputs.to(self.device, non_blocking=True),)

    def trained_parts(self, _epoch: int) -> list[nn.Module]:
        """All of it."""
        return [self.network]

    def depths(self) -> Mapping[int, int]:
        """The head is 0, embeddings are deepest; a hidden layer's norm belongs to it."""
        hidden = [layer for layer in self.network.hidden if any(True for _ in layer.parameters())]
        linear = sum(isinstance(layer, nn.Linear) for layer in hidden)
        depths = {id(parameter): linear + 1 for parameter in self.network.embeddings.parameters()}
        below = linear + 1
        for layer in hidden:
            below -= isinstance(layer, nn.Linear)
            depths |= {id(parameter): below for parameter in layer.parameters()}
        return depths | {id(parameter): 0 for parameter in self.network.head.parameters()}

    def save(self, folder: Path, *, temperature: float, training: Mapping[str, object]) -> list[str]:
        """`config.json`, `model.safetensors`, `background.parquet`."""
        predictor = Network(self.network.eval(), self.device, shift=self.values.mean, scale=self.values.scale)
        train = self.encoded[self.data.dealt["train"]]
        trained = self.data.trained(self.order.spec, self.encoding, train, predictor)
        trained.temperature = temperature
        return save_table(trained, folder, training=dict(training))

    def describe(self, training: TrainingSpec) -> Description:
        """The network and its columns."""
        spec = _mlp(self.order)
        layers = ", ".join(map(str, spec.hidden_sizes)) or "none"
        norm = "with" if spec.batch_norm else "without"
        return Description(
            title="Table model",
            facts={
                "Estimator": f"mlp, hidden layers: {layers}, {norm} batch norm, dropout {spec.dropout:g}",
                "Input": columns_in_words(self.data.table, self.encoding),
            },
            samples="rows",
            training=optimisation_facts(training),
        )

    def places(self, dealt: Deal) -> dict[str, list[Any]]:
        """Row numbers, from 0."""
        return rows_of(dealt)


def table_subject(order: TrialOrder, data: TableData, values: Regression) -> TableSubject:
    """Encodes the rows by their train split and builds the network.

    Raises:
        Invalid: no column can be encoded.
    """
    device = torch.device(order.device)
    encoding = Encoding.fit(data.train, standardise=True, one_hot=False)
    encoded = encoding.encode(data.table)
    torch.manual_seed(epoch_seed(order.spec.seed, 0))
    network = synchronised(build_mlp(encoding, _mlp(order), len(data.classes) or 1), order).to(device)
    rows = torch.from_numpy(encoded.astype(np.float32))
    return TableSubject(
        order=order,
        learned=network,
        head=network.head,
        targets=torch.from_numpy(data.targets),
        device=device,
        network=network,
        data=data,
        encoding=encoding,
        encoded=encoded,
        rows=rows,
        values=values,
    )


def _mlp(order: TrialOrder) -> MlpSpec:
    spec = estimator_of(order.spec)
    assert isinstance(spec, MlpSpec), "other estimators are not networks"
    return spec
