"""Dealing rows and texts: classes, values, groups and times of a table's columns."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import DatasetTooSmall, SplitCrossed, TargetInvalid
from service.specs.datasets import SPLITS
from service.specs.jobs import SplitSpec
from worker.data.deals import Deal, check_deal
from worker.data.deck import Deck, deck_of_labels, deck_of_values, strata_of
from worker.data.splits import deal

STRATIFIED = SplitSpec(validation=0.2, test=0.1, strategy="stratified")


def nothing(name: str) -> list[str | None]:
    raise ValueError(name)


def deck(values: Sequence[float], digests: Sequence[Any] | None = None, column: Sequence[str | None] = ()) -> Deck:
    names = [str(digest) for digest in (range(len(values)) if digests is None else digests)]
    return deck_of_values(np.array(values, dtype=np.float64), names, lambda name: list(column), "rows")


def values_of(values: Sequence[float], dealt: Deal) -> dict[str, list[float]]:
    return {name: sorted(values[index] for index in dealt[name]) for name in SPLITS}


def test_every_decile_gives_its_share() -> None:
    values = np.random.default_rng(0).lognormal(sigma=2.0, size=1000)
    dealt = deal(deck(values.tolist()), STRATIFIED, seed=0)
    tenth = values.argsort().argsort() // 100  # ranks, not quantiles
    for name, expected in (("train", 70), ("validation", 20), ("test", 10)):
        assert np.bincount(tenth[dealt[name]]).tolist() == [expected] * 10  # type: ignore[index]


def test_values_are_dealt_by_the_seed() -> None:
    numbers = deck([math.sqrt(n) for n in range(300)])
    assert deal(numbers, STRATIFIED, seed=1) == deal(numbers, STRATIFIED, seed=1)
    assert deal(numbers, STRATIFIED, seed=1) != deal(numbers, STRATIFIED, seed=2)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 5) | st.floats(-1e9, 1e9), st.integers(0, 40)), min_size=3, max_size=150),
    strategy=st.sampled_from(["stratified", "random"]),
    seed=st.integers(0, 50),
)
def test_any_values_are_dealt_whole_and_apart(rows: list[tuple[float, int]], strategy: Any, seed: int) -> None:
    """Copies with other values, ties, few rows: whenever three rows differ, there is a deal."""
    digests = [digest for _, digest in rows]
    numbers = deck([value for value, _ in rows], digests)
    if len(set(digests)) < 3:
        with pytest.raises(DatasetTooSmall, match="3 different rows"):
            deal(numbers, SplitSpec(strategy=strategy), seed)
        return
    dealt = deal(numbers, SplitSpec(strategy=strategy), seed)
    sides = [{digests[index] for index in dealt[name]} for name in SPLITS]
    assert sorted(itertools.chain(*dealt.values())) == list(range(len(rows)))
    assert not any(one & other for one, other in itertools.combinations(sides, 2))


def test_strata() -> None:
    def sizes(values: Any, digests: Any = None) -> list[int]:
        names = [str(n) for n in range(len(values))] if digests is None else digests
        return sorted(Counter(strata_of(np.array(values, dtype=np.float64), names)).values())

    assert sizes(range(29)) == [29]
    assert sizes(range(90)) == [30, 30, 30]
    assert sizes(range(1000)) == [100] * 10
    assert sizes([0.0] * 290 + list(range(1, 11))) == [10, 290]
    assert sizes([0.0] * 298 + [1, 2]) == [300], "two rows cannot be in three splits"
    assert sizes(range(60), ["copy"] * 30 + [str(n) for n in range(30)]) == [60]


def test_groups_of_rows_stay_together_and_share_the_range() -> None:
    generator = np.random.default_rng(0)
    patients = generator.integers(0, 120, 600)
    values = patients % 10 + generator.normal(scale=0.1, size=600)
    column: list[str | None] = [f"p{patient}" for patient in patients]
    dealt = deal(deck(values.tolist(), column=column), SplitSpec(strategy="group", group_column="patient"), seed=0)
    sides = [{column[index] for index in dealt[name]} for name in SPLITS]
    assert not any(one & other for one, other in itertools.combinations(sides, 2))
    means = [values[dealt[name]].mean() for name in SPLITS]
    assert max(means) - min(means) < 1.0, "of values from 0 to 9"


def test_values_need_no_stratum_in_train() -> None:
    """Three groups, each with its own values: of classes train would need all of them."""
    values = [float(n // 20) for n in range(60)]
    column: list[str | None] = [str(n // 20) for n in range(60)]
    dealt = deal(deck(values, column=column), SplitSpec(strategy="group", group_column="g"), seed=0)
    assert [len(dealt[name]) for name in SPLITS] == [20, 20, 20]
    labelled = deck_of_labels(column, [str(n) for n in range(60)], lambda name: column, "rows")  # type: ignore[arg-type]
    with pytest.raises(TargetInvalid):
        deal(labelled, SplitSpec(strategy="group", group_column="g"), seed=0)


def test_values_over_time() -> None:
    times: list[str | None] = [f"2024-01-{1 + n % 30:02d}T00:00:00+00:00" for n in range(90)]
    values = [float(n % 30) for n in range(90)]
    spec = SplitSpec(validation=0.2, test=0.1, strategy="time", time_column="day")
    parts = values_of(values, deal(deck(values, column=times), spec, seed=0))
    assert (set(parts["test"]), set(parts["validation"])) == ({27.0, 28.0, 29.0}, set(map(float, range(21, 27))))


def test_a_row_without_a_time_is_named() -> None:
    times: list[str | None] = [None if n == 17 else str(n) for n in range(40)]
    spec = SplitSpec(strategy="time", time_column="t")
    with pytest.raises(TargetInvalid) as caught:
        deal(deck([float(n) for n in range(40)], column=times), spec, seed=0)
    assert caught.value.errors[0].loc == ("row", 17)


def test_messages_speak_of_rows_and_texts() -> None:
    labels = ["a"] * 20 + ["b"] * 2
    with pytest.raises(DatasetTooSmall, match="different texts") as caught:
        deal(deck_of_labels(labels, [str(n) for n in range(22)], nothing, "texts"), STRATIFIED, seed=0)
    assert [(fault.loc, fault.code) for fault in caught.value.errors] == [(("classes", "b"), "too_few_texts")]
    dealt: Deal = {"train": [0], "validation": [1], "test": [2]}
    with pytest.raises(SplitCrossed, match="Identical rows"):
        check_deal(deck([1.0, 2.0, 3.0], ["x", "y", "x"]), STRATIFIED, dealt)


def test_classes_of_rows_are_dealt_as_those_of_images() -> None:
    labels = [["cat", "dog", "emu"][n % 3] for n in range(90)]
    dealt = deal(deck_of_labels(labels, [str(n) for n in range(90)], nothing, "rows"), STRATIFIED, seed=0)
    assert [Counter(labels[index] for index in dealt[name]) for name in SPLITS] == [
        {"cat": 21, "dog": 21, "emu": 21},
        {"cat": 6, "dog": 6, "emu": 6},
        {"cat": 3, "dog": 3, "emu": 3},
    ]
