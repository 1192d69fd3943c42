"""How far a map can be trusted: measured on the very image and network, and returned with the map."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from worker.backbones.trained import TrainedNetwork
from worker.explaining.baselines import baseline_images
from worker.explaining.curves import EVALUATIONS, Subject, insertion_deletion
from worker.explaining.folded import UNMASKED, quickened
from worker.explaining.meter import Meter
from worker.explaining.randomised import CALIBRATION_IMAGES, randomised
from worker.explaining.results import Attributed, Attribution, ChooseTargets, FloatArray

NOISY_COPIES = 2
RANDOM_MAPS = 3
NOISE = 0.02
"""Standard deviation of the noise, of a pixel's range."""
COMPARED_CELLS = 8
LEAST_GAIN = 0.2
"""Of the range between the answers to the hidden and to the shown image."""
LEAST_RANGE = 0.1
LEAST_STABILITY = 0.5
MOST_RANDOMISATION = 0.9


class Attributes(Protocol):
    """The part of an explainer that is judged."""

    def cost(self, targets: int) -> int:
        """Evaluations for one image."""
        ...

    def sketch(self) -> "Attributes":
        """A cheaper way to maps that can be compared with each other."""
        ...

    def attribute(
        self, trained: TrainedNetwork, batch: Tensor, choose: ChooseTargets, meter: Meter
    ) -> list[Attributed]:
        """The maps of each image of a batch [n, 3, s, s]."""
        ...


@dataclass(frozen=True)
class Quality:
    """What was measured of one map.

    Attributes:
        insertion_auc, deletion_auc: the class's probability as the most attributed pixels appear or vanish.
        random_control: insertion - deletion of random maps of the same resolution, their mean.
        stability: mean rank correlation with the maps of the image under faint noise, in [-1, 1].
        randomisation: |rank correlation| with the map of an untrained network, in [0, 1]: a map that does not care
            what the network learned shows edges, not reasons.
        answer_range: |answer to the shown image - answer to the hidden one|.
        degenerate: there is no map to speak of.
    """

    insertion_auc: float
    deletion_auc: float
    random_control: float
    stability: float
    randomisation: float
    answer_range: float
    degenerate: bool

    @property
    def reliable(self) -> bool:
        """Not degenerate, stable, dependent on what was learned, and better than the random map.

        Better: insertion - deletion exceeds the random map's by `LEAST_GAIN` of the range that the answer has between
        the hidden and the shown image, or of `LEAST_RANGE` where the image hardly moves the answer.
        """
        gain = self.insertion_auc - self.deletion_auc - self.random_control
        return (
            not self.degenerate
            and gain >= LEAST_GAIN * max(self.answer_range, LEAST_RANGE)
            and self.stability >= LEAST_STABILITY
            and self.randomisation <= MOST_RANDOMISATION
        )

    def to_json(self) -> dict[str, Any]:
        """As an explanation reports it."""
        return {
            "deletion_auc": self.deletion_auc,
            "insertion_auc": self.insertion_auc,
            "random_control": self.random_control,
            "stability": self.stability,
            "randomisation": self.randomisation,
            "reliable": self.reliable,
        }


