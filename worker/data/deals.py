"""A deal: which samples are in which split; and the check that nothing is on two sides of one."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

from service.errors import SplitCrossed
from service.specs.datasets import SPLITS, Split
from service.specs.jobs import SplitSpec
from worker.data.deck import Deck
from worker.data.sample_times import parse_times

T = TypeVar("T")
Deal = dict[Split, list[int]]
"""Sample indices, ascending, by split."""


def check_deal(deck: Deck, split: SplitSpec, dealt: Deal) -> None:
    """Looks at a deal as if it did not know how it was made.

    Raises:
        SplitCrossed: a split is empty; or a sample, a digest or (`group`) a group is in two splits; or
            (`time`) a sample is not older than every one of a later split.
    """
    empty = [name for name in SPLITS if not dealt[name]]
    if empty:
        raise SplitCrossed(f"The {empty[0]} split is empty.")
    if sum(map(len, dealt.values())) != len({index for indices in dealt.values() for index in indices}):
        raise SplitCrossed("A sample was dealt twice.")
    _check_apart(deck.digests, dealt, f"Identical {deck.names.many}")
    if split.strategy == "group":
        assert split.group_column is not None, "the spec is valid"
        _check_apart(deck.column(split.group_column), dealt, "Samples of one group")
    if split.strategy == "time":
        assert split.time_column is not None, "the spec is valid"
        times = parse_times(deck.column(split.time_column))
        for earlier, later in pairwise(SPLITS):
            if max(_of(times, dealt[earlier])) >= min(_of(times, dealt[later])):
                raise SplitCrossed(f"The {earlier} split has a sample that is not older than the {later} split.")


def _check_apart(values: Sequence[str | None], dealt: Deal, what: str) -> None:
    """No value but None is in two splits."""
    seen: dict[str, Split] = {}
    for name, indices in dealt.items():
        for value in _of(values, indices):
            if value is not None and seen.setdefault(value, name) != name:
                raise SplitCrossed(f"{what} are in the splits {seen[value]} and {name}.")


def _of(values: Sequence[T], indices: Iterable[int]) -> list[T]:
    return [values[index] for index in indices]
