"""The column to be learned: as classes, as numbers, or as either."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, TargetInvalid
from service.specs.archive_paths import show_path
from service.specs.cell_values import number_text, parse_number
from service.specs.csv_reader import MAX_FAULTS
from service.specs.tables import ColumnKind, TargetProfile
from worker.data.tables.cells import Cells, Floats, NumberCells, RawTable, TextCells
from worker.data.tables.kinds import infer_kind, read_as

MIN_PER_CLASS = 3
MAX_CLASSES = 1000
MAX_INTEGER_CLASSES = 20
Problem = Literal["tabular_classification", "tabular_regression"]


@dataclass(frozen=True)
class Target:
    """What can be learned of the target, the default first.

    Attributes:
        classes: [n] object array of str where it can be classified.
        values: [n] float64 where it can be regressed.
    """

    name: str
    problems: list[Problem]
    classes: NDArray[Any] | None
    values: Floats | None

    def profile(self) -> TargetProfile:
        """Its classes with their counts, its spread, or both."""
        counts = Counter() if self.classes is None else Counter(self.classes.tolist())
        spread = {} if self.values is None else spread_of(self.values)
        classes = {label: counts[label] for label in sorted(counts)}
        return TargetProfile(name=self.name, problems=list(self.problems), classes=classes, **spread)


def spread_of(values: Floats) -> dict[str, float]:
    """Minimum, maximum and mean of numbers without NaN; of none nothing."""
    if not len(values):
        return {}
    with np.errstate(over="ignore"):
        mean = float(values.mean())
    if not np.isfinite(mean):  # the sum of the largest floats is not
        mean = float(np.sum(values / len(values)))
    return {"minimum": float(values.min()), "maximum": float(values.max()), "mean": mean}


def read_target(table: RawTable, name: str, kind: ColumnKind | None) -> Target:
    """The target of a table, without regard to how many rows its classes have: see `settle`.

    Text and booleans are classes. Numbers are values; whole numbers with at most `MAX_INTEGER_CLASSES` different ones
    may be either, classes first, or values first where `kind` says that they are numeric.

    Raises:
        TargetInvalid: missing or infinite values (`errors` names up to 100 rows), a time, a single value.
        Invalid: a value is not of the `kind` asked for.
    """
    raw = table.cells(name)
    missing = np.flatnonzero(~raw.present)
    if len(missing):
        raise _rows_at_fault(table, name, missing, "missing")
    inferred = kind or infer_kind(raw)
    if inferred == "datetime":
        raise TargetInvalid(f"The target {show_path(name)} is a time; a target is a class or a number.")
    if inferred == "numeric":
        return _numbers(table, name, raw, classes_first=kind is None)
    text = raw.as_text() if isinstance(raw, NumberCells) else raw
    if inferred == "boolean":
        read_as(raw, "boolean", name, table)  # where `columns` says so, it has to be
        text = _one_spelling(text)
    if len(text.texts) < 2:
        raise _one_value(name)
    return Target(name, ["tabular_classification"], text.objects(), None)


def settle(target: Target, digests: Sequence[str]) -> Target:
    """Drops what cannot be learned: classes with fewer than `MIN_PER_CLASS` rows that differ from all others.

    Of rows with equal features under several classes, the first class has them, as in a deal.

    Raises:
        TargetInvalid: nothing is left; `errors` names up to 100 classes.
    """
    if target.classes is None:
        return target
    owners: dict[str, str] = {}
    for digest, label in zip(digests, target.classes.tolist(), strict=True):
        owners.setdefault(digest, label)
    distinct = Counter(owners.values())
    labels = sorted(set(target.classes.tolist()))
    small = [label for label in labels if distinct[label] < MIN_PER_CLASS]
    if not small and len(labels) <= MAX_CLASSES:
        return target
    if target.values is not None:
        return Target(target.name, ["tabular_regression"], None, target.values)
    shown = show_path(target.name)
    if small:
        faults = [Fault(("class", show_path(label)), "too-few-rows", "The class has too few rows.") for label in small]
        text = f"Each class of the target {shown} needs at least {MIN_PER_CLASS} different rows; {len(small)} have not."
        raise TargetInvalid(text, errors=faults[:MAX_FAULTS])
    raise TargetInvalid(f"The target {shown} has {len(labels)} classes; at most {MAX_CLASSES} are learned.")


def _numbers(table: RawTable, name: str, raw: Cells, *, classes_first: bool) -> Target:
    """As `read_target`, of numbers."""
    if isinstance(raw, NumberCells) and raw.kind == "numeric":
        values = raw.values
    else:
        text = raw.as_text() if isinstance(raw, NumberCells) else raw
        endless = text.rows_of(lambda cell: math.isinf(parse_number(cell) or 0.0))
        if len(endless):
            raise _rows_at_fault(table, name, endless, "not finite")
        found = read_as(text, "numeric", name, table)
        assert isinstance(found, NumberCells), "it was read as numbers"
        values = found.values
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise _rows_at_fault(table, name, infinite, "not finite")
    distinct = np.unique(values)
    if len(distinct) < 2:
        raise _one_value(name)
    if len(distinct) > MAX_INTEGER_CLASSES or (distinct != np.round(distinct)).any():
        return Target(name, ["tabular_regression"], None, values)
    names = np.array([number_text(float(value)) for value in distinct], dtype=object)
    both: list[Problem] = ["tabular_classification", "tabular_regression"]
    return Target(name, both if classes_first else both[::-1], names[np.searchsorted(distinct, values)], values)


def _one_spelling(text: TextCells) -> TextCells:
    """As spelled where there are two spellings, else in lower case: `True` and `TRUE` are one class."""
    if len(text.texts) <= 2 and len({spelled.strip().lower() for spelled in text.texts}) == len(text.texts):
        return text
    lower = [spelled.strip().lower() for spelled in text.texts]
    places = {spelled: place for place, spelled in enumerate(dict.fromkeys(lower))}
    moved = np.array([places[spelled] for spelled in lower], dtype=np.int32)
    return TextCells(moved[text.codes], list(places))


def _rows_at_fault(table: RawTable, name: str, rows: NDArray[np.int64], what: str) -> TargetInvalid:
    faults = []
    for row in rows[:MAX_FAULTS]:
        place, words = table.place(int(row))
        faults.append(Fault((*place, show_path(name)), TargetInvalid.slug, f"{words}: the target is {what}."))
    return TargetInvalid(f"The target {show_path(name)} is {what} in {len(rows)} rows.", errors=faults)


def _one_value(name: str) -> TargetInvalid:
    return TargetInvalid(f"The target {show_path(name)} has one value only; at least two are needed.")
