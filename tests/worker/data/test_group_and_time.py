"""Splits by a column of `metadata.csv`."""

import itertools
import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import SplitCrossed, TargetInvalid
from service.specs.datasets import SPLITS, ImageSample, Manifest, Split
from service.specs.jobs import SplitSpec
from worker.data.deals import Deal, check_deal
from worker.data.deck import deck_of
from worker.data.splits import deal

BY_GROUP = SplitSpec(strategy="group", group_column="patient")
BY_TIME = SplitSpec(strategy="time", time_column="taken")
Row = tuple[str, int, str | None]
"""Label, content, value of the column."""


def manifest(rows: list[Row], column: str) -> Manifest:
    samples = [
        ImageSample(path=f"{label}/{place}.png", label=label, sha256=str(content), values=[value])
        for place, (label, content, value) in enumerate(rows)
    ]
    return Manifest(classes=sorted({label for label, _, _ in rows}), samples=samples, columns=[column])


def sides(of: Manifest, dealt: Deal, column: str) -> dict[Split, set[str | None]]:
    values = of.column(column)
    return {name: {values[index] for index in indices} for name, indices in dealt.items()}


def crossing(parts: dict[Split, set[str | None]]) -> set[str | None]:
    """What is in two splits, beside None."""
    return {value for a, b in itertools.combinations(parts.values(), 2) for value in a & b} - {None}


ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 60), st.none() | st.integers(0, 20).map(str)),
    min_size=20,
    max_size=120,
)


@settings(max_examples=150, deadline=None)
@given(rows=ROWS, seed=st.integers(0, 100))
def test_groups_and_copies_stay_together(rows: list[Row], seed: int) -> None:
    dataset = manifest(rows, "patient")
    if len(dataset.classes) < 2:
        return
    try:
        dealt = deal(deck_of(dataset), BY_GROUP, seed)
    except TargetInvalid:
        assert len(components(rows)) < 10, "so many groups can be dealt"
        return
    content = {name: {dataset.samples[index].sha256 for index in indices} for name, indices in dealt.items()}

    assert sorted(itertools.chain(*dealt.values())) == list(range(len(rows)))
    assert not crossing(sides(dataset, dealt, "patient"))
    assert not crossing(content)  # type: ignore[arg-type]
    assert {dataset.samples[index].label for index in dealt["train"]} == set(dataset.classes)
    assert all(dealt.values())
    assert deal(deck_of(dataset), BY_GROUP, seed) == dealt


def components(rows: list[Row]) -> list[set[int]]:
    """By merging sets until none touch: slow, and not how the deal does it."""
    keys: defaultdict[tuple[str, object], set[int]] = defaultdict(set)
    for place, (_, content, group) in enumerate(rows):
        keys["content", content].add(place)
        if group is not None:
            keys["group", group].add(place)
    found: list[set[int]] = []
    for members in keys.values():
        touching = [one for one in found if one & members]
        found = [one for one in found if not one & members] + [members.union(*touching)]
    return found


def test_shares_and_classes_are_near_those_asked_for() -> None:
    generator = random.Random(3)
    rows: list[Row] = []
    for patient in range(120):
        for _ in range(generator.randint(1, 12)):
            label = "ab"[generator.random() < (0.9 if patient % 3 else 0.2)]
            rows.append((label, len(rows), str(patient)))
    dataset = manifest(rows, "patient")
    dealt = deal(
        deck_of(dataset), SplitSpec(validation=0.2, test=0.1, strategy="group", group_column="patient"), seed=0
    )
    totals = Counter(label for label, _, _ in rows)
    for name, share in (("train", 0.7), ("validation", 0.2), ("test", 0.1)):
        counts = Counter(dataset.samples[index].label for index in dealt[name])  # type: ignore[index]
        for label, total in totals.items():
            assert counts[label] / total == pytest.approx(share, abs=0.02)


