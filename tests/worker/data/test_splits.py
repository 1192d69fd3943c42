import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import DatasetTooSmall, TargetInvalid
from service.specs.datasets import ImageSample, Manifest, Split
from service.specs.jobs import SplitSpec
from worker.data.deck import deck_of
from worker.data.splits import deal, paths_of


def sample(label: str, content: int | str, split: Split | None = None) -> ImageSample:
    return ImageSample(path=f"{label}/{content}.png", label=label, split=split, sha256=f"{content}")


def manifest(*samples: ImageSample) -> Manifest:
    return Manifest(classes=sorted({each.label for each in samples}), samples=list(samples))


def of_sizes(**sizes: int) -> Manifest:
    return manifest(*(sample(label, f"{label}{number}") for label, size in sizes.items() for number in range(size)))


def labels(of: Manifest, indices: list[int]) -> Counter[str]:
    return Counter(of.samples[index].label for index in indices)


def test_stratified_shares_are_exact() -> None:
    dataset = of_sizes(cat=100, dog=40, emu=3)
    dealt = deal(deck_of(dataset), SplitSpec(validation=0.15, test=0.25, strategy="stratified"), seed=1)

    assert labels(dataset, dealt["validation"]) == {"cat": 15, "dog": 6, "emu": 1}
    assert labels(dataset, dealt["test"]) == {"cat": 25, "dog": 10, "emu": 1}
    assert labels(dataset, dealt["train"]) == {"cat": 60, "dog": 24, "emu": 1}
    assert sorted(itertools.chain(*dealt.values())) == list(range(143))


@pytest.mark.parametrize("strategy", ["stratified", "random"])
def test_deals_follow_the_seed(strategy: str) -> None:
    dataset, spec = of_sizes(cat=50, dog=50), SplitSpec(strategy=strategy)  # type: ignore[arg-type]

    assert deal(deck_of(dataset), spec, seed=3) == deal(deck_of(dataset), spec, seed=3)
    assert deal(deck_of(dataset), spec, seed=3) != deal(deck_of(dataset), spec, seed=4)


@settings(max_examples=60, deadline=None)
@given(
    contents=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 25)), min_size=12, max_size=120),
    strategy=st.sampled_from(["stratified", "random"]),
    seed=st.integers(0, 1000),
)
def test_duplicates_stay_together_and_every_class_is_everywhere(
    contents: list[tuple[str, int]], strategy: str, seed: int
) -> None:
    dataset = manifest(*(sample(label, f"{label}{content}") for label, content in contents))
    distinct = Counter(label for label, _ in set(contents))
    spec = SplitSpec(strategy=strategy)  # type: ignore[arg-type]
    if len(distinct) < 2:
        return
    if min(distinct.values()) < 3:
        with pytest.raises(DatasetTooSmall) as caught:
            deal(deck_of(dataset), spec, seed)
        named = {fault.loc[-1] for fault in caught.value.errors}
        assert named == {label for label, count in distinct.items() if count < 3}
        return
    dealt = deal(deck_of(dataset), spec, seed)
    sides = {name: {dataset.samples[index].sha256 for index in indices} for name, indices in dealt.items()}

    assert sorted(itertools.chain(*dealt.values())) == list(range(len(contents)))
    assert not (
        sides["train"] & sides["validation"] | sides["train"] & sides["test"] | sides["validation"] & sides["test"]
    )
    assert all(labels(dataset, indices).keys() == distinct.keys() for indices in dealt.values())


def test_random_shares_are_of_the_whole() -> None:
    dataset = of_sizes(cat=150, dog=50)
    dealt = deal(deck_of(dataset), SplitSpec(validation=0.2, test=0.1, strategy="random"), seed=0)

    assert [len(dealt[name]) for name in ("train", "validation", "test")] == [140, 40, 20]


def test_equal_bytes_under_two_labels_stay_on_one_side() -> None:
    twins = [sample(label, f"twin{number}") for number in range(30) for label in ("cat", "dog")]
    own = [sample(label, f"{label}{number}") for number in range(10) for label in ("cat", "dog")]
    dataset = manifest(*twins, *own)
    dealt = deal(deck_of(dataset), SplitSpec(strategy="stratified"), seed=0)
    side = {index: name for name, indices in dealt.items() for index in indices}

    assert all(side[2 * number] == side[2 * number + 1] for number in range(30))


def test_predefined_follows_the_folders() -> None:
    dataset = manifest(
        *(sample(label, f"{label}{name}{number}", name) for label in "ab" for name in ("train", "validation", "test")
          for number in range(4))
    )  # fmt: skip
    dealt = deal(deck_of(dataset), SplitSpec(strategy="predefined"), seed=0)

    assert all(dataset.samples[index].split == name for name, indices in dealt.items() for index in indices)
    assert sum(map(len, dealt.values())) == 24


def test_predefined_without_validation_deals_it_from_train() -> None:
    dataset = manifest(
        *(sample(label, f"{label}{number}", "train") for label in "ab" for number in range(20)),
        *(sample(label, f"{label}t{number}", "test") for label in "ab" for number in range(5)),
    )
    dealt = deal(deck_of(dataset), SplitSpec(validation=0.25, strategy="predefined"), seed=0)

    assert labels(dataset, dealt["validation"]) == {"a": 5, "b": 5}
    assert labels(dataset, dealt["train"]) == {"a": 15, "b": 15}
    assert dealt["test"] == list(range(40, 50))


def test_predefined_leaves_out_training_copies_of_test_images() -> None:
    dataset = manifest(
        sample("a", "x", "train"), sample("a", "y", "train"), sample("b", "z", "train"), sample("b", "w", "validation"),
        sample("a", "x", "test"), sample("a", "x", "test"), sample("a", "x", "validation"),
    )  # fmt: skip
    dealt = deal(deck_of(dataset), SplitSpec(strategy="predefined"), seed=0)

    assert dealt == {"train": [1, 2], "validation": [3], "test": [4, 5]}


def test_predefined_needs_every_class_in_train() -> None:
    dataset = manifest(sample("a", "x", "train"), sample("b", "y", "test"), sample("a", "z", "validation"))
    with pytest.raises(TargetInvalid) as caught:
        deal(deck_of(dataset), SplitSpec(strategy="predefined"), seed=0)
    assert [fault.loc for fault in caught.value.errors] == [("classes", "b")]


def test_one_class_is_nothing_to_learn() -> None:
    with pytest.raises(TargetInvalid):
        deal(deck_of(of_sizes(cat=50)), SplitSpec(strategy="stratified"), seed=0)


def test_paths() -> None:
    dataset = of_sizes(cat=1, dog=1)
    assert paths_of(dataset.samples, {"train": [1], "validation": [], "test": [0]}) == {
        "train": ["dog/dog0.png"],
        "validation": [],
        "test": ["cat/cat0.png"],
    }
