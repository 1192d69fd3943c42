"""What of a dataset's samples matters for dealing them, whatever they are."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.specs.archive_paths import show_path
from service.specs.datasets import Manifest, Split

STRATA = 10
ROWS_PER_STRATUM = 30
_GROUPS_PER_STRATUM = 3
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Names:
    """What the messages call samples, and where the one at an index is found in the upload."""

    one: str
    many: str
    place: Callable[[int], Place]


@dataclass(frozen=True)
class Deck:
    """Samples to be dealt, by index.

    Attributes:
        labels: [n] the classes; None where values are learned.
        strata: [n] what `stratified` gives every split its share of: the classes, or parts of the values' range.
        digests: [n] samples of one digest go to one split.
        splits: [n] the split that the upload names.
        column: a column's value of every sample, None where missing; raises `ValueError` where there is none.
    """

    labels: Sequence[str] | None
    strata: Sequence[str]
    digests: Sequence[str]
    splits: Sequence[Split | None]
    column: Callable[[str], list[str | None]]
    names: Names

    def __len__(self) -> int:
        """Samples."""
        return len(self.digests)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Sorted; none where values are learned."""
        return tuple(sorted(set(self.labels or ())))


def deck_of(manifest: Manifest) -> Deck:
    """The images of an archive."""
    samples = manifest.samples
    labels = [sample.label for sample in samples]
    names = Names("image", "images", lambda index: ("file", show_path(samples[index].path)))
    digests = [sample.sha256 for sample in samples]
    return Deck(labels, labels, digests, [sample.split for sample in samples], manifest.column, names)


def deck_of_labels(
    labels: Sequence[str], digests: Sequence[str], column: Callable[[str], list[str | None]], many: str
) -> Deck:
    """Rows or texts (`many`) with their classes; the upload names no splits."""
    return Deck(labels, labels, digests, [None] * len(digests), column, _rows(many))


def deck_of_values(
    values: NDArray[np.float64], digests: Sequence[str], column: Callable[[str], list[str | None]], many: str
) -> Deck:
    """The same with values [n]."""
    return Deck(None, strata_of(values, digests), digests, [None] * len(digests), column, _rows(many))


def strata_of(values: NDArray[np.float64], digests: Sequence[str]) -> list[str]:
    """[n] the decile of each value; equal values are in one stratum.

    Below 300 samples there are fewer strata, of about 30 each. Strata with fewer than three different samples, of
    which each split gets one, are joined to the next.
    """
    parts = max(1, min(STRATA, len(values) // ROWS_PER_STRATUM))
    edges = np.quantile(values, np.arange(1, parts) / parts)
    places = np.searchsorted(edges, values, side="left").tolist()
    owners: dict[str, int] = {}  # as in a deal, of copies the first decides
    for digest, place in zip(digests, places, strict=True):
        owners.setdefault(digest, place)
    groups = Counter(owners.values())
    joined: dict[int, int] = {}
    number, waiting = 0, 0
    for place in sorted(set(places)):
        joined[place] = number
        waiting += groups[place]
        if waiting >= _GROUPS_PER_STRATUM:
            number, waiting = number + 1, 0
    last = max(number - 1, 0)
    return [str(min(joined[place], last)) for place in places]


def _rows(many: str) -> Names:
    return Names(many.removesuffix("s"), many, lambda index: ("row", index))
