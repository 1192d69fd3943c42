"""Reads every text of an upload: can it be learned from, and what should its owner know?"""

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.errors import DatasetTooSmall, Fault, Invalid, TargetInvalid
from service.specs.archive_paths import show_path
from service.specs.backbones import CATALOGUE, DEFAULT_TEXT_BACKBONE
from service.specs.csv_reader import MAX_FAULTS
from service.specs.datasets import ClassCount, ColumnProfile, Warning
from service.specs.text_files import TextColumns, TextRow, read_text_rows
from service.specs.texts import TextManifest, TextProfile
from worker.backbones.sources import WeightSources
from worker.data.sample_times import NoTime, parse_times
from worker.data.texts.counting import TokenCounter
from worker.data.texts.samples import digest_of, write_samples
from worker.data.texts.text_warnings import warn_about

MIN_SAMPLES = 10
MIN_PER_CLASS = 3
MOST_CLASSES = 1000
_AT_ONCE = 256


@dataclass(frozen=True)
class TextValidation:
    """What validation leaves behind for trials and for the dataset's owner, beside `samples.parquet`."""

    manifest: TextManifest
    profile: TextProfile
    warnings: list[Warning]


def validate_texts(
    path: Path, columns: TextColumns, *, output: Path, sources: WeightSources, progress: Callable[[int, int], None]
) -> TextValidation:
    """Checks every row and writes the samples to `output`.

    `sources` have the default backbone's tokenizer. `progress` is called with bytes, then with texts done and in all;
    it may raise `Stopped`.

    Raises:
        UnsupportedMediaType, CsvMalformed, DuplicateColumn, PayloadTooLarge: as `check_texts`.
        Invalid: as `check_texts`; or texts are empty.
        DatasetTooSmall: fewer than 10 texts.
        TargetInvalid: labels are missing, fewer than two classes or more than 1,000, classes with too few distinct
            texts to be split.
        UnknownBackbone: the tokenizer is not at hand.
        Stopped: by `progress`.
    """
    rows = _read(path, columns, progress)
    _check_texts(rows)
    _check_targets(rows)
    counter, lengths = TokenCounter(sources), list[int]()
    for start in range(0, len(rows), _AT_ONCE):
        progress(start, len(rows))
        lengths += counter.count([row.text for row in rows[start : start + _AT_ONCE]])
    others = list(dict.fromkeys(name for row in rows for name in row.others))
    counts = Counter(str(row.label) for row in rows)
    manifest = TextManifest(
        text=columns.text, target=columns.target, classes=sorted(counts), columns=others, samples=len(rows)
    )
    profile = TextProfile(
        samples=len(rows),
        classes=[ClassCount(name=name, samples=counts[name]) for name in manifest.classes],
        median_tokens=round(statistics.median(lengths)),
        longest_tokens=max(lengths),
        columns=[_column_profile(rows, name) for name in others],
    )
    write_samples(output, rows, others)
    progress(len(rows), len(rows))
    warnings = warn_about(rows, lengths, most_tokens=CATALOGUE[DEFAULT_TEXT_BACKBONE].input_size)
    return TextValidation(manifest, profile, warnings)


def _read(path: Path, columns: TextColumns, progress: Callable[[int, int], None]) -> list[TextRow]:
    size = path.stat().st_size
    rows: list[TextRow] = []
    with path.open("rb") as file:
        for row in read_text_rows(file, columns):
            if len(rows) % _AT_ONCE == 0:
                progress(file.tell(), size)
            rows.append(row)
    return rows


def _check_texts(rows: Sequence[TextRow]) -> None:
    if len(rows) < MIN_SAMPLES:
        raise DatasetTooSmall(f"The dataset has {len(rows)} texts; at least {MIN_SAMPLES} are needed.")
    empty = [row.line for row in rows if not row.text.strip()]
    if empty:
        faults = [Fault(("file", line), "empty-text", f"Line {line}: the text is empty.") for line in empty]
        raise Invalid(f"{len(empty)} texts are empty.", errors=faults[:MAX_FAULTS])


def _check_targets(rows: Sequence[TextRow]) -> None:
    missing = [row.line for row in rows if row.label is None or not row.label.strip()]
    if missing:
        faults = [Fault(("file", line), TargetInvalid.slug, f"Line {line}: there is no label.") for line in missing]
        raise TargetInvalid(f"{len(missing)} texts have no label.", errors=faults[:MAX_FAULTS])
    owners: dict[str, str] = {}  # of a text that occurs under several classes, the first one has it
    for row in rows:
        owners.setdefault(digest_of(row.text), str(row.label))
    classes = sorted({str(row.label) for row in rows})
    distinct = Counter(owners.values())
    if len(classes) < 2:
        raise TargetInvalid("Every text has the same label; at least two classes are needed.")
    too_small = [name for name in classes if distinct[name] < MIN_PER_CLASS]
    if too_small:
        shown = ", ".join(map(show_path, too_small[:10])) + (" and others" if len(too_small) > 10 else "")
        reason = "The class has too few distinct texts."
        faults = [Fault(("class", show_path(name)), TargetInvalid.slug, reason) for name in too_small[:MAX_FAULTS]]
        message = f"Each class needs at least {MIN_PER_CLASS} distinct texts of its own: {shown}."
        raise TargetInvalid(message, errors=faults)
    if len(classes) > MOST_CLASSES:
        raise TargetInvalid(f"The target has {len(classes)} classes; at most {MOST_CLASSES} are learned.")


def _column_profile(rows: Sequence[TextRow], name: str) -> ColumnProfile:
    values = [row.others.get(name) for row in rows]
    first_without_time = None
    try:
        parse_times(values)
    except NoTime as error:
        first_without_time = f"line {rows[error.position].line}"
    present = [value for value in values if value is not None]
    missing = len(values) - len(present)
    return ColumnProfile(name=name, distinct=len(set(present)), missing=missing, first_without_time=first_without_time)
