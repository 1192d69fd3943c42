"""Dealing whole groups to train, validation and test: of one patient, one camera, one recording."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.errors import Fault, TargetInvalid
from service.specs.datasets import SPLITS, Manifest, Split
from service.specs.jobs import SplitSpec
from worker.data.deals import Deal

_TRIES = 20


@dataclass
class _Block:
    """Samples that must stay together, and how many of each class they are."""

    indices: list[int] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def deal_by_group(manifest: Manifest, split: SplitSpec, generator: random.Random) -> Deal:
    """Gives blocks of samples, the largest first, to the split that then misses its share of each class the least.

    A block is what group values and byte-identical images tie together, directly or through others; a sample without
    a group value is tied by its bytes alone. The greedy choice is that of scikit-learn's StratifiedGroupKFold, for
    parts of unequal size. Every class is in train, no split is empty.

    Raises:
        TargetInvalid: the blocks do not allow that, or twenty orders of them did not find out how; names the
            classes that are in one block only, which train needs.
    """
    assert split.group_column is not None, "the spec is valid"
    blocks = _blocks(manifest, manifest.column(split.group_column))
    shares: dict[Split, float] = {"validation": split.validation, "test": split.test}
    shares["train"] = 1.0 - sum(shares.values())
    for _ in range(_TRIES):
        generator.shuffle(blocks)
        ordered = sorted(blocks, key=lambda block: -len(block.indices))
        dealt = _Greedy(manifest, shares, ordered).deal()
        train = {manifest.samples[index].label for index in dealt["train"]}
        if all(dealt.values()) and train == set(manifest.classes):
            return dealt
    text = f"train needs every class, validation and test need a group each; {len(blocks)} groups do not allow it"
    fault = Fault(("split", "group_column"), "too-few-groups", text)
    raise TargetInvalid("The groups cannot be dealt to three splits.", errors=[fault, *_bound_to_train(blocks)])


def _bound_to_train(blocks: Sequence[_Block]) -> list[Fault]:
    found_in = Counter(label for block in blocks for label in block.counts)
    text = "All its images belong to one group, or are copies of images in it; train needs that group."
    return [Fault(("classes", label), "one-group", text) for label, count in sorted(found_in.items()) if count == 1]


def _blocks(manifest: Manifest, groups: Sequence[str | None]) -> list[_Block]:
    """Connected components of "same group" and "same bytes" (union-find, Tarjan 1975), in order of appearance."""
    parent = list(range(len(groups)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = index = parent[parent[index]]
        return index

    first: dict[tuple[str, str], int] = {}
    for index, (sample, group) in enumerate(zip(manifest.samples, groups, strict=True)):
        ties = [("bytes", sample.sha256)] + ([("group", group)] if group is not None else [])
        for tie in ties:
            parent[root(index)] = root(first.setdefault(tie, index))
    blocks: dict[int, _Block] = {}
    for index, sample in enumerate(manifest.samples):
        block = blocks.setdefault(root(index), _Block())
        block.indices.append(index)
        block.counts[sample.label] += 1
    return list(blocks.values())


class _Greedy:
    """One pass over the blocks in their order."""

    def __init__(self, manifest: Manifest, shares: Mapping[Split, float], blocks: Sequence[_Block]) -> None:
        self.blocks = blocks
        self.totals = Counter(sample.label for sample in manifest.samples)
        self.wanted = {
            name: {label: share * self.totals[label] for label in self.totals} for name, share in shares.items()
        }
        self.to_come = Counter(label for block in blocks for label in block.counts)
        self.in_train: set[str] = set()
        self.dealt: Deal = {name: [] for name in SPLITS}

    def deal(self) -> Deal:
        for done, block in enumerate(self.blocks):
            name = min(self._choices(block, len(self.blocks) - done), key=lambda name: self._cost(block, name))
            self.dealt[name] += block.indices
            for label, count in block.counts.items():
                self.wanted[name][label] -= count
            self.to_come.subtract(dict.fromkeys(block.counts, 1))
            if name == "train":
                self.in_train |= block.counts.keys()
        return {name: sorted(indices) for name, indices in self.dealt.items()}

    def _choices(self, block: _Block, left: int) -> Sequence[Split]:
        """Train alone for the last block with a class that train lacks; the empty splits once blocks get scarce."""
        if any(self.to_come[label] == 1 for label in block.counts.keys() - self.in_train):
            return ["train"]
        empty = [name for name in SPLITS if not self.dealt[name]]
        return empty if len(empty) >= left else SPLITS

    def _cost(self, block: _Block, name: Split) -> float:
        """By how much Σ (still wanted)² / total over classes grows if `name` gets the block."""
        wanted = self.wanted[name]
        return sum(count * (count - 2 * wanted[label]) / self.totals[label] for label, count in block.counts.items())
