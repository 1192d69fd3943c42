import numpy as np

from worker.data.row_groups import GROUP_TEXT_BYTES, row_groups


def cut(sizes: list[int], most_rows: int) -> list[int]:
    parts = list(row_groups(np.array(sizes, dtype=np.int64), most_rows))
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(len(sizes)))
    return [part.stop - part.start for part in parts]


def test_groups_are_cut_by_rows_and_by_bytes() -> None:
    third = GROUP_TEXT_BYTES // 3
    assert cut([0] * 10, 4) == [4, 4, 2]
    assert cut([third] * 7, 100) == [3, 3, 1]
    assert cut([third] * 7, 2) == [2, 2, 2, 1]
    assert cut([1, GROUP_TEXT_BYTES * 9, 1, GROUP_TEXT_BYTES - 1, 1], 100) == [1, 1, 2, 1], "no row is ever split"
    assert cut([], 4) == []
