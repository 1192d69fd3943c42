"""Dealing whole groups to train, validation and test: of one patient, one camera, one recording."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.errors import Fault, TargetInvalid
from service.specs.datasets import SPLITS, Split
from service.specs.jobs import SplitSpec
from worker.data.deals import Deal
from worker.data.deck import Deck

_TRIES = 20


@dataclass
class _Block:
    """Samples that must stay together, and how many of each stratum they are."""

    indices: list[int] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def deal_by_group(deck: Deck, split: SplitSpec, generator: random.Random) -> Deal:
    """Gives blocks of samples, the largest first, to the split that then misses its share of each stratum the least.

    A block is what group values and identical samples tie together, directly or through others; a sample without
    a group value is tied by its copies alone. The greedy choice is that of scikit-learn's StratifiedGroupKFold, for
    parts of unequal size. Every class is in train, no split is empty.

    Raises:
        TargetInvalid: the blocks do not allow that, or twenty orders of them did not find out how; names the
            classes that are in one block only, which train needs.
    """
    assert split.group_column is not None, "the spec is valid"
    blocks = _blocks(deck, deck.column(split.group_column))
    shares: dict[Split, float] = {"validation": split.validation, "test": split.test}
    shares["train"] = 1.0 - sum(shares.values())
    for _ in range(_TRIES):
        generator.shuffle(blocks)
        ordered = sorted(blocks, key=lambda block: -len(block.indices))
        dealt = _Greedy(deck, shares, ordered).deal()
        train = {deck.strata[index] for index in dealt["train"]}
        if all(dealt.values()) and train.issuperset(deck.classes):
            return dealt
    text = f"train needs every class, validation and test need a group each; {len(blocks)} groups do not allow it"
    fault = Fault(("split", "group_column"), "too-few-groups", text)
    raise TargetInvalid("The groups cannot be dealt to three splits.", errors=[fault, *_bound_to_train(deck, blocks)])


def _bound_to_train(deck: Deck, blocks: Sequence[_Block]) -> list[Fault]:
    found_in = Counter(label for block in blocks for label in block.counts)
    many = deck.names.many
    text = f"All its {many} belong to one group, or are copies of {many} in it; train needs that group."
    return [Fault(("classes", label), "one-group", text) for label in deck.classes if found_in[label] == 1]


def _blocks(deck: Deck, groups: Sequence[str | None]) -> list[_Block]:
    """Connected components of "same group" and "same digest" (union-find, Tarjan 1975), in order of appearance."""
    parent = list(range(len(groups)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = index = parent[parent[index]]
        return index

    first: dict[tuple[str, str], int] = {}
    for index, (digest, group) in enumerate(zip(deck.digests, groups, strict=True)):
        ties = [("digest", digest)] + ([("group", group)] if group is not None else [])
        for tie in ties:
            parent[root(index)] = root(first.setdefault(tie, index))
    blocks: dict[int, _Block] = {}
    for index, stratum in enumerate(deck.strata):
        block = blocks.setdefault(root(index), _Block())
        block.indices.append(index)
        block.counts[stratum] += 1
    return list(blocks.values())


class _Greedy:
    """One pass over the blocks in their order."""

    def __init__(self, deck: Deck, shares: Mapping[Split, float], blocks: Sequence[_Block]) -> None:
        self.blocks = blocks
        self.totals = Counter(deck.strata)
        self.classes = set(deck.classes)
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
        if any(self.to_come[label] == 1 for label in self.classes & block.counts.keys() - self.in_train):
            return ["train"]
        empty = [name for name in SPLITS if not self.dealt[name]]
        return empty if len(empty) >= left else SPLITS

    def _cost(self, block: _Block, name: Split) -> float:
        """By how much Σ (still wanted)² / total over strata grows if `name` gets the block."""
        wanted = self.wanted[name]
        return sum(count * (count - 2 * wanted[label]) / self.totals[label] for label, count in block.counts.items())
