"""Reads an uploaded table once: can it be learned from, and what should its owner know?"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from service.errors import DatasetTooSmall, TargetInvalid
from service.specs.archive_paths import show_path
from service.specs.csv_reader import DEFAULT_LIMITS, CsvLimits
from service.specs.datasets import Warning
from service.specs.table_files import TableFormat, check_columns, check_row_count
from service.specs.tables import (
    ColumnKind,
    ColumnSchema,
    TableColumnProfile,
    TableManifest,
    TableOptions,
    TableProfile,
)
from worker.data.tables.cells import Cells, NumberCells, RawTable, TextCells
from worker.data.tables.csv_table import read_csv
from worker.data.tables.digests import digest_rows
from worker.data.tables.kinds import infer_kind, names_rows, read_as
from worker.data.tables.parquet_table import read_parquet
from worker.data.tables.samples import write_samples
from worker.data.tables.table_warnings import ignored_warnings, warn_about
from worker.data.tables.target import MIN_PER_CLASS, Target, read_target, settle, spread_of

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class TableValidation:
    """What validation leaves behind for trials and for the dataset's owner."""

    manifest: TableManifest
    profile: TableProfile
    warnings: list[Warning]


@dataclass
class _Columns:
    """Columns by what becomes of them, each in the order of the file."""

    features: dict[str, Cells] = field(default_factory=dict)
    kinds: dict[str, ColumnKind] = field(default_factory=dict)
    ignored: dict[str, TextCells] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)


def validate_table(
    path: Path,
    *,
    format: TableFormat,
    options: TableOptions,
    output: Path,
    progress: Progress,
    limits: CsvLimits = DEFAULT_LIMITS,
) -> TableValidation:
    """Decides the columns' kinds, checks the target, and writes the samples to `output`; see `read_samples`.

    Columns without a value, and categorical ones that name their rows, become ignored unless `options.columns` gives
    them a kind. `progress` is called with steps done and in all; it may raise `Stopped`.

    Raises:
        CsvMalformed, DuplicateColumn, PayloadTooLarge, UnsupportedMediaType, Invalid: as `read_csv`, `read_parquet`.
        Invalid: a value does not fit the kind asked for, or is infinite; `errors` names column and line.
        TargetInvalid: the target cannot be learned, or no feature is left.
        DatasetTooSmall: fewer than 10 rows, or fewer than 3 that differ.
        Stopped: by `progress`.
    """
    if format == "csv":
        table = read_csv(path, options.delimiter, progress=progress, limits=limits)
    else:
        table = read_parquet(path, limits)
    name = check_columns(table.names, options)
    check_row_count(table.rows)
    chosen = options.columns.get(name)
    assert chosen != "ignore", "the options were checked"
    target = read_target(table, name, chosen)
    columns = _settle_columns(table, name, options, progress)
    digests = digest_rows(columns.features.values(), table.rows)
    if len(set(digests)) < MIN_PER_CLASS:
        raise DatasetTooSmall(f"Fewer than {MIN_PER_CLASS} rows differ in their features.")
    target = settle(target, digests)
    write_samples(output, {**columns.features, **columns.ignored}, target, digests)
    categories = {
        feature: cells
        for feature, cells in columns.features.items()
        if isinstance(cells, TextCells) and columns.kinds[feature] == "categorical"
    }
    warnings = warn_about(columns.features, categories, target, digests)
    warnings += ignored_warnings(columns.ids, columns.empty)
    manifest = TableManifest(
        columns=[ColumnSchema(name=feature, kind=kind) for feature, kind in columns.kinds.items()],
        ignored=list(columns.ignored),
        target=name,
        problems=list(target.problems),
        classes=sorted(set(target.classes.tolist())) if target.classes is not None else [],
        rows=table.rows,
    )
    return TableValidation(manifest, _profile(table, columns, target), warnings)


def _settle_columns(table: RawTable, target: str, options: TableOptions, progress: Progress) -> _Columns:
    found = _Columns()
    for done, name in enumerate(table.names):
        progress(done, len(table.names))
        if name == target:
            continue
        raw = table.cells(name)
        asked = options.columns.get(name)
        kind = asked if asked is not None else infer_kind(raw)
        if kind is None:
            found.empty.append(name)
        elif asked is None and kind == "categorical" and isinstance(raw, TextCells) and names_rows(raw):
            found.ids.append(name)
        elif kind != "ignore" and raw.present.any():
            found.features[name] = read_as(raw, kind, name, table)
            found.kinds[name] = kind
            continue
        elif kind != "ignore":
            found.empty.append(name)
        found.ignored[name] = raw.as_text() if isinstance(raw, NumberCells) else raw
    if not found.features:
        text = f"No column is left to learn the target {show_path(target)} from."
        raise TargetInvalid(f"{text} Ignored: {', '.join(map(show_path, list(found.ignored)[:10]))}.")
    return found


def _profile(table: RawTable, columns: _Columns, target: Target) -> TableProfile:
    found = []
    for name in table.names:
        if name == target.name:
            continue
        cells = columns.features.get(name) or columns.ignored[name]
        missing = table.rows - int(cells.present.sum())
        kind: ColumnKind | Literal["ignore"] = columns.kinds.get(name, "ignore")
        if isinstance(cells, NumberCells):
            values = cells.values[cells.present]
            distinct = len(np.unique(values))
            spread = spread_of(values)
        else:
            distinct, spread = len(cells.texts), {}
        found.append(TableColumnProfile(name=name, kind=kind, missing=missing, distinct=distinct, **spread))
    return TableProfile(rows=table.rows, columns=found, target=target.profile())
