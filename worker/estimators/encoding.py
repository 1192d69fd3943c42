"""From typed columns to numbers, as the train split has taught it; part of the model, kept as JSON.

One encoding serves three readers:

- trees (`standardise` and `one_hot` off): missing stays NaN and finds its own way down each split; every value is
  one that float32 holds, so that splits are decided alike in both precisions;
- `mlp` (`standardise`): dense and standardised; categories are indices for embeddings, see `Encoding.categories`;
- `linear` (`standardise` and `one_hot`): dense and standardised; categories are indicators.

`worker.estimators.columns` says what becomes of each kind of column.
"""

from functools import cached_property
from itertools import accumulate, pairwise
from typing import Self

import numpy as np

from service.errors import Invalid
from service.specs.base import Spec
from worker.data.table import Table
from worker.estimators.columns import Categories, ColumnEncoding, Floats, LeftOut, Numbers


class Encoding(Spec):
    """What the encoded columns are, and how to get them.

    Attributes:
        columns: one for each of the user's columns, in schema order.
    """

    standardise: bool
    one_hot: bool
    columns: list[ColumnEncoding]

    @classmethod
    def fit(cls, table: Table, *, standardise: bool, one_hot: bool) -> Self:
        """Learns from `table`, which must be the train split and nothing else.

        Raises:
            Invalid: no column can be encoded: there is none, or all hold text.
        """
        columns: list[ColumnEncoding] = []
        for column in table.schema:
            values = table.values[column.name]
            if column.kind == "categorical":
                columns.append(Categories.fit(column.name, values, one_hot=one_hot))
            elif column.kind == "text":
                columns.append(LeftOut(kind="left_out", name=column.name))
            else:
                columns.append(Numbers.fit(column, values, standardise=standardise))
        encoding = cls(standardise=standardise, one_hot=one_hot, columns=columns)
        if not encoding.width:
            raise Invalid("No column can be learned from: there is none, or all hold text.")
        return encoding

    @cached_property
    def groups(self) -> list[slice]:
        """Which encoded columns come from each of the user's; together all of them, in order. Of text: none."""
        ends = accumulate((column.width for column in self.columns), initial=0)
        return [slice(start, end) for start, end in pairwise(ends)]

    @cached_property
    def width(self) -> int:
        """How many encoded columns."""
        return sum(column.width for column in self.columns)

    @cached_property
    def categories(self) -> dict[int, int]:
        """Encoded columns that hold indices of categories, each with the number of indices; empty if one-hot.

        Index 0 stands for whatever is not known: unseen, rare or missing. Trees get NaN in its place.
        """
        return {
            group.start: len(column.known) + 1
            for group, column in zip(self.groups, self.columns, strict=True)
            if isinstance(column, Categories) and not self.one_hot
        }

    def encode(self, table: Table) -> Floats:
        """[n, d] float64, row by row: no row's numbers depend on another row.

        The table needs this encoding's columns by name and kind; others are not looked at.
        """
        encoded: Floats = np.empty((len(table), self.width))
        for group, column in zip(self.groups, self.columns, strict=True):
            if column.width:
                encoded[:, group] = column.encode(table.values[column.name])
        if self.standardise:
            return encoded
        for position in self.categories:
            encoded[encoded[:, position] == 0, position] = np.nan
        return encoded.astype(np.float32).astype(np.float64)
