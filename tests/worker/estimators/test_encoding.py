import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from service.errors import Invalid
from service.specs.tables import ColumnKind, ColumnSchema
from tests.worker.estimators.tables import ROWS, SCHEMA, mixed_table
from worker.data.table import Table, table_of
from worker.estimators.encoding import Encoding

READERS = {
    "trees": {"standardise": False, "one_hot": False},
    "mlp": {"standardise": True, "one_hot": False},
    "linear": {"standardise": True, "one_hot": True},
}
DENSE = ("mlp", "linear")


def one_column(kind: ColumnKind, values: list[Any]) -> Table:
    return table_of([ColumnSchema(name="x", kind=kind)], [{"x": value} for value in values])


def fit(table: Table, reader: str) -> Encoding:
    return Encoding.fit(table, **READERS[reader])


@pytest.mark.parametrize("reader", READERS)
@given(train=ROWS, rows=ROWS)
@settings(max_examples=60, deadline=None)
def test_a_row_is_encoded_alone_as_in_a_batch(reader: str, train: list[dict[str, Any]], rows: list[Any]) -> None:
    encoding, table = fit(table_of(SCHEMA, train), reader), table_of(SCHEMA, rows)
    singles = [encoding.encode(table.take([row])) for row in range(len(rows))]
    np.testing.assert_array_equal(encoding.encode(table), np.concatenate(singles))


@pytest.mark.parametrize("reader", READERS)
@given(train=ROWS, rows=ROWS)
@settings(max_examples=60, deadline=None)
def test_what_is_dense_has_no_gap_and_nothing_overflows(reader: str, train: list[Any], rows: list[Any]) -> None:
    encoded = fit(table_of(SCHEMA, train), reader).encode(table_of(SCHEMA, rows))
    assert not np.isinf(encoded.astype(np.float32)).any()
    assert reader not in DENSE or not np.isnan(encoded).any()


@pytest.mark.parametrize("reader", READERS)
@given(train=ROWS)
@settings(max_examples=40, deadline=None)
def test_groups_part_the_encoded_columns_among_the_users(reader: str, train: list[Any]) -> None:
    encoding = fit(table_of(SCHEMA, train), reader)
    assert len(encoding.groups) == len(SCHEMA)
    positions = [position for group in encoding.groups for position in range(encoding.width)[group]]
    assert positions == list(range(encoding.width))
    assert encoding.groups[3].start == encoding.groups[3].stop  # texts are left out


@pytest.mark.parametrize("reader", READERS)
@given(train=ROWS, rows=ROWS)
@settings(max_examples=40, deadline=None)
def test_an_unseen_category_is_a_missing_one(reader: str, train: list[Any], rows: list[Any]) -> None:
    encoding, column = fit(table_of(SCHEMA, train), reader), "colour.of = thing"
    unseen, missing = ([{**row, column: value} for row in rows] for value in ("never seen", None))
    np.testing.assert_array_equal(encoding.encode(table_of(SCHEMA, unseen)), encoding.encode(table_of(SCHEMA, missing)))


@pytest.mark.parametrize("reader", READERS)
def test_what_json_keeps_encodes_the_same(reader: str) -> None:
    table, _ = mixed_table()
    encoding = fit(table, reader)
    back = Encoding.model_validate(json.loads(encoding.model_dump_json()))
    np.testing.assert_array_equal(back.encode(table), encoding.encode(table))


def test_trees_see_what_is_missing() -> None:
    encoding = fit(table_of(SCHEMA, [{"colour.of = thing": "red", "age": 3.0}]), "trees")
    encoded = encoding.encode(table_of(SCHEMA, [{}, {"colour.of = thing": "red", "age": 3.5}]))
    assert np.isnan(encoded[0]).all()
    assert encoded[1, 0] == 3.5
    assert encoded[1, encoding.groups[2].start] == 1


def test_numbers_are_standardised_as_scikit_learn_does() -> None:
    table, _ = mixed_table()
    ages = table.values["age"].copy()
    ages[np.isnan(ages)] = np.nanmedian(ages)
    encoded = fit(table, "linear").encode(table)
    np.testing.assert_allclose(encoded[:, 0], StandardScaler().fit_transform(ages[:, None])[:, 0], atol=1e-12)
    np.testing.assert_array_equal(encoded[:, 1], np.isnan(table.values["age"]))


def test_categories_are_indicators_as_scikit_learn_has_them() -> None:
    train, rows = (one_column("categorical", values) for values in (["b", "a", "c", "a"], ["c", "z", "a"]))
    reference = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(train.values["x"][:, None])
    np.testing.assert_array_equal(fit(train, "linear").encode(rows), reference.transform(rows.values["x"][:, None]))


def test_a_gap_where_train_has_none_is_the_median_and_no_column_more() -> None:
    encoding = fit(one_column("numeric", [1.0, 2.0, 6.0]), "mlp")
    assert encoding.width == 1
    encoded = encoding.encode(one_column("numeric", [None, 2.0]))
    assert encoded[0, 0] == encoded[1, 0]


@pytest.mark.parametrize("reader", DENSE)
def test_a_column_that_does_not_vary_in_train_says_nothing_later(reader: str) -> None:
    for train in ([7.0, 7.0], [None, None]):
        encoded = fit(one_column("numeric", train), reader).encode(one_column("numeric", [7.0, 1e9, None]))
        assert (encoded == 0).all()


def test_rare_categories_are_as_unknown_as_unseen_ones() -> None:
    names = [f"c{number:03d}" for number in range(150)]
    train = one_column("categorical", names[:100] * 2 + names[100:])
    encoding = fit(train, "mlp")
    assert encoding.categories == {0: 101}
    encoded = encoding.encode(one_column("categorical", [names[0], names[99], names[100], "new", None]))
    assert encoded[:, 0].tolist() == [1, 100, 0, 0, 0]


def test_a_moment_has_parts() -> None:
    moments = [datetime(1969, 7, 20, 20, 17, tzinfo=UTC), datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)]
    table = one_column("datetime", [moment.timestamp() for moment in moments])
    encoded = fit(table, "trees").encode(table)
    parts = [[moment.year, moment.month, moment.weekday(), moment.hour] for moment in moments]
    assert encoded[:, 1:].tolist() == parts


def test_trees_can_tell_one_second_from_the_next_in_a_day_of_today() -> None:
    start = datetime(2026, 8, 1, tzinfo=UTC).timestamp()
    table = one_column("datetime", [start + second for second in range(0, 86400, 60)] + [start + 1])
    seconds = fit(table, "trees").encode(table)[:, 0]
    assert len(set(seconds.tolist())) == len(table)
    assert len(set(np.float32(table.values["x"]).tolist())) < len(table)  # counted from 1970 they fall together


def test_splits_fall_alike_in_both_precisions() -> None:
    encoded = fit(one_column("numeric", [0.1, 0.2]), "trees").encode(one_column("numeric", [0.1, 1 / 3]))
    np.testing.assert_array_equal(encoded, encoded.astype(np.float32))


def test_a_table_of_texts_alone_is_refused() -> None:
    with pytest.raises(Invalid, match="No column"):
        fit(one_column("text", ["a", "b"]), "trees")
