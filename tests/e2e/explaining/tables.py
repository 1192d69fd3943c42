"""Tables whose answers are known."""

import csv
import io
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
COLOURS = ("=red", "green", "blue")
"""One of them is a formula to a spreadsheet; so is one of `SIZES`."""
SIZES = ("-low", "high", "mid")
MIXED = ("age", "colour", "member", "note", "seen", "unused")


def written(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A CSV file; None is an empty cell, floats keep all their digits."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows([columns, *([repr(cell) if isinstance(cell, float) else cell for cell in row]
                                             for row in rows)])  # fmt: skip
    return buffer.getvalue().encode()


def names(count: int) -> list[str]:
    return [f"x{place}" for place in range(count)]


def normal(rows: int, columns: int, seed: int) -> Floats:
    """Of few digits, so that what is read from a file is what was meant."""
    return np.random.default_rng(seed).normal(size=(rows, columns)).round(4)


def planted() -> bytes:
    """`y` is 3 x2 - 2 x7 of ten columns; `label` follows 2 x2 - x7 with noise."""
    x = normal(500, 10, seed=1)
    noise = np.random.default_rng(2).logistic(size=500)
    labels = np.where(2 * x[:, 2] - x[:, 7] + noise > 0, "yes", "no")
    rows = ([*row.tolist(), float(3 * row[2] - 2 * row[7]), str(label)] for row, label in zip(x, labels, strict=True))
    return written([*names(10), "y", "label"], rows)


def dense() -> bytes:
    """All of fifteen columns count."""
    x = normal(300, 15, seed=3)
    return written([*names(15), "y"], np.column_stack([x, x @ np.linspace(0.5, 2, 15)]).tolist())


def interacting() -> bytes:
    """Ten columns that count in pairs."""
    x = normal(300, 10, seed=4)
    y = x[:, 0] * x[:, 1] + x[:, 2] * x[:, 3] + np.sin(2 * x[:, 4]) * x[:, 5] + x[:, 6] + np.abs(x[:, 7]) - x[:, 8]
    return written([*names(10), "y"], np.column_stack([x, y]).tolist())


def three_classes() -> bytes:
    """Six columns: four of them decide between three classes, two are noise."""
    x = normal(240, 6, seed=5)
    scores = np.column_stack([x[:, 0] + x[:, 1] ** 2, x[:, 2] * 2, x[:, 3] - x[:, 0]])
    rows = ([*row.tolist(), "abc"[best]] for row, best in zip(x, scores.argmax(axis=1), strict=True))
    return written([*names(6), "label"], rows)


def mirrored() -> bytes:
    """`y` is x0 + x1; each pair of rows has the two the other way round, and stays on one side of a split."""
    rows = []
    for pair, (one, other) in enumerate(normal(60, 2, seed=6).tolist()):
        rows += [[one, other, f"p{pair}", one + other], [other, one, f"p{pair}", one + other]]
    return written([*names(2), "pair", "y"], rows)


def mixed() -> bytes:
    """Every kind of column, with gaps; one is the same everywhere. Classes, a flag and a score follow from them."""
    generator = np.random.default_rng(7)
    rows = []
    for number in range(240):
        age, colour, member = generator.normal(40, 12), int(generator.integers(3)), bool(generator.integers(2))
        score = (age - 40) / 12 + (colour - 1) * 1.5 + member + 0.2 * generator.normal()
        cells = [
            round(age, 2),
            COLOURS[colour],
            str(member).lower(),
            f"2024-{number % 12 + 1:02d}-{number % 28 + 1:02d}",
        ]
        for place in np.flatnonzero(generator.random(4) < 0.1):
            cells[place] = None
        age_, colour_, member_, seen = cells
        size = SIZES[0] if score < -0.5 else SIZES[1] if score > 1.2 else SIZES[2]
        rows.append([age_, colour_, member_, f"visit number {number} of a client", seen, 1.5, size, score > 0.4, score])
    return written([*MIXED, "size", "flag", "score"], rows)
