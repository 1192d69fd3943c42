"""What becomes of one column, by its kind.

- numeric, boolean (0, 1): one number. Missing becomes the median of train, where a reader wants dense numbers, with
  a second column that tells (1 where missing) if train itself has gaps; a value that is missing where train never
  has gaps is the median, and nothing else.
- datetime: the moment in seconds, and year, month (1-12), weekday (0 is Monday) and hour in UTC. The seconds are
  counted from train's median moment, as float32 holds seconds since 1970 no finer than 128.
- categorical: an index in the order of the categories' text, from 1, or one indicator for each. At most 100
  categories are kept, the most frequent of train. The rest, what train has not seen and what is missing are index 0,
  or all indicators 0: to be rare in train and unknown in use is the same thing.
- text: left out. A hash of words would give numbers that no explanation can be read from; texts have their own
  problem, `text_classification`.

Where train does not vary, a standardised column is 0 whatever comes later: train says nothing about it. Numbers
beyond 1e30 are taken as 1e30, and standardised ones beyond 1e6 as 1e6, so that nothing overflows float32.
"""

from collections import Counter
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from service.specs.base import Spec
from service.specs.tables import ColumnSchema

Floats = NDArray[np.float64]

MOST_CATEGORIES = 100
LARGEST = 1e30
LARGEST_DEVIATION = 1e6
_FIRST_SECOND, _LAST_SECOND = -62135596800.0, 253402300799.0  # the years 1 to 9999


class Part(Spec):
    """One encoded number: (value - center) * factor.

    Attributes:
        fill: stands for a missing value; null keeps it NaN, and the number unstandardised.
    """

    fill: float | None
    center: float
    factor: float

    @classmethod
    def fit(cls, values: Floats, *, standardise: bool, from_median: bool) -> Self:
        """Learns from [n] values of train, NaN where missing."""
        present = values[~np.isnan(values)]
        median = float(np.median(present)) if len(present) else 0.0
        if not standardise:
            return cls(fill=None, center=median if from_median else 0.0, factor=1.0)
        filled = np.where(np.isnan(values), median, values)
        mean, spread = (float(filled.mean()), float(filled.std())) if len(filled) else (0.0, 0.0)
        negligible = max(1e-12 * float(np.abs(filled).max(initial=0.0)), 1.0 / LARGEST)
        return cls(fill=median, center=mean, factor=1.0 / spread if spread > negligible else 0.0)

    def encode(self, values: Floats) -> Floats:
        """[n] → [n]."""
        filled = values if self.fill is None else np.where(np.isnan(values), self.fill, values)
        largest = LARGEST if self.fill is None else LARGEST_DEVIATION
        result: Floats = np.clip((filled - self.center) * self.factor, -largest, largest)
        return result


class Numbers(Spec):
    """A numeric, boolean or datetime column.

    Attributes:
        parts: one; of a datetime five: seconds, year, month, weekday, hour.
        tells_missing: whether a last column holds 1 where the value is missing, else 0.
    """

    kind: Literal["numeric", "boolean", "datetime"]
    name: str
    parts: list[Part]
    tells_missing: bool

    @classmethod
    def fit(cls, column: ColumnSchema, values: Floats, *, standardise: bool) -> Self:
        """Learns from [n] values of train, NaN where missing."""
        assert column.kind in ("numeric", "boolean", "datetime")
        missing = int(np.isnan(values).sum())
        from_median = column.kind == "datetime"
        parts = [
            Part.fit(part, standardise=standardise, from_median=from_median and number == 0)
            for number, part in enumerate(_parts(column.kind, values))
        ]
        tells_missing = standardise and 0 < missing < len(values)
        return cls(kind=column.kind, name=column.name, parts=parts, tells_missing=tells_missing)

    @property
    def width(self) -> int:
        """Encoded columns."""
        return len(self.parts) + self.tells_missing

    def encode(self, values: Floats) -> Floats:
        """[n], NaN where missing → [n, width]."""
        pairs = zip(self.parts, _parts(self.kind, values), strict=True)
        columns = [part.encode(found) for part, found in pairs]
        return np.stack([*columns, np.isnan(values).astype(float)] if self.tells_missing else columns, axis=1)


class Categories(Spec):
    """A categorical column.

    Attributes:
        known: the categories that have an index of their own, sorted; the first has index 1.
    """

    kind: Literal["categorical"]
    name: str
    one_hot: bool
    known: list[str]

    @classmethod
    def fit(cls, name: str, values: NDArray[Any], *, one_hot: bool) -> Self:
        """Learns from [n] texts of train, None where missing."""
        counts = Counter(value for value in values.tolist() if value is not None)
        most = sorted(counts, key=lambda value: (-counts[value], value))[:MOST_CATEGORIES]
        return cls(kind="categorical", name=name, one_hot=one_hot, known=sorted(most))

    @cached_property
    def _indices(self) -> dict[str | None, int]:
        return {value: index for index, value in enumerate(self.known, 1)}

    @property
    def width(self) -> int:
        """Encoded columns."""
        return len(self.known) if self.one_hot else 1

    def encode(self, values: NDArray[Any]) -> Floats:
        """[n] texts or None → [n, 1] indices from 0, or [n, known] indicators."""
        indices = np.array([self._indices.get(value, 0) for value in values.tolist()], dtype=np.int64)
        if not self.one_hot:
            return indices[:, None].astype(np.float64)
        return np.asarray(indices[:, None] == np.arange(1, len(self.known) + 1), dtype=np.float64)


class LeftOut(Spec):
    """A column that nothing is learned from."""

    kind: Literal["left_out"]
    name: str

    @property
    def width(self) -> int:
        """No encoded columns."""
        return 0

    def encode(self, values: NDArray[Any]) -> Floats:
        """[n] → [n, 0]."""
        return np.empty((len(values), 0))


ColumnEncoding = Annotated[Numbers | Categories | LeftOut, Field(discriminator="kind")]


def _parts(kind: str, values: Floats) -> list[Floats]:
    """The numbers that a column stands for, each [n], NaN where missing."""
    if kind != "datetime":
        return [np.clip(values, -LARGEST, LARGEST)]
    missing = np.isnan(values)
    seconds = np.clip(np.where(missing, 0.0, values), _FIRST_SECOND, _LAST_SECOND)
    moments = np.floor(seconds).astype("datetime64[s]")
    days, months = moments.astype("datetime64[D]"), moments.astype("datetime64[M]")
    years = months.astype("datetime64[Y]")
    parts = [
        seconds,
        years.astype(np.int64) + 1970,
        (months - years).astype(np.int64) + 1,
        (days.astype(np.int64) + 3) % 7,
        (moments - days).astype(np.int64) // 3600,
    ]
    return [np.where(missing, np.nan, part) for part in parts]