def test_a_sample_without_a_group_stands_alone() -> None:
    rows: list[Row] = [("ab"[number % 2], number, None) for number in range(100)]
    spec = BY_GROUP.model_copy(update={"validation": 0.16, "test": 0.2})
    dealt = deal(deck_of(manifest(rows, "patient")), spec, seed=0)
    assert [len(dealt[name]) for name in SPLITS] == [64, 16, 20]


def test_a_copy_ties_two_groups() -> None:
    rows: list[Row] = [("ab"[number % 2], number, str(number // 4)) for number in range(80)]
    rows[0] = ("a", 7, "0")  # the bytes of a sample of group 1
    dataset = manifest(rows, "patient")
    for seed in range(20):
        parts = sides(dataset, deal(deck_of(dataset), BY_GROUP, seed), "patient")
        assert any({"0", "1"} <= part for part in parts.values())


def test_a_class_of_one_group_is_trained_on() -> None:
    rows: list[Row] = [("a", number, str(number)) for number in range(30)]
    rows += [("b", 100 + number, "one") for number in range(10)]
    dataset = manifest(rows, "patient")
    assert all(
        "one" in sides(dataset, deal(deck_of(dataset), BY_GROUP, seed), "patient")["train"] for seed in range(10)
    )


@pytest.mark.parametrize("groups", [["1", "2"], ["1", "1"], ["1", "2", "3", "4"]])
def test_groups_that_cannot_be_dealt(groups: list[str]) -> None:
    """Two are too few; of four with a class each, train needs all."""
    rows: list[Row] = [(group, place, group) for place, group in enumerate(groups * 5)]
    rows += [("x", 100, groups[0])]
    with pytest.raises(TargetInvalid) as caught:
        deal(deck_of(manifest(rows, "patient")), BY_GROUP, seed=0)
    named = [fault.loc for fault in caught.value.errors]
    alone = {label for label in {row[0] for row in rows} if len({row[2] for row in rows if row[0] == label}) == 1}
    assert named == [("split", "group_column"), *(("classes", label) for label in sorted(alone))]


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 60), st.integers(0, 40).map(str)), min_size=12))
def test_time_only_runs_forward(rows: list[Row]) -> None:
    dataset = manifest(rows, "taken")
    times = [int(value or 0) for _, _, value in rows]
    try:
        dealt = deal(deck_of(dataset), BY_TIME, seed=0)
    except TargetInvalid:
        return
    in_order = [[times[index] for index in dealt[name]] for name in SPLITS]
    contents = {name: {dataset.samples[index].sha256 for index in indices} for name, indices in dealt.items()}
    left_out = set(range(len(rows))) - set(itertools.chain(*dealt.values()))

    assert max(in_order[0]) < min(in_order[1])
    assert max(in_order[1]) < min(in_order[2])
    assert not crossing(contents)  # type: ignore[arg-type]
    for index in left_out:
        older = [other for other, row in enumerate(rows) if row[1] == rows[index][1] and times[other] < times[index]]
        assert older, "only newer copies are left out"


def test_time_shares_and_ties() -> None:
    rows: list[Row] = [("ab"[number % 2], number, f"2024-01-{1 + number // 10:02d}") for number in range(100)]
    random.Random(0).shuffle(rows)
    dataset = manifest(rows, "taken")
    dealt = deal(deck_of(dataset), SplitSpec(validation=0.22, test=0.18, strategy="time", time_column="taken"), seed=0)
    assert sides(dataset, dealt, "taken") == {
        "train": {f"2024-01-{day:02d}" for day in range(1, 7)},
        "validation": {"2024-01-07", "2024-01-08"},
        "test": {"2024-01-09", "2024-01-10"},
    }
    assert [len(dealt[name]) for name in SPLITS] == [60, 20, 20]


def test_newer_copies_in_a_later_split_are_left_out() -> None:
    rows: list[Row] = [("ab"[number % 2], number, str(number)) for number in range(40)]
    rows += [("a", 0, "1.5"), ("a", 0, "39.5")]
    dealt = deal(deck_of(manifest(rows, "taken")), BY_TIME, seed=0)
    assert 40 in dealt["train"]
    assert 41 not in set(itertools.chain(*dealt.values()))


