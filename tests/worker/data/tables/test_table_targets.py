"""S31: what can be learned, and what cannot."""

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.errors import BadInput, DatasetTooSmall, Invalid, TargetInvalid
from tests.worker.data.tables.validated import validate

CLASSIFIED, REGRESSED = "tabular_classification", "tabular_regression"


def learn(*values: Any, rows: int = 60, **more: Any) -> dict[str, list[Any]]:
    """A feature that differs in every row, and the target."""
    return {"x": [math.sqrt(n) for n in range(rows)], "y": [values[n % len(values)] for n in range(rows)], **more}


PROBLEMS: dict[str, tuple[tuple[Any, ...], list[str], list[str]]] = {
    "words": (("cat", "dog"), [CLASSIFIED], ["cat", "dog"]),
    "booleans": (("True", "False"), [CLASSIFIED], ["False", "True"]),
    "spellings": (("yes", "Yes", "NO"), [CLASSIFIED], ["no", "yes"]),
    "few integers": ((0, 1, 10, 2), [CLASSIFIED, REGRESSED], ["0", "1", "10", "2"]),
    "whole floats": (("1.0", "2.0", "1"), [CLASSIFIED, REGRESSED], ["1", "2"]),
    "negative integers": ((-1, 1), [CLASSIFIED, REGRESSED], ["-1", "1"]),
    "halves": ((0.5, 1, 1.5), [REGRESSED], []),
    "twenty integers": (tuple(range(20)), [CLASSIFIED, REGRESSED], sorted(map(str, range(20)))),
    "twenty-one integers": (tuple(range(21)) + (0,) * 9, [REGRESSED], []),
    "codes": (("01", "02"), [CLASSIFIED], ["01", "02"]),
}


@pytest.mark.parametrize(("values", "problems", "classes"), PROBLEMS.values(), ids=PROBLEMS)
def test_problems(tmp_path: Path, values: tuple[Any, ...], problems: list[str], classes: list[str]) -> None:
    found = validate(tmp_path, learn(*values))
    assert (found.found.manifest.problems, found.found.manifest.classes) == (problems, classes)
    assert found.found.profile.target.problems == problems
    assert (found.samples.classes is not None) == (CLASSIFIED in problems)
    if REGRESSED in problems:
        expected = [float(value) for value in learn(*values)["y"]]
        np.testing.assert_array_equal(found.samples.values, expected)
        assert found.found.profile.target.mean == pytest.approx(sum(expected) / 60)
    if CLASSIFIED in problems:
        assert found.found.profile.target.classes == {
            name: found.samples.classes.tolist().count(name)  # type: ignore[union-attr]
            for name in classes
        }


def test_the_target_can_be_named_and_its_kind_asked_for(tmp_path: Path) -> None:
    table = {"y": [n % 3 for n in range(60)], "x": [math.sqrt(n) for n in range(60)]}
    found = validate(tmp_path, table, target="y", columns={"y": "categorical"})
    assert (found.found.manifest.problems, found.kinds()) == ([CLASSIFIED], {"x": "numeric"})
    found = validate(tmp_path, table, target="y", columns={"y": "numeric"})
    assert found.found.manifest.problems == [REGRESSED, CLASSIFIED]


def test_numbers_with_a_rare_value_can_still_be_regressed(tmp_path: Path) -> None:
    table = learn(1, 2)
    table["y"][7] = 3
    found = validate(tmp_path, table)
    assert (found.found.manifest.problems, found.found.manifest.classes) == ([REGRESSED], [])
    assert found.samples.classes is None


REFUSED: dict[str, tuple[dict[int, Any], type[BadInput], list[tuple[Any, ...]]]] = {
    "missing": ({3: "", 7: "NA"}, TargetInvalid, [("file", 5, "y"), ("file", 9, "y")]),
    "infinite": ({3: "inf"}, TargetInvalid, [("file", 5, "y")]),
    "not a number": ({3: "nan"}, TargetInvalid, [("file", 5, "y")]),
    "beyond all floats": ({3: "1e999"}, TargetInvalid, [("file", 5, "y")]),
    "a word among numbers": ({3: "x"}, TargetInvalid, [("class", "x")]),
}


@pytest.mark.parametrize(("changes", "error", "places"), REFUSED.values(), ids=REFUSED)
def test_s31_rows_without_a_target_are_named(
    tmp_path: Path, changes: dict[int, Any], error: type[BadInput], places: list[tuple[Any, ...]]
) -> None:
    table = learn(1, 2, 3)
    for row, value in changes.items():
        table["y"][row] = value
    with pytest.raises(error) as caught:
        validate(tmp_path, table)
    assert [fault.loc for fault in caught.value.errors] == places
    assert "y" in caught.value.detail


def test_up_to_100_rows_are_named(tmp_path: Path) -> None:
    with pytest.raises(TargetInvalid) as caught:
        validate(tmp_path, learn("a", "", "b", "", rows=400))
    assert len(caught.value.errors) == 100
    assert "200 rows" in caught.value.detail


@pytest.mark.parametrize("value", ["cat", 1, 0.5, "true"])
def test_one_value_is_nothing_to_learn(tmp_path: Path, value: Any) -> None:
    with pytest.raises(TargetInvalid, match="one value"):
        validate(tmp_path, learn(value))


def test_s31_small_classes_are_named(tmp_path: Path) -> None:
    table = learn("cat", "dog")
    table["y"][0] = table["y"][1] = "emu"
    with pytest.raises(TargetInvalid) as caught:
        validate(tmp_path, table)
    assert [fault.loc for fault in caught.value.errors] == [("class", "emu")]


def test_copies_do_not_make_a_class_large(tmp_path: Path) -> None:
    """Ten rows of `emu`, of which two differ."""
    table = learn("cat", "dog", rows=60)
    for row in range(10):
        table["y"][row], table["x"][row] = "emu", 1000.0 + row % 2
    with pytest.raises(TargetInvalid) as caught:
        validate(tmp_path, table)
    assert [fault.loc for fault in caught.value.errors] == [("class", "emu")]


def test_times_and_free_names_are_no_targets(tmp_path: Path) -> None:
    with pytest.raises(TargetInvalid, match="time"):
        validate(tmp_path, learn(*[f"2024-01-{day:02d}" for day in range(1, 29)]))
    with pytest.raises(TargetInvalid):
        validate(tmp_path, learn(*[f"name {n}" for n in range(60)]))


def test_a_kind_that_the_target_is_not(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        validate(tmp_path, learn("1", "x"), columns={"y": "numeric"})
    assert caught.value.errors[0].loc == ("file", 3, "y")


def test_nothing_left_to_learn_from(tmp_path: Path) -> None:
    table = {"id": [f"u{n}" for n in range(60)], "void": [""] * 60, "y": ["a", "b"] * 30}
    with pytest.raises(TargetInvalid, match="No column is left"):
        validate(tmp_path, table)


def test_equal_rows_are_too_few(tmp_path: Path) -> None:
    with pytest.raises(DatasetTooSmall):
        validate(tmp_path, {"x": [1, 2] * 30, "y": [random.Random(n).random() for n in range(60)]})
    with pytest.raises(DatasetTooSmall):
        validate(tmp_path, learn("a", "b", rows=9))


def test_the_largest_numbers_have_a_mean(tmp_path: Path) -> None:
    found = validate(tmp_path, learn(1.7e308, 1.6e308, 1.5))
    assert found.found.profile.target.mean == pytest.approx(1.1e308)
