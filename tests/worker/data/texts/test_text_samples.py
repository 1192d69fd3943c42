"""What is read of the samples of texts, and how they are cut into groups."""

from pathlib import Path

import pyarrow.parquet as pq

from service.specs.sample_columns import DIGEST, TEXT
from service.specs.text_files import TextRow
from tests.worker.data.damage import leave_readable
from worker.data.texts.samples import digest_of, read_chosen_texts, write_samples


def test_a_few_texts_need_neither_other_groups_nor_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "samples.parquet"
    rows = [TextRow(number, f"text {number}", "ab"[number % 2], {"from": f"{number}"}) for number in range(5000)]
    write_samples(path, rows, ["from"])
    leave_readable(path, groups={1, 3}, columns={TEXT, DIGEST})
    texts, digests = read_chosen_texts(path, [3100, 1024, 2047, 1024])
    assert texts == ["text 3100", "text 1024", "text 2047", "text 1024"]
    assert digests == [digest_of(text) for text in texts]


def test_long_texts_have_groups_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "samples.parquet"
    rows = [TextRow(number, f"{number} " * 2_500_000, "a", {}) for number in range(3)]
    write_samples(path, [*rows, TextRow(3, "short", "b", {}), TextRow(4, "short", "b", {})], [])
    metadata = pq.read_metadata(path)
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [1, 1, 3]
    assert read_chosen_texts(path, [2, 4])[0] == [rows[2].text, "short"]
