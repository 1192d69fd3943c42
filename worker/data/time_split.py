"""Dealing by time: learn from the past, choose on what came then, be tested on what came last."""

from collections.abc import Sequence
from decimal import Decimal

from service.errors import Fault, TargetInvalid
from service.specs.archive_paths import show_path
from service.specs.datasets import SPLITS, Manifest
from service.specs.jobs import SplitSpec
from worker.data.deals import Deal
from worker.data.sample_times import NoTime, parse_times


def deal_by_time(manifest: Manifest, split: SplitSpec) -> Deal:
    """The oldest samples are train, the newest test; samples of one time stay together.

    Of byte-identical images the oldest counts; newer ones that fall into a later split are left out, since they
    would be recognised there. The cuts are where the shares of the images that count come nearest to those asked for.

    Raises:
        TargetInvalid: a sample without a time, fewer than three times, or classes that are not in train.
    """
    assert split.time_column is not None, "the spec is valid"
    times = _times(manifest, split.time_column)
    first: dict[str, Decimal] = {}
    for sample, time in zip(manifest.samples, times, strict=True):
        first[sample.sha256] = min(time, first.get(sample.sha256, time))
    counted = sorted(time for sample, time in zip(manifest.samples, times, strict=True) if time == first[sample.sha256])
    cuts = _cuts(counted, split)
    sides = [_side(time, cuts) for time in times]
    dealt: Deal = {name: [] for name in SPLITS}
    for index, sample in enumerate(manifest.samples):
        if sides[index] == _side(first[sample.sha256], cuts):
            dealt[SPLITS[sides[index]]].append(index)
    lacking = sorted(set(manifest.classes) - {manifest.samples[index].label for index in dealt["train"]})
    if lacking:
        faults = [
            Fault(("classes", label), "not-in-train", "All its images are too new for train.") for label in lacking
        ]
        raise TargetInvalid("Classes have no image among the oldest.", errors=faults)
    return dealt


def _times(manifest: Manifest, column: str) -> list[Decimal]:
    try:
        return parse_times(manifest.column(column))
    except NoTime as error:
        where = ("file", show_path(manifest.samples[error.position].path))
        text = "The time is missing, or neither a number nor an ISO 8601 date like those before it."
        raise TargetInvalid("A sample has no time.", errors=[Fault(where, "no-time", text)]) from error


def _cuts(ordered: Sequence[Decimal], split: SplitSpec) -> tuple[Decimal, Decimal]:
    """The first time of validation and of test."""
    starts = [place for place in range(len(ordered)) if place == 0 or ordered[place] != ordered[place - 1]]
    if len(starts) < len(SPLITS):
        fault = Fault(("split", "time_column"), "too-few-times", f"at least {len(SPLITS)} different times are needed")
        raise TargetInvalid("There are too few times.", errors=[fault])
    wanted = len(ordered) * (1.0 - split.test)
    test = min(range(2, len(starts)), key=lambda place: abs(starts[place] - wanted))
    wanted -= len(ordered) * split.validation
    validation = min(range(1, test), key=lambda place: abs(starts[place] - wanted))
    return ordered[starts[validation]], ordered[starts[test]]


def _side(time: Decimal, cuts: tuple[Decimal, Decimal]) -> int:
    """The place in `SPLITS` of a sample of that time."""
    return sum(time >= cut for cut in cuts)
