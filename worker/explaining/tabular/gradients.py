"""Expected gradients (Erion et al. 2021, equation 3) of an `mlp`, vectorised over background rows and positions."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worker.estimators.network import Network, TableNetwork
from worker.estimators.trained_table import TrainedTable
from worker.explaining.meter import Meter
from worker.explaining.results import Space
from worker.explaining.tabular.background import Background
from worker.explaining.tabular.question import Floats, Question, RowAttribution, in_space, margin_space

EVALUATIONS = 1000
TOLERANCE = 0.05
"""Of the range of the answers to the row and to the background."""
ROWS_AT_ONCE = 4096


class ExpectedGradients:
    """The method `shap` by gradients, for an `mlp` on request: straight lines from each background row to the row.

    In log-odds, logits or values. A category moves along the line between two embeddings, and its column gets what
    all numbers of the embedding get. The positions on each line are stratified, so that the error of completeness,
    which is returned, falls faster than with independent draws.
    """

    name = "gradient"
    sampled = True

    def __init__(self, background: Background, evaluations: int | None, seed: int) -> None:
        self._background = background
        self._evaluations = evaluations
        self._seed = seed
        self._positions = math.ceil((evaluations or EVALUATIONS) / background.rows)

    @property
    def parameters(self) -> dict[str, Any]:
        """As used: `evaluations` is a multiple of the background rows."""
        return {
            "explainer": self.name,
            "background_rows": self._background.rows,
            "evaluations": self._positions * self._background.rows,
        }

    @property
    def baseline(self) -> dict[str, Any]:
        """Where the lines begin."""
        return self._background.to_json()

    def space(self, question: Question) -> Space:
        """What is taken apart."""
        return margin_space(question.trained)

    def cost(self, columns: int, targets: int) -> int:
        """Rows sent through the model for one row, forth and back."""
        del columns
        return (1 + targets) * self._positions * self._background.rows

    def reseeded(self, seed: int) -> "ExpectedGradients":
        """The same with other positions on the lines."""
        return ExpectedGradients(self._background, self._evaluations, seed)

    def attribute(self, question: Question, meter: Meter) -> list[list[RowAttribution]]:
        """The expected gradients of each row's targets; every row gets the same positions, whatever the batch.

        Raises:
            Stopped: the work was asked to end.
        """
        trained, space = question.trained, self.space(question)
        ends = in_space(trained, trained.outputs(self._background.encoded), space)
        meter.count(forward=len(ends))
        answers = in_space(trained, question.outputs, space)
        lines = Lines(trained, self._background.encoded, self._seed, self._positions)
        found = []
        for row, answer, targets in zip(question.encoded, answers, question.targets, strict=True):
            gains = lines.gains(row, targets, space, meter)
            of_row = []
            for target, values in zip(targets, gains, strict=True):
                base = float(ends[:, target].mean())
                reached = np.append(ends[:, target], answer[target])
                limit = TOLERANCE * float(np.ptp(reached))
                of_row.append(RowAttribution(target, values, base, base + float(values.sum()), limit))
            found.append(of_row)
        return found


class Lines:
    """Straight lines in the space of embeddings, from each of b background rows, with k positions on each."""

    def __init__(self, trained: TrainedTable, background: Floats, seed: int, positions: int) -> None:
        predictor = trained.predictor
        assert isinstance(predictor, Network)
        assert isinstance(predictor.network, TableNetwork)
        self._trained = trained
        self._predictor = predictor
        self._network = predictor.network
        self._starts = self._embedded(background)
        self._positions = torch.from_numpy(_stratified(len(background), positions, seed)).to(self._starts)
        self._column_of = self._columns()

    def gains(self, row: Floats, targets: list[int], space: Space, meter: Meter) -> Floats:
        """[t, p]: along the lines to a row [d], what each column adds to each target.

        Raises:
            Stopped: the work was asked to end.
        """
        end = self._embedded(row[None])
        per_step = max(1, ROWS_AT_ONCE // self._positions.shape[1])
        total = np.zeros((len(targets), end.shape[1]))
        for start in range(0, len(self._starts), per_step):
            starts = self._starts[start : start + per_step, None]
            positions = self._positions[start : start + per_step, :, None]
            points = (starts + positions * (end - starts)).flatten(0, 1).requires_grad_(True)
            moved = (end - starts).expand(-1, positions.shape[1], -1).flatten(0, 1)
            answers = self._answers(points, space)
            for place, target in enumerate(targets):
                (slopes,) = torch.autograd.grad(answers[:, target].sum(), points, retain_graph=True)
                total[place] += (slopes * moved).double().sum(dim=0).cpu().numpy()
            meter.count(forward=len(points), backward=len(points) * len(targets))
        values = np.zeros((len(targets), len(self._trained.schema)))
        np.add.at(values.T, self._column_of, total.T / self._positions.numel())
        return values

    def _answers(self, embedded: Tensor, space: Space) -> Tensor:
        """[s, w] to [s, c], with a graph."""
        outputs = self._network.from_embedded(embedded) * self._predictor.scale + self._predictor.shift
        if space == "value":
            return outputs
        scaled = outputs / self._trained.temperature
        return scaled - scaled.flip(1) if space == "log_odds" else scaled

    def _embedded(self, encoded: Floats) -> Tensor:
        with torch.no_grad():
            return self._network.embed(torch.from_numpy(encoded.astype(np.float32)).to(self._predictor.device))

    def _columns(self) -> NDArray[np.int64]:
        """[w]: the user's column that each number of an embedded row belongs to."""
        owner = {
            position: column
            for column, group in enumerate(self._trained.encoding.groups)
            for position in range(group.start, group.stop)
        }
        widths = [int(table.embedding_dim) for table in self._network.embeddings]  # type: ignore[arg-type]
        columns = [owner[position] for position in self._network.numeric]
        for position, width in zip(self._network.categorical, widths, strict=True):
            columns += [owner[position]] * width
        return np.array(columns, dtype=np.int64)


def _stratified(rows: int, positions: int, seed: int) -> Floats:
    """[b, k] in (0, 1): one in each k-th for every row, and all together one in each (b k)-th."""
    generator = np.random.default_rng(seed)
    within = np.stack([generator.permutation(rows) for _ in range(positions)], axis=1)
    found: Floats = (np.arange(positions) + (within + generator.random((rows, positions))) / rows) / positions
    return found
