"""Dealing by time: learn from the past, choose on what came then, be tested on what came last."""

from collections.abc import Sequence
from decimal import Decimal

from service.errors import Fault, TargetInvalid
from service.specs.datasets import SPLITS
from service.specs.jobs import SplitSpec
from worker.data.deals import Deal
from worker.data.deck import Deck
from worker.data.sample_times import NoTime, parse_times


def deal_by_time(deck: Deck, split: SplitSpec) -> Deal:
    """The oldest samples are train, the newest test; samples of one time stay together.

    Of identical samples the oldest counts; newer ones that fall into a later split are left out, since they
    would be recognised there. The cuts are where the shares of the samples that count come nearest to those asked for.

    Raises:
        TargetInvalid: a sample without a time, fewer than three times, or classes that are not in train.
    """
    assert split.time_column is not None, "the spec is valid"
    times = _times(deck, split.time_column)
    first: dict[str, Decimal] = {}
    for digest, time in zip(deck.digests, times, strict=True):
        first[digest] = min(time, first.get(digest, time))
    counted = sorted(time for digest, time in zip(deck.digests, times, strict=True) if time == first[digest])
    cuts = _cuts(counted, split)
    sides = [_side(time, cuts) for time in times]
    dealt: Deal = {name: [] for name in SPLITS}
    for index, digest in enumerate(deck.digests):
        if sides[index] == _side(first[digest], cuts):
            dealt[SPLITS[sides[index]]].append(index)
    lacking = _lacking(deck, dealt["train"])
    if lacking:
        text = f"All its {deck.names.many} are too new for train."
        faults = [Fault(("classes", label), "not-in-train", text) for label in lacking]
        raise TargetInvalid(f"Classes have no {deck.names.one} among the oldest.", errors=faults)
    return dealt


def _lacking(deck: Deck, train: Sequence[int]) -> list[str]:
    """Classes without a sample in train."""
    labels = deck.labels or ()
    return sorted(set(deck.classes) - {labels[index] for index in train}) if labels else []


def _times(deck: Deck, column: str) -> list[Decimal]:
    try:
        return parse_times(deck.column(column))
    except NoTime as error:
        where = deck.names.place(error.position)
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
