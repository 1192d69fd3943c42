"""Some rows of a Parquet file are those of the whole file."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.specs.sample_rows import read_rows

TABLE = pa.table({"a.b": [f"t{number % 7}" for number in range(50)], "a": list(range(50)), "c": [0.5] * 50})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    pq.write_table(TABLE, tmp_path / "t.parquet", row_group_size=8)
    return tmp_path / "t.parquet"


@pytest.mark.parametrize("dictionaries", [[], ["a.b"]])
def test_rows_come_in_the_order_asked_for(path: Path, dictionaries: list[str]) -> None:
    generator = random.Random(0)
    with pq.ParquetFile(path, read_dictionary=dictionaries) as file:
        for count in (0, 1, 5, 200):
            places = [generator.randrange(50) for _ in range(count)]
            assert read_rows(file, places).to_pylist() == [TABLE.slice(place, 1).to_pylist()[0] for place in places]
        chosen = read_rows(file, [49, 8, 7], ["a", "a.b"])
    assert chosen.to_pydict() == {"a": [49, 8, 7], "a.b": ["t0", "t1", "t0"]}


@pytest.mark.parametrize("place", [-1, 50])
def test_a_row_that_is_not_there(path: Path, place: int) -> None:
    with pq.ParquetFile(path) as file, pytest.raises(IndexError):
        read_rows(file, [3, place])
