"""Features that alone say what the target is: usually something that was only known after it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier

from worker.data.tables.cells import Cells, Floats, NumberCells, TextCells
from worker.data.tables.target import Target

MIN_ROWS = 30
MIN_PER_CLASS = 6
"""Among fewer rows, in all or of a class in the mean, a rule is right by luck."""
MOST_ROWS = 5000
ACCURACY = 0.99
CORRELATION = 0.99


def find_leaks(features: Mapping[str, Cells], target: Target, generator: np.random.Generator) -> list[str]:
    """Names of features that nearly decide the target by themselves, on at most 5,000 rows drawn by `generator`.

    Classes: a rule on the feature alone has a balanced accuracy of 0.99 or more. On numbers the rule is a decision
    tree with two leaves more than there are classes: too few to memorise rows. On texts it is the commonest class of
    each text, learned on one half of the rows and right on the other, and the other way round: a text that it has not
    seen is of the commonest class of all, so that names of rows are nothing to it. Values: |Pearson's r| > 0.99, or
    R² > 0.98 of the mean of each text, from half to half.
    """
    rows = len(next(iter(features.values())).present)
    if rows < MIN_ROWS:
        return []
    chosen = generator.permutation(rows)[:MOST_ROWS]
    halves = np.arange(len(chosen)) % 2
    if target.problems[0] == "tabular_regression":
        assert target.values is not None, "values are regressed"
        values = target.values[chosen]
        return [name for name, cells in features.items() if _tells_value(cells, chosen, values, halves)]
    assert target.classes is not None, "classes are told apart"
    classes = np.unique(target.classes.astype(str), return_inverse=True)[1][chosen]
    if len(chosen) < MIN_PER_CLASS * len(np.unique(classes)):
        return []
    return [name for name, cells in features.items() if _tells_class(cells, chosen, classes, halves)]


def _tells_class(
    cells: Cells, chosen: NDArray[np.int64], classes: NDArray[np.int64], halves: NDArray[np.int64]
) -> bool:
    if isinstance(cells, NumberCells):
        values = _ranks(cells.values[chosen])[:, None]
        leaves = len(np.unique(classes)) + 2
        tree = DecisionTreeClassifier(max_leaf_nodes=leaves, class_weight="balanced", random_state=0)
        return _balanced_accuracy(tree.fit(values, classes).predict(values), classes) >= ACCURACY
    codes = cells.codes[chosen]
    for half in (0, 1):
        check = halves != half
        if _balanced_accuracy(_commonest(codes, classes, ~check)[check], classes[check]) < ACCURACY:
            return False
    return True


def _ranks(values: Floats) -> Floats:
    """Places among the distinct values, NaN where missing: the tree computes in float32."""
    places = np.unique(values, return_inverse=True)[1]
    return np.where(np.isnan(values), np.nan, places.astype(np.float64))


def _balanced_accuracy(told: NDArray[np.int64], classes: NDArray[np.int64]) -> float:
    """The mean recall of the classes that occur."""
    right = told == classes
    return float(np.mean([right[classes == label].mean() for label in np.unique(classes)]))


def _commonest(codes: NDArray[np.int32], classes: NDArray[np.int64], learn: NDArray[np.bool_]) -> NDArray[np.int64]:
    """[n] each row's text's commonest class among the rows to learn from."""
    counts = np.zeros((int(codes.max()) + 2, int(classes.max()) + 1), dtype=np.int64)
    np.add.at(counts, (codes[learn] + 1, classes[learn]), 1)
    of_text: NDArray[np.int64] = counts.argmax(axis=1)
    of_text[counts.sum(axis=1) == 0] = counts.sum(axis=0).argmax()
    return of_text[codes + 1]


def _tells_value(cells: Cells, chosen: NDArray[np.int64], values: Floats, halves: NDArray[np.int64]) -> bool:
    if isinstance(cells, TextCells):
        return all(_fit_of_means(cells.codes[chosen], values, halves == half) > CORRELATION**2 for half in (0, 1))
    feature = cells.values[chosen]
    present = ~np.isnan(feature)
    pair = feature[present], values[present]
    return present.sum() >= MIN_ROWS and abs(_correlation(*pair)) > CORRELATION


def _correlation(first: Floats, second: Floats) -> float:
    """Pearson's r; 0 where one does not vary."""
    centred = [_scaled(first), _scaled(second)]
    norm = float(np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum()))
    return float((centred[0] * centred[1]).sum() / norm) if norm > 0.0 else 0.0


def _scaled(values: Floats) -> Floats:
    """Centred, the largest at 1: squares of it are finite."""
    half = values / 2.0 - np.sum(values / 2.0 / len(values))
    largest = float(np.abs(half).max())
    return half / largest if largest > 0.0 else half


def _fit_of_means(codes: NDArray[np.int32], values: Floats, learn: NDArray[np.bool_]) -> float:
    """R² on the other rows of the mean value of each text; the mean of all for a text not learned."""
    scaled = _scaled(values)
    sums = np.bincount(codes[learn] + 1, weights=scaled[learn], minlength=int(codes.max()) + 2)
    counts = np.bincount(codes[learn] + 1, minlength=len(sums))
    means = np.where(counts > 0, sums / np.maximum(counts, 1), scaled[learn].mean())
    rest = scaled[~learn]
    spread = float(((rest - rest.mean()) ** 2).sum())
    return 1.0 - float(((rest - means[codes[~learn] + 1]) ** 2).sum()) / spread if spread > 0.0 else 0.0
