"""Uploads of texts before they are accepted: what is read, what is refused and where."""

import io
import json
import subprocess
import sys

import pytest

from service.errors import CsvMalformed, Invalid, PayloadTooLarge, ServiceError, TargetInvalid, UnsupportedMediaType
from service.specs.csv_reader import CsvLimits
from service.specs.text_files import TextColumns, TextRow, check_texts, read_text_rows, text_format

NAMES = TextColumns()


def rows(content: bytes, columns: TextColumns = NAMES, limits: CsvLimits | None = None) -> list[TextRow]:
    return list(read_text_rows(io.BytesIO(content), columns, limits or CsvLimits()))


def lines(*objects: object) -> bytes:
    return "\n".join(json.dumps(found, ensure_ascii=False) for found in objects).encode()


def test_both_formats_say_the_same() -> None:
    said = [('so, "good"\nindeed 😀', "good", "7"), (" bad ", "bad", None)]
    as_json = lines(*({"text": text, "label": label, "group": group} for text, label, group in said))
    as_csv = 'group,label,text\r\n7,good,"so, ""good""\nindeed 😀"\r\n,bad," bad "\r\n'.encode()

    assert [(row.text, row.label, row.others["group"]) for row in rows(as_json)] == said
    assert [(row.text, row.label, row.others["group"]) for row in rows(as_csv)] == said
    assert [row.line for row in rows(as_json)] == [1, 2]
    assert [row.line for row in rows(as_csv)] == [2, 4]
    assert (text_format(io.BytesIO(as_json)), text_format(io.BytesIO(as_csv))) == ("jsonl", "csv")


def test_labels_and_other_values_may_be_numbers() -> None:
    found = rows(lines({"body": "a", "stars": 5, "at": 1.5, "spam": True, "tags": ["x"]}), TextColumns("body", "stars"))
    assert found == [TextRow(1, "a", "5", {"at": "1.5", "spam": "true", "tags": '["x"]'})]


def test_blank_lines_and_a_byte_order_mark_are_passed_over() -> None:
    content = b"\xef\xbb\xbf" + lines({"text": "a", "label": "x"}) + b"\n\n" + lines({"text": "b", "label": "y"})
    assert [(row.line, row.text) for row in rows(content)] == [(1, "a"), (3, "b")]
    file = io.BytesIO(content)
    assert check_texts(file, NAMES) == 2
    assert file.tell() == 0


GOOD = b'{"text": "a", "label": "x"}\n'


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (b"{", "not JSON"),
        (b'["a"]', "no JSON object"),
        (b'{"text": 1, "label": "x"}', "text is missing or no string"),
        (b'{"label": "x"}', "text is missing or no string"),
        (b'{"text": "a", "text": "b", "label": "x"}', "names a key twice"),
        (b'{"text": "a\\u0000", "label": "x"}', "NUL"),
        (b'{"text": "\\ud83d", "label": "x"}', "surrogate"),
        (b'{"text": "a", "label": "x", "n": NaN}', "NaN, which is no number"),
        (b'{"text": "\xff", "label": "x"}', "not UTF-8"),
        (b'{"text": "a", "label": "x", " n": 1}', "a name is"),
        (b'{"text": "' + b"a" * 200 + b'", "label": "x"}', "longer than 100 bytes"),
        (b'{"text": "a", "label": "x", "deep": ' + b"[" * 3000 + b"]" * 3000 + b"}", "nested deeper than 32"),
    ],
)
def test_a_bad_line_is_named(line: bytes, rule: str) -> None:
    with pytest.raises(Invalid) as caught:
        rows(GOOD + line + b"\n" + GOOD, limits=CsvLimits(field_bytes=100))
    (fault,) = caught.value.errors
    assert fault.loc == ("file", 2)
    assert fault.message.startswith("Line 2: ")
    assert rule in fault.message


def test_every_bad_line_is_listed_up_to_a_hundred() -> None:
    with pytest.raises(Invalid) as caught:
        rows(GOOD + b"{\n" * 3 + GOOD)
    assert [fault.loc for fault in caught.value.errors] == [("file", 2), ("file", 3), ("file", 4)]
    with pytest.raises(Invalid) as caught:
        rows(GOOD + b"{\n" * 500)
    assert len(caught.value.errors) == 100


@pytest.mark.parametrize(
    ("content", "error", "where"),
    [
        (b"body,label\na,x\n", Invalid, ("body", "text")),
        (b"text,class\na,x\n", TargetInvalid, ("body", "target")),
        (lines({"body": "a", "label": "x"}), Invalid, ("body", "text")),
        (lines({"text": "a", "class": "x"}), TargetInvalid, ("body", "target")),
        (b"text,label\na\n", CsvMalformed, ("file", 2)),
        (b"text,label\n\xff,x\n", CsvMalformed, ("file", 2)),
        (b"text,label\na\x00,x\n", CsvMalformed, ("file", 2)),
        ("text,label\n".encode("utf-16"), CsvMalformed, ("file", 1)),
        (b"", CsvMalformed, ("file", 1)),
    ],
)
def test_wrong_columns_and_csv_are_refused_by_place(
    content: bytes, error: type[ServiceError], where: tuple[str | int, ...]
) -> None:
    with pytest.raises(error) as caught:
        check_texts(io.BytesIO(content), NAMES)
    assert caught.value.errors[0].loc == where


@pytest.mark.parametrize("content", [b"PK\x03\x04rest", b"PAR1rest", b"\x80\x04model", b'[{"text": "a"}]'])
def test_other_kinds_of_files_are_refused(content: bytes) -> None:
    with pytest.raises(UnsupportedMediaType):
        check_texts(io.BytesIO(content), NAMES)


def test_limits() -> None:
    many = GOOD * 20
    with pytest.raises(PayloadTooLarge):
        check_texts(io.BytesIO(many), NAMES, CsvLimits(rows=19))
    with pytest.raises(PayloadTooLarge):
        check_texts(io.BytesIO(many), NAMES, CsvLimits(file_bytes=100))
    with pytest.raises(Invalid, match="Line 1: longer than"):
        check_texts(io.BytesIO(b'{"text": "' + b"a" * 500), NAMES, CsvLimits(row_bytes=300))
    wide = lines({"text": "a", "label": "x", **{f"c{at}": 1 for at in range(101)}})
    with pytest.raises(Invalid, match="more than 100 other columns"):
        check_texts(io.BytesIO(wide), NAMES)
    with pytest.raises(TargetInvalid, match="text column"):
        check_texts(io.BytesIO(many), TextColumns("text", "text"))


def test_the_api_needs_neither_torch_nor_pyarrow() -> None:
    code = "import sys; sys.modules.update(torch=None, pyarrow=None, tokenizers=None); import service.specs.text_files"
    subprocess.run([sys.executable, "-c", code], check=True)
