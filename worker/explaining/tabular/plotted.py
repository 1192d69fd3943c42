"""What a beeswarm shows: attributions and values of many rows as arrays, for one class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.errors import Fault, Invalid
from service.specs.tables import NUMBER_KINDS, ColumnSchema
from worker.explaining.results import Explanation, ItemExplanation, TargetExplanation
from worker.explaining.tabular.question import Floats
from worker.explaining.tabular.raw_values import as_number


@dataclass(frozen=True)
class Plotted:
    """Rows as arrays.

    Attributes:
        attributions: [n, p].
        numbers: [n, p] values of the columns, NaN where missing or without an order.
        coloured: [p] whether the values have an order.
        axis_label: what is attributed, and to which answer.
    """

    names: list[str]
    attributions: Floats
    numbers: Floats
    coloured: list[bool]
    axis_label: str


def plotted(explanation: Explanation, schema: Sequence[ColumnSchema], label: str | None) -> Plotted:
    """The rows' attributions to `label`; by default to the second of two classes, else to each predicted class.

    What speaks for one of two classes speaks against the other by as much, in every space: where only the other was
    explained, its attributions are turned around.

    Raises:
        Invalid: `label` was not explained.
    """
    classes = list(explanation.items[0].prediction.get("probabilities", {})) if explanation.items else []
    shown = classes[1] if label is None and len(classes) == 2 else label
    rows, numbers = [], []
    for item in explanation.items:
        target, sign = _target(item, classes, shown)
        rows.append([sign * one["attribution"] for one in target.attributions])
        kinds = [column.kind for column in schema]
        numbers.append([as_number(one["value"], kind) for one, kind in zip(target.attributions, kinds, strict=True)])
    space = explanation.items[0].targets[0].space.replace("_", "-") if explanation.items else "value"
    to = f" of {shown}" if shown is not None else " of the predicted class" if classes else ""
    return Plotted(
        names=[column.name for column in schema],
        attributions=np.array(rows).reshape(len(rows), len(schema)),
        numbers=np.array(numbers).reshape(len(rows), len(schema)),
        coloured=[column.kind in NUMBER_KINDS for column in schema],
        axis_label=f"attribution to the {space}{to}",
    )


def _target(item: ItemExplanation, classes: list[str], shown: str | None) -> tuple[TargetExplanation, float]:
    if shown is None:
        return item.targets[0], 1.0
    for target in item.targets:
        if target.label == shown:
            return target, 1.0
    if len(classes) == 2 and shown in classes:
        return item.targets[0], -1.0
    message = "This label was not explained for every row."
    raise Invalid("A label was not explained.", errors=[Fault(("label",), "unknown-label", message)])
