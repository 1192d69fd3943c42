"""Reads every picture of an uploaded archive once: can it be learned from, and what should its owner know?"""

import hashlib
import statistics
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from service.errors import ArchiveBomb, BadInput, DatasetTooSmall, Fault, ImageError, TargetInvalid
from service.specs.archive_layout import ArchiveEntry
from service.specs.archive_metadata import read_metadata
from service.specs.archive_paths import show_path
from service.specs.archives import DEFAULT_LIMITS, MAX_FAULTS, ArchiveLimits, list_images, read_entry
from service.specs.datasets import SPLITS, ClassCount, ColumnProfile, ImageProfile, ImageSample, Manifest, Warning
from service.specs.images import decode_image
from worker.data.image_warnings import warn_about
from worker.data.sample_times import NoTime, parse_times

MIN_SAMPLES = 10
MIN_PER_CLASS = 3


@dataclass(frozen=True)
class ImageValidation:
    """What validation leaves behind for trials and for the dataset's owner."""

    manifest: Manifest
    profile: ImageProfile
    warnings: list[Warning]
    ignored_files: int


@dataclass
class _Findings:
    samples: list[ImageSample] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    heights: list[int] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    errors: Counter[type[BadInput]] = field(default_factory=Counter)


def validate_images(
    archive_path: Path, *, progress: Callable[[int, int], None], limits: ArchiveLimits = DEFAULT_LIMITS
) -> ImageValidation:
    """Decodes every picture of the archive and checks that each class can be learned.

    `progress` is called with pictures done and in all before each picture and at the end; it may raise `Stopped`.

    Raises:
        ArchiveError, UnsupportedMediaType: the archive is not to be trusted.
        CsvMalformed, DuplicateColumn: as `read_metadata`.
        ImageError, ArchiveBomb: pictures at fault, of the commonest kind; `errors` lists up to 100.
        DatasetTooSmall: fewer than 10 pictures.
        TargetInvalid: fewer than two classes, or classes with too few distinct pictures to be split.
        Stopped: by `progress`.
    """
    findings = _Findings()
    with archive_path.open("rb") as file:
        listing = list_images(file, limits)  # before `zipfile` sees it
    with zipfile.ZipFile(archive_path) as archive:
        metadata = read_metadata(archive, listing, limits)
        for done, entry in enumerate(listing.entries):
            progress(done, len(listing.entries))
            _examine(archive, entry, findings, limits)
            if len(findings.faults) == MAX_FAULTS:
                break
    _raise_commonest(findings)
    _check_targets(findings.samples, has_predefined_split=listing.has_predefined_split)
    progress(len(listing.entries), len(listing.entries))
    samples = [
        sample.model_copy(update={"values": metadata.values.get(sample.path, [])}) for sample in findings.samples
    ]
    manifest = Manifest(classes=list(listing.classes), samples=samples, columns=list(metadata.columns))
    counts = Counter(sample.label for sample in samples)
    profile = ImageProfile(
        samples=len(samples),
        classes=[ClassCount(name=name, samples=counts[name]) for name in listing.classes],
        median_width=round(statistics.median(findings.widths)),
        median_height=round(statistics.median(findings.heights)),
        has_predefined_split=listing.has_predefined_split,
        columns=[_column_profile(manifest, name) for name in manifest.columns],
    )
    return ImageValidation(manifest, profile, warn_about(samples), listing.ignored_files)


def _column_profile(manifest: Manifest, name: str) -> ColumnProfile:
    values = manifest.column(name)
    first_without_time = None
    try:
        parse_times(values)
    except NoTime as error:
        first_without_time = manifest.samples[error.position].path
    present = [value for value in values if value is not None]
    return ColumnProfile(
        name=name,
        distinct=len(set(present)),
        missing=len(values) - len(present),
        first_without_time=first_without_time,
    )


def _examine(archive: zipfile.ZipFile, entry: ArchiveEntry, findings: _Findings, limits: ArchiveLimits) -> None:
    try:
        content = read_entry(archive, entry.path, limits)
        image = decode_image(content)
    except (ImageError, ArchiveBomb) as error:
        findings.errors[type(error)] += 1
        findings.faults.append(Fault(("file", show_path(entry.path)), error.slug, error.detail))
        return
    digest = hashlib.sha256(content).hexdigest()
    findings.samples.append(ImageSample(path=entry.path, label=entry.label, split=entry.split, sha256=digest))
    findings.widths.append(image.width)
    findings.heights.append(image.height)


def _raise_commonest(findings: _Findings) -> None:
    for error, count in findings.errors.most_common(1):
        total = len(findings.faults)
        detail = f"{error.title}." if count == 1 else f"{error.title}: {count} of {total} files at fault, or more."
        raise error(detail, errors=findings.faults)


def _check_targets(samples: list[ImageSample], *, has_predefined_split: bool) -> None:
    if len(samples) < MIN_SAMPLES:
        raise DatasetTooSmall(f"The dataset has {len(samples)} pictures; at least {MIN_SAMPLES} are needed.")
    owners: dict[str, str] = {}  # of a picture that occurs under several classes, the first one has it
    for sample in samples:
        owners.setdefault(sample.sha256, sample.label)
    distinct = Counter(owners.values())
    classes = {sample.label for sample in samples}
    too_small = sorted(label for label in classes if distinct[label] < MIN_PER_CLASS)
    if too_small:
        message = f"Each class needs at least {MIN_PER_CLASS} distinct pictures of its own: {_name(too_small)}."
        raise TargetInvalid(message, errors=_class_faults(too_small, "has too few distinct pictures"))
    if has_predefined_split:
        _check_splits(samples, classes)


def _check_splits(samples: list[ImageSample], classes: set[str]) -> None:
    """Every class must occur in the train split and in each further split that the archive has."""
    present = {(sample.split, sample.label) for sample in samples}
    for split in SPLITS:
        missing = sorted(label for label in classes if (split, label) not in present)
        if missing and (split == "train" or len(missing) < len(classes)):
            message = f"Each class needs pictures in the {split} split. None there: {_name(missing)}."
            raise TargetInvalid(message, errors=_class_faults(missing, f"has no pictures in the {split} split"))


def _name(classes: list[str]) -> str:
    shown = ", ".join(show_path(name) for name in classes[:10])
    return shown if len(classes) <= 10 else f"{shown} and {len(classes) - 10} more"


def _class_faults(classes: Iterable[str], reason: str) -> list[Fault]:
    return [
        Fault(("class", show_path(name)), TargetInvalid.slug, f"The class {reason}.")
        for name in list(classes)[:MAX_FAULTS]
    ]
