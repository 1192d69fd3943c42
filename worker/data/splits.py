"""Dealing samples to train, validation and test, by groups of identical ones."""

import random
from collections.abc import Iterable, Mapping, Sequence

from service.errors import DatasetTooSmall, Fault, TargetInvalid
from service.specs.datasets import ImageSample, Split
from service.specs.jobs import SplitSpec
from worker.data.deals import Deal, check_deal
from worker.data.deck import Deck
from worker.data.group_split import deal_by_group
from worker.data.time_split import deal_by_time

Group = list[int]
"""Indices of samples with one digest: they go to one split together."""


def deal(deck: Deck, split: SplitSpec, seed: int) -> Deal:
    """Sample indices, ascending, of each split.

    `stratified` gives every stratum the asked-for shares, `random` the dataset as a whole; both give each class a
    sample in every split. `predefined` follows the upload: of duplicates across its splits the copy in test, else in
    validation, stays and the others are left out; a missing validation or test split is dealt from train. `group`
    and `time` are `deal_by_group` and `deal_by_time`. Where values are learned, strata are parts of their range.

    Raises:
        TargetInvalid: fewer than two classes, classes that train would lack, groups or times that do not allow it.
        DatasetTooSmall: classes with fewer distinct samples than there are splits to deal.
        SplitCrossed: an error of ours: the deal does not keep what it promises.
    """
    dealt = _deal(deck, split, seed)
    check_deal(deck, split, dealt)
    return dealt


def _deal(deck: Deck, split: SplitSpec, seed: int) -> Deal:
    if deck.labels is not None and len(deck.classes) < 2:
        raise TargetInvalid("At least two classes are needed.")
    shares: dict[Split, float] = {"validation": split.validation, "test": split.test}
    generator = random.Random(seed)
    if split.strategy == "group":
        return deal_by_group(deck, split, generator)
    if split.strategy == "time":
        return deal_by_time(deck, split)
    if split.strategy != "predefined":
        dealing = _Dealing(deck, range(len(deck)), generator)
        return dealing.randomly(shares) if split.strategy == "random" else dealing.by_stratum(shares)
    given = _as_uploaded(deck)
    missing: dict[Split, float] = {name: share for name, share in shares.items() if not given[name]}
    if missing:
        given |= _Dealing(deck, given["train"], generator).by_stratum(missing)
    return given


def _as_uploaded(deck: Deck) -> Deal:
    given: Deal = {"train": [], "validation": [], "test": []}
    for index, name in enumerate(deck.splits):
        given[name or "train"].append(index)
    taken: set[str] = set()
    for split in ("test", "validation", "train"):
        given[split] = [index for index in given[split] if deck.digests[index] not in taken]
        taken |= {deck.digests[index] for index in given[split]}
    lacking = set(deck.classes) - {deck.strata[index] for index in given["train"]}
    if lacking:
        text = f"Classes have no {deck.names.one} of their own in the train folder."
        raise TargetInvalid(text, errors=_faults(deck, lacking))
    return given


class _Dealing:
    """Groups of identical samples by stratum, in random order."""

    def __init__(self, deck: Deck, indices: Iterable[int], generator: random.Random) -> None:
        self.deck = deck
        self.generator = generator
        groups: dict[str, Group] = {}
        for index in indices:
            groups.setdefault(deck.digests[index], []).append(index)
        self.groups: dict[str, list[Group]] = {stratum: [] for stratum in sorted(set(deck.strata))}
        for group in groups.values():
            self.groups[deck.strata[group[0]]].append(group)
        for members in self.groups.values():
            generator.shuffle(members)

    def by_stratum(self, shares: Mapping[Split, float]) -> Deal:
        """The shares of each stratum; what remains is train."""
        self._check(shares)
        dealt: Deal = {"train": [], **{name: [] for name in shares}}
        for groups in self.groups.values():
            total = sum(map(len, groups))
            remaining = list(groups)
            for later, (name, share) in enumerate(shares.items()):
                keep = len(shares) - later
                dealt[name] += _take(remaining, max(1, round(share * total)), keep)
            dealt["train"] += [index for group in remaining for index in group]
        return {name: sorted(members) for name, members in dealt.items()}

    def randomly(self, shares: Mapping[Split, float]) -> Deal:
        """One group of every stratum for each split; the others regardless of it."""
        self._check(shares)
        dealt: Deal = {"train": [], **{name: [] for name in shares}}
        remaining: list[Group] = []
        for groups in self.groups.values():
            for name, group in zip(dealt, groups, strict=False):
                dealt[name] += group
            remaining += groups[len(dealt) :]
        self.generator.shuffle(remaining)
        total = sum(len(group) for groups in self.groups.values() for group in groups)
        for name, share in shares.items():
            wanted = round(share * total) - len(dealt[name])
            dealt[name] += _take(remaining, wanted, 0)
        dealt["train"] += [index for group in remaining for index in group]
        return {name: sorted(members) for name, members in dealt.items()}

    def _check(self, shares: Mapping[Split, float]) -> None:
        needed = len(shares) + 1
        small = {stratum for stratum, groups in self.groups.items() if len(groups) < needed}
        if small and self.deck.labels is None:
            raise DatasetTooSmall(f"At least {needed} different {self.deck.names.many} are needed.")
        if small:
            many = self.deck.names.many
            text = f"Every class needs at least {needed} different {many}, one for each part of the split."
            raise DatasetTooSmall(text, errors=_faults(self.deck, small))


def _take(groups: list[Group], wanted: int, keep: int) -> list[int]:
    """Removes groups from the end of the list until about `wanted` samples are out; leaves `keep` groups."""
    taken: list[int] = []
    while len(groups) > keep and len(taken) + len(groups[-1]) / 2 <= wanted:
        taken += groups.pop()
    if not taken and wanted > 0 and len(groups) > keep:
        taken += groups.pop()
    return taken


def _faults(deck: Deck, labels: Iterable[str]) -> Sequence[Fault]:
    many = deck.names.many
    return [Fault(("classes", label), f"too_few_{many}", f"Too few different {many}.") for label in sorted(labels)]


def paths_of(samples: Sequence[ImageSample], dealt: Deal) -> dict[str, list[str]]:
    """The deal by path in the archive, as it is stored with a model."""
    return {name: [samples[index].path for index in indices] for name, indices in dealt.items()}
