"""What is worth knowing about a table that can be learned from all the same."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from service.specs.archive_paths import show_path
from service.specs.datasets import Warning
from worker.data.image_warnings import IMBALANCE_RATIO, SMALL_PER_CLASS
from worker.data.tables.cells import Cells, NumberCells, TextCells
from worker.data.tables.kinds import ID_DISTINCT
from worker.data.tables.leakage import find_leaks
from worker.data.tables.target import Target

NEARLY_ALL = 0.99
MUCH_MISSING = 0.5
MANY_CATEGORIES = 100
MANY_CATEGORIES_SHARE = 0.2
FEW_CATEGORIES = 10
MIN_ROWS_OF_IDS = 20
_NAMED = 10


def warn_about(
    features: Mapping[str, Cells], categories: Mapping[str, TextCells], target: Target, digests: Sequence[str]
) -> list[Warning]:
    """Warnings in a fixed order; rows count as the same when all their features are.

    `categories` are those of the features that are categorical.
    """
    leaks = find_leaks(features, target, np.random.default_rng(0))
    number_like = [name for name, cells in features.items() if isinstance(cells, NumberCells) and _counts_rows(cells)]
    of_columns = [
        ("leakage-suspected", leaks, "almost decides the target by itself: would it be known when predicting?"),
        ("id-like-column", number_like, "has another whole number in almost every row: if it is an id, ignore it."),
        ("near-constant-column", _near_constant(features), "has one value in 99 of 100 rows or more."),
        ("high-missing-column", _much_missing(features), "has no value in more than half of the rows."),
        ("high-cardinality-column", _many(categories), "has so many categories that most are rare."),
    ]
    found = [*_of_classes(target), *_of_copies(target, digests)]
    return found + [_columns(code, names, text) for code, names, text in of_columns if names]


def ignored_warnings(ids: Sequence[str], empty: Sequence[str]) -> list[Warning]:
    """Of columns that validation left out of the features."""
    id_text = "has another text in almost every row and is ignored; `columns` can make it a feature."
    empty_text = "has no value at all and is ignored."
    return [
        _columns(code, names, text)
        for code, names, text in (("id-like-column", ids, id_text), ("high-missing-column", empty, empty_text))
        if names
    ]


def _columns(code: str, names: Sequence[str], text: str) -> Warning:
    shown = ", ".join(show_path(name) for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return Warning(code=code, message=f"Column {shown}{more}: {text}")


def _of_classes(target: Target) -> list[Warning]:
    if target.classes is None or target.problems[0] == "tabular_regression":
        return []
    counts = Counter(target.classes.tolist())
    fewest, most = min(counts.values()), max(counts.values())
    found = []
    if fewest < SMALL_PER_CLASS:
        text = f"The smallest class has {fewest} rows; below {SMALL_PER_CLASS} the metrics say little."
        found.append(Warning(code="small-dataset", message=text))
    if most / fewest > IMBALANCE_RATIO:
        text = f"The largest class has {most / fewest:.0f} times as many rows as the smallest; consider class weights."
        found.append(Warning(code="class-imbalance", message=text))
    return found


def _of_copies(target: Target, digests: Sequence[str]) -> list[Warning]:
    found = []
    learned = target.classes if target.classes is not None else target.values
    assert learned is not None, "a target has classes or values"
    answers: defaultdict[str, set[object]] = defaultdict(set)
    for digest, answer in zip(digests, learned.tolist(), strict=True):
        answers[digest].add(answer)
    copies = len(digests) - sum(map(len, answers.values()))
    if copies:
        found.append(Warning(code="duplicate-samples", message=f"{copies} rows are copies of another row."))
    conflicts = sum(len(values) > 1 for values in answers.values())
    if conflicts and target.classes is not None:
        text = f"{conflicts} rows occur with more than one class."
        found.append(Warning(code="conflicting-labels", message=text))
    return found


def _counts_rows(cells: NumberCells) -> bool:
    values = cells.values[cells.present]
    if cells.kind != "numeric" or len(values) < MIN_ROWS_OF_IDS or (values != np.round(values)).any():
        return False
    return len(np.unique(values)) >= ID_DISTINCT * len(values)


def _near_constant(features: Mapping[str, Cells]) -> list[str]:
    found = []
    for name, cells in features.items():
        if isinstance(cells, NumberCells):
            counts = np.unique(cells.values[cells.present], return_counts=True)[1]
        else:
            counts = cells.counts()
        if counts.max() >= NEARLY_ALL * counts.sum():
            found.append(name)
    return found


def _much_missing(features: Mapping[str, Cells]) -> list[str]:
    return [name for name, cells in features.items() if cells.present.mean() < 1.0 - MUCH_MISSING]


def _many(categories: Mapping[str, TextCells]) -> list[str]:
    found = []
    for name, cells in categories.items():
        distinct = len(cells.texts)
        share = distinct > FEW_CATEGORIES and distinct > MANY_CATEGORIES_SHARE * cells.present.sum()
        if share or distinct > MANY_CATEGORIES:
            found.append(name)
    return found