@pytest.mark.parametrize("value", [None, "soon", "2024-01-01"])
def test_a_sample_without_a_time_is_named(value: str | None) -> None:
    rows: list[Row] = [("ab"[number % 2], number, str(number)) for number in range(40)]
    rows[17] = ("b", 17, value)
    with pytest.raises(TargetInvalid) as caught:
        deal(deck_of(manifest(rows, "taken")), BY_TIME, seed=0)
    assert caught.value.errors[0].loc == ("file", "b/17.png")


def test_a_class_that_is_too_new_is_named() -> None:
    rows: list[Row] = [("abc"[(number % 2) if number < 38 else 2], number, str(number)) for number in range(40)]
    with pytest.raises(TargetInvalid) as caught:
        deal(deck_of(manifest(rows, "taken")), BY_TIME, seed=0)
    assert [fault.loc for fault in caught.value.errors] == [("classes", "c")]


def test_two_times_are_too_few() -> None:
    rows: list[Row] = [("ab"[number % 2], number, str(number % 3 // 2)) for number in range(40)]
    with pytest.raises(TargetInvalid) as caught:
        deal(deck_of(manifest(rows, "taken")), BY_TIME, seed=0)
    assert caught.value.errors[0].loc == ("split", "time_column")


CROSSED: dict[str, tuple[str, Deal, str]] = {
    "empty": ("random", {"train": [0, 1], "validation": [], "test": [2]}, "empty"),
    "sample": ("random", {"train": [0, 1], "validation": [1], "test": [2]}, "twice"),
    "sample within one": ("random", {"train": [0, 0], "validation": [1], "test": [2]}, "twice"),
    "bytes": ("stratified", {"train": [0, 1], "validation": [2], "test": [4]}, "Identical images"),
    "group": ("group", {"train": [0, 1], "validation": [2], "test": [3]}, "one group"),
    "time": ("time", {"train": [0, 2], "validation": [1], "test": [3]}, "not older"),
    "tie": ("time", {"train": [0], "validation": [1], "test": [2]}, "not older"),
}


@pytest.mark.parametrize(("strategy", "dealt", "words"), CROSSED.values(), ids=CROSSED)
def test_the_check_sees_what_crosses(strategy: str, dealt: Deal, words: str) -> None:
    columns = {"group": {"group_column": "n"}, "time": {"time_column": "n"}}
    spec = SplitSpec(strategy=strategy, **columns.get(strategy, {}))  # type: ignore[arg-type]
    contents, values = [1, 2, 3, 4, 1], ["1", "2", "2", "1", "5"]
    dataset = manifest([("ab"[place % 2], *pair) for place, pair in enumerate(zip(contents, values, strict=True))], "n")
    with pytest.raises(SplitCrossed, match=words):
        check_deal(deck_of(dataset), spec, dealt)


@given(
    contents=st.lists(st.integers(0, 6), min_size=3, max_size=10),
    places=st.lists(st.integers(0, 3), min_size=10, max_size=10),
)
def test_the_check_says_yes_only_to_what_is_apart(contents: list[int], places: list[int]) -> None:
    """Any deal, most of them bad ones; 3 is left out."""
    dealt: Deal = {name: [] for name in SPLITS}
    for index, place in enumerate(places[: len(contents)]):
        if place < 3:
            dealt[SPLITS[place]].append(index)
    rows: list[Row] = [("ab"[n % 2], content, None) for n, content in enumerate(contents)]
    apart = all(
        contents[a] != contents[b]
        for one, other in itertools.combinations(dealt.values(), 2)
        for a, b in itertools.product(one, other)
    )
    if apart and all(dealt.values()):
        check_deal(deck_of(manifest(rows, "n")), SplitSpec(strategy="random"), dealt)
    else:
        with pytest.raises(SplitCrossed):
            check_deal(deck_of(manifest(rows, "n")), SplitSpec(strategy="random"), dealt)