class Judge:
    """Measures the maps of one request; the first target of each image.

    Everything random comes from the seed alone, so an image is judged the same in any batch.
    """

    def __init__(self, explainer: Attributes, seed: int) -> None:
        self._explainer = explainer
        self._sketch = explainer.sketch()
        self._seed = seed
        self._untrained: TrainedNetwork | None = None

    @property
    def cost(self) -> int:
        """Evaluations for one image, the noise that calibrates the untrained network aside."""
        sketches = NOISY_COPIES + 1 + (self._sketch is not self._explainer)
        return 1 + UNMASKED + (1 + RANDOM_MAPS) * EVALUATIONS + sketches * self._sketch.cost(1)

    def judge(
        self, trained: TrainedNetwork, batch: Tensor, attributed: list[Attributed], meter: Meter
    ) -> list[dict[str, Any] | None]:
        """The quality of the first target's map of each image of a batch [n, 3, s, s].

        Raises:
            Stopped: the work was asked to end.
        """
        first = [item.targets[0] for item in attributed]
        clean, noisy, untrained = self._compared(trained, batch, first, meter)
        quick, _, _ = quickened(trained, batch)
        with torch.inference_mode():
            hidden = baseline_images("blur", batch, trained.entry)
            hidden_answers = quick.probabilities(quick.logits(hidden).float()).double().cpu().numpy()
        meter.count(forward=(1 + UNMASKED) * len(batch))
        judged: list[dict[str, Any] | None] = []
        for i, target in enumerate(first):
            c = target.class_index
            subject = Subject(
                batch[i], hidden[i], c, float(attributed[i].probabilities[c]), float(hidden_answers[i, c])
            )
            insertion, deletion, control = self._follows(quick, subject, target.values, meter)
            quality = Quality(
                insertion_auc=insertion,
                deletion_auc=deletion,
                random_control=control,
                stability=float(np.mean([rank_correlation(clean[i], maps[i]) for maps in noisy])),
                randomisation=abs(rank_correlation(clean[i], untrained[i])),
                answer_range=abs(subject.shown_answer - subject.hidden_answer),
                degenerate=target.degenerate,
            )
            judged.append(quality.to_json())
        return judged

    def _follows(
        self, trained: TrainedNetwork, subject: Subject, values: FloatArray, meter: Meter
    ) -> tuple[float, float, float]:
        generator = np.random.default_rng(self._seed)
        scores = []
        for chance in [values, *generator.random((RANDOM_MAPS, *values.shape))]:
            scores.append(insertion_deletion(trained, subject, chance, generator))
            meter.count(forward=EVALUATIONS)
        (insertion, deletion), *random_scores = scores
        control = float(np.mean([appearing - vanishing for appearing, vanishing in random_scores]))
        return insertion, deletion, control

    def _compared(
        self, trained: TrainedNetwork, batch: Tensor, first: list[Attribution], meter: Meter
    ) -> tuple[list[FloatArray], list[list[FloatArray]], list[FloatArray]]:
        """Maps of the images, of the images under noise, and by an untrained network, all at one budget."""
        indices = torch.tensor([[target.class_index] for target in first], device=batch.device)

        def maps(network: TrainedNetwork, images: Tensor) -> list[FloatArray]:
            found = self._sketch.attribute(network, images, lambda _probabilities: indices, meter)
            return [item.targets[0].values for item in found]

        generator = torch.Generator().manual_seed(self._seed)
        scale = NOISE / torch.tensor(trained.entry.std).view(3, 1, 1)
        noise = [(torch.randn(batch.shape[1:], generator=generator) * scale).to(batch) for _ in range(NOISY_COPIES)]
        if self._untrained is None:
            network = randomised(trained.network, batch.shape[-1], generator)
            self._untrained = replace(trained, network=network)
            meter.count(forward=CALIBRATION_IMAGES)
        same = self._sketch is self._explainer
        clean = [target.values for target in first] if same else maps(trained, batch)
        return clean, [maps(trained, batch + one) for one in noise], maps(self._untrained, batch)


def rank_correlation(one: FloatArray, other: FloatArray) -> float:
    """Spearman's correlation of two maps on a common grid of `COMPARED_CELLS` a side; 0 where one is constant."""
    return spearman(_common_grid(one), _common_grid(other))


def spearman(one: FloatArray, other: FloatArray) -> float:
    """Spearman's correlation of [m] and [m]; 0 where one is constant."""
    ranks = [_ranks(values) for values in (one, other)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: FloatArray) -> FloatArray:
    """Each value's rank; equals share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: FloatArray = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def _common_grid(values: FloatArray) -> FloatArray:
    grid = torch.from_numpy(np.ascontiguousarray(values))[None, None]
    pooled: FloatArray = adaptive_avg_pool2d(grid, COMPARED_CELLS).flatten().numpy()
    return pooled
