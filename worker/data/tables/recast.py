"""Rows of a dataset as a model takes them, whose columns may have other kinds there."""

from collections.abc import Sequence

from service.specs.table_rows import checked_rows
from service.specs.tables import ColumnSchema
from worker.data.table import Table, Values, table_of
from worker.data.tables.samples import TableSamples


def recast(samples: TableSamples, schema: Sequence[ColumnSchema]) -> Table:
    """The samples with the model's columns: as they are where the kind is the same, else read from text by its kind.

    Raises:
        Invalid: a value is not of the model's kind; `errors` says which, by the row's place among `samples`.
        ValueError: the dataset lacks a column.
    """
    here = {column.name: column.kind for column in samples.table.schema}
    values: dict[str, Values] = {}
    for column in schema:
        if here.get(column.name) == column.kind:
            values[column.name] = samples.table.values[column.name]
            continue
        texts = samples.columns(column.name)
        cells = checked_rows([column], [{column.name: text} for text in texts], where=("body", "dataset_id"))
        values[column.name] = table_of([column], cells).values[column.name]
    return Table(tuple(schema), values)
