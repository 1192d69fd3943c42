"""SHAP for texts: Owen values of words, neighbours sharing a region longest."""

from typing import Any

from service.specs.explanations import MethodParameters
from worker.backbones.trained_text import TrainedText
from worker.explaining.meter import Meter
from worker.explaining.partition_tree import FloatArray, Mask, owen_values_of_row
from worker.explaining.results import Attribution, Space
from worker.explaining.text.subject import HiddenWords, Subject, hidden_shows

EVALUATIONS = 500
AT_ONCE = 32
"""Variants in a round of the exploration, however many go through at once."""
SKETCH_EVALUATIONS = 128


class TextPartition:
    """The method `shap` for texts, in probabilities. The budget holds the serving answer and the hidden text's.

    Up to 24 words, 500 evaluations reach every single word in every context; of longer texts, what is not reached is
    spread evenly over neighbours (see `partition_tree`).
    """

    name = "partition"
    space: Space = "probability"

    def __init__(self, asked: MethodParameters) -> None:
        self._asked = asked
        self.evaluations = asked.evaluations or EVALUATIONS

    @property
    def parameters(self) -> dict[str, Any]:
        """As used; `batch_size` null: as many as go through quickly."""
        return {"explainer": self.name, "evaluations": self.evaluations, "batch_size": self._asked.batch_size}

    def baseline(self, trained: TrainedText) -> dict[str, Any]:
        """What hidden words showed."""
        return hidden_shows(trained)

    def cost(self, targets: int) -> int:
        """Evaluations for one text at most, however many `targets`; the serving answer is one of them."""
        del targets
        return self.evaluations

    def sketch(self) -> "TextPartition":
        """The same method on a small budget, for attributions that are compared rather than shown."""
        if self.evaluations <= SKETCH_EVALUATIONS:
            return self
        return TextPartition(self._asked.model_copy(update={"evaluations": SKETCH_EVALUATIONS}))

    def attribute(self, trained: TrainedText, subject: Subject, targets: list[int], meter: Meter) -> list[Attribution]:
        """The Owen values of the words, for each target.

        Raises:
            Stopped: the work was asked to end.
        """
        answers = HiddenWords(trained, subject, targets, meter, batch_size=self._asked.batch_size)

        def game(masks: Mask) -> FloatArray:
            return answers(masks[:, 0])

        owen = owen_values_of_row(
            game, units=len(subject.words), evaluations=self.evaluations - 1, batch_size=AT_ONCE,
            full=subject.probabilities[targets],
        )  # fmt: skip
        return owen.of(targets)
