"""Dealing samples to train, validation and test, by groups of byte-identical images."""

import random
from collections.abc import Iterable, Mapping, Sequence

from service.errors import DatasetTooSmall, Fault, TargetInvalid
from service.specs.datasets import ImageSample, Manifest, Split
from service.specs.jobs import SplitSpec
from worker.data.deals import Deal, check_deal
from worker.data.group_split import deal_by_group
from worker.data.time_split import deal_by_time

Group = list[int]
"""Indices of byte-identical samples: they go to one split together."""


def deal(manifest: Manifest, split: SplitSpec, seed: int) -> Deal:
    """Sample indices, ascending, of each split.

    `stratified` gives every class the asked-for shares, `random` the dataset as a whole; both give each class an
    image in every split. `predefined` follows the folders: of duplicates across folders the copy in test, else in
    validation, stays and the others are left out; a missing validation or test split is dealt from train. `group`
    and `time` are `deal_by_group` and `deal_by_time`.

    Raises:
        TargetInvalid: fewer than two classes, classes that train would lack, groups or times that do not allow it.
        DatasetTooSmall: classes with fewer distinct images than there are splits to deal.
        SplitCrossed: an error of ours: the deal does not keep what it promises.
    """
    dealt = _deal(manifest, split, seed)
    check_deal(manifest, split, dealt)
    return dealt


def _deal(manifest: Manifest, split: SplitSpec, seed: int) -> Deal:
    if len(manifest.classes) < 2:
        raise TargetInvalid("At least two classes are needed.")
    shares: dict[Split, float] = {"validation": split.validation, "test": split.test}
    generator = random.Random(seed)
    if split.strategy == "group":
        return deal_by_group(manifest, split, generator)
    if split.strategy == "time":
        return deal_by_time(manifest, split)
    if split.strategy != "predefined":
        dealt = _Dealing(manifest, range(len(manifest.samples)), generator)
        return dealt.randomly(shares) if split.strategy == "random" else dealt.by_class(shares)
    given = _by_folder(manifest)
    missing: dict[Split, float] = {name: share for name, share in shares.items() if not given[name]}
    if missing:
        given |= _Dealing(manifest, given["train"], generator).by_class(missing)
    return given


def _by_folder(manifest: Manifest) -> Deal:
    given: Deal = {"train": [], "validation": [], "test": []}
    for index, sample in enumerate(manifest.samples):
        given[sample.split or "train"].append(index)
    taken: set[str] = set()
    for name in ("test", "validation", "train"):
        given[name] = [index for index in given[name] if manifest.samples[index].sha256 not in taken]
        taken |= {manifest.samples[index].sha256 for index in given[name]}
    lacking = set(manifest.classes) - {manifest.samples[index].label for index in given["train"]}
    if lacking:
        raise TargetInvalid("Classes have no image of their own in the train folder.", errors=_faults(lacking))
    return given


class _Dealing:
    """Groups of byte-identical samples by class, in random order."""

    def __init__(self, manifest: Manifest, indices: Iterable[int], generator: random.Random) -> None:
        self.generator = generator
        groups: dict[str, Group] = {}
        for index in indices:
            groups.setdefault(manifest.samples[index].sha256, []).append(index)
        self.by_label: dict[str, list[Group]] = {label: [] for label in sorted(manifest.classes)}
        for group in groups.values():
            self.by_label[manifest.samples[group[0]].label].append(group)
        for members in self.by_label.values():
            generator.shuffle(members)

    def by_class(self, shares: Mapping[Split, float]) -> Deal:
        """The shares of each class; what remains is train."""
        self._check(shares)
        dealt: Deal = {"train": [], **{name: [] for name in shares}}
        for groups in self.by_label.values():
            total = sum(map(len, groups))
            remaining = list(groups)
            for later, (name, share) in enumerate(shares.items()):
                keep = len(shares) - later
                dealt[name] += _take(remaining, max(1, round(share * total)), keep)
            dealt["train"] += [index for group in remaining for index in group]
        return {name: sorted(members) for name, members in dealt.items()}

    def randomly(self, shares: Mapping[Split, float]) -> Deal:
        """One group of every class for each split; the others regardless of class."""
        self._check(shares)
        dealt: Deal = {"train": [], **{name: [] for name in shares}}
        remaining: list[Group] = []
        for groups in self.by_label.values():
            for name, group in zip(dealt, groups, strict=False):
                dealt[name] += group
            remaining += groups[len(dealt) :]
        self.generator.shuffle(remaining)
        total = sum(len(group) for groups in self.by_label.values() for group in groups)
        for name, share in shares.items():
            wanted = round(share * total) - len(dealt[name])
            dealt[name] += _take(remaining, wanted, 0)
        dealt["train"] += [index for group in remaining for index in group]
        return {name: sorted(members) for name, members in dealt.items()}

    def _check(self, shares: Mapping[Split, float]) -> None:
        needed = len(shares) + 1
        small = {label for label, groups in self.by_label.items() if len(groups) < needed}
        if small:
            text = f"Every class needs at least {needed} different images, one for each part of the split."
            raise DatasetTooSmall(text, errors=_faults(small))


def _take(groups: list[Group], wanted: int, keep: int) -> list[int]:
    """Removes groups from the end of the list until about `wanted` samples are out; leaves `keep` groups."""
    taken: list[int] = []
    while len(groups) > keep and len(taken) + len(groups[-1]) / 2 <= wanted:
        taken += groups.pop()
    if not taken and wanted > 0 and len(groups) > keep:
        taken += groups.pop()
    return taken


def _faults(labels: Iterable[str]) -> Sequence[Fault]:
    return [Fault(("classes", label), "too_few_images", "Too few different images.") for label in sorted(labels)]


def paths_of(samples: Sequence[ImageSample], dealt: Deal) -> dict[str, list[str]]:
    """The deal by path in the archive, as it is stored with a model."""
    return {name: [samples[index].path for index in indices] for name, indices in dealt.items()}
