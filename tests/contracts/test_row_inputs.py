"""Rows and texts as inputs of predictions and explanations: what is taken, and what is said of what is not."""

import gzip
import json
from typing import Any

import pytest

from service.store.serving import VALUES
from tests.contracts.conftest import Api, problem
from tests.contracts.models import KINDS, asked_inputs, fault, table_model, text_model
from tests.corpora import pets
from tests.corpora.pictures import png

LONG = "x" * (128 * 1024 + 1)
NOUNS = ("predictions", "explanations")
WRONG: list[tuple[str, Any]] = [
    ("age", "old"), ("age", True), ("age", "1e999"), ("age", [1]), ("age", {"is": 1}),
    ("member", "perhaps"), ("member", 2), ("member", 0.5),
    ("seen", "yesterday"), ("seen", 1700000000), ("seen", "2024-13-01"), ("seen", False),
    ("colour", True), ("colour", ["red"]), ("colour", LONG), ("note", 5), ("note", LONG), ("note", {}),
]  # fmt: skip


@pytest.fixture(scope="module")
def rows_model(api: Api) -> str:
    return table_model(api)


@pytest.fixture(scope="module")
def texts_model(api: Api) -> str:
    return text_model(api)


def send(api: Api, model: str, inputs: Any, noun: str = "predictions", **fields: Any) -> Any:
    body = {"inputs": inputs, **({"method": "lime"} if noun == "explanations" else {}), **fields}
    return api.call("POST", f"/v1/models/{model}/{noun}", json=body)


def send_file(api: Api, model: str, *contents: bytes, noun: str = "predictions") -> Any:
    spec = {"spec": '{"method": "lime"}'} if noun == "explanations" else {}
    files = [("file", ("a.csv", content)) for content in contents]
    return api.call("POST", f"/v1/models/{model}/{noun}", files=files, data=spec)


def kept(api: Api, answer: Any) -> list[Any]:
    """What was kept of an accepted request, which is then taken back."""
    assert answer.status_code == 202, answer.text
    with api.store.read() as work:
        artifact = work.artifacts.find(answer.json()["id"], VALUES)
    assert artifact is not None
    values: list[Any] = json.loads(api.store.artifacts.read_bytes(artifact))
    assert len(asked_inputs(api, answer)) == len(values)
    return values


def test_values_of_every_kind_are_kept_as_numbers_and_texts(api: Api, rows_model: str) -> None:
    full = {"age": "41.5", "colour": 1.0, "member": "Yes", "seen": "1970-01-01T00:01:00Z", "note": "a"}
    empty = dict.fromkeys(full)
    missing = {"age": "NA", "colour": "", "member": None, "seen": " "}
    assert kept(api, send(api, rows_model, [full, {}, missing])) == [
        {"age": 41.5, "colour": "1", "member": 1.0, "seen": 60.0, "note": "a"},
        empty,
        empty,
    ]


@pytest.mark.parametrize("noun", NOUNS)
def test_the_target_and_ignored_columns_may_come_along(noun: str, api: Api, rows_model: str) -> None:
    row = {"age": 1, "label": ["not", "looked", "at"], "visit": {"nor": "this"}}
    assert kept(api, send(api, rows_model, [row], noun)) == [dict.fromkeys(KINDS) | {"age": 1.0}]


@pytest.mark.parametrize("noun", NOUNS)
@pytest.mark.parametrize("row", ["a text", 5, None, [1, 2], True], ids=str)
def test_a_row_that_is_no_object(row: Any, noun: str, api: Api, rows_model: str) -> None:
    assert fault(send(api, rows_model, [{}, row], noun)) == (["body", "inputs", 1], "object")


@pytest.mark.parametrize(("column", "value"), WRONG, ids=lambda part: str(part)[:20])
def test_a_value_of_another_kind(column: str, value: Any, api: Api, rows_model: str) -> None:
    loc, code = fault(send(api, rows_model, [{}, {column: value}]))
    assert (loc, code) == (["body", "inputs", 1, column], KINDS[column])


def test_an_unknown_column_and_every_wrong_cell_are_named(api: Api, rows_model: str) -> None:
    document = problem(send(api, rows_model, [{"agee": 1, "age": "x"}, {"seen": "x"}]), 422, "validation")
    assert [(fault["loc"][2:], fault["code"]) for fault in document["errors"]] == [
        ([0, "agee"], "unknown-column"), ([0, "age"], "numeric"), ([1, "seen"], "datetime"),
    ]  # fmt: skip
    many = problem(send(api, rows_model, [{"age": "x", "agee": 1}] * 64), 422, "validation")
    assert len(many["errors"]) == 100


@pytest.mark.parametrize(
    ("column", "value"),
    [("colour", '"\\ud800"'), ("age", "NaN"), ("age", "-Infinity"), ("age", "1e999"), ("colour", "NaN")],
)
def test_json_that_is_no_value(column: str, value: str, api: Api, rows_model: str) -> None:
    path, headers = f"/v1/models/{rows_model}/predictions", {"Content-Type": "application/json"}
    content = f'{{"inputs": [{{"{column}": {value}}}]}}'
    assert fault(api.call("POST", path, content=content, headers=headers)) == (
        ["body", "inputs", 0, column],
        KINDS[column],
    )
    content = f'{{"inputs": [{{"{column}": {10**400}}}]}}'
    problem(api.call("POST", path, content=content, headers=headers), 400, "malformed-json")


@pytest.mark.parametrize("noun", NOUNS)
def test_s41_how_many(noun: str, api: Api, rows_model: str, texts_model: str) -> None:
    for model, one in ((rows_model, {}), (texts_model, "a")):
        problem(send(api, model, [one] * 65, noun), 422, "too-many-items")
        assert len(kept(api, send(api, model, [one] * 64, noun))) == 64
        assert fault(send(api, model, [], noun)) == (["body", "inputs"], "list")
        assert fault(send(api, model, "a", noun)) == (["body", "inputs"], "list")
        assert fault(send(api, model, [one], noun, dataset_id="ds_x")) == (["body", "dataset_id"], "two-sources")


def test_s41_how_many_of_a_file(api: Api, rows_model: str, texts_model: str) -> None:
    rows, texts = b"age\n" + b"1\n" * 10_000, b"note\n" + b"a\n" * 10_000
    assert len(kept(api, send_file(api, rows_model, rows))) == 10_000
    assert len(kept(api, send_file(api, texts_model, texts))) == 10_000
    problem(send_file(api, rows_model, rows + b"1\n"), 422, "too-many-items")
    problem(send_file(api, rows_model, b'{"age": 1}\n' * 10_001), 422, "too-many-items")
    problem(send_file(api, rows_model, b"age\n" + b"1\n" * 2001, noun="explanations"), 422, "too-many-items")
    problem(send_file(api, texts_model, b"note\n" + b"a\n" * 501, noun="explanations"), 422, "too-many-items")


@pytest.mark.parametrize("noun", NOUNS)
def test_a_file_of_rows(noun: str, api: Api, rows_model: str) -> None:
    expected = [{"age": 1.5, "colour": "1", "member": 0.0, "seen": None, "note": None}]
    table = b"colour,age,label,member,visit\r\n1,1.5,long,no,=x\r\n"
    assert kept(api, send_file(api, rows_model, table, noun=noun)) == expected
    lines = b'\n{"age": 1.5, "colour": 1, "label": null, "member": false}\n\n'
    assert kept(api, send_file(api, rows_model, lines, noun=noun)) == expected
    assert fault(send_file(api, rows_model, b"age\n1\nx\n", noun=noun)) == (["body", "file", 0, 1, "age"], "numeric")
    assert fault(send_file(api, rows_model, b"agee\n1\n", noun=noun)) == (
        ["body", "file", 0, 0, "agee"],
        "unknown-column",
    )
    assert fault(send_file(api, rows_model, table, table, noun=noun)) == (["body", "file"], "one-file")
    assert fault(send_file(api, rows_model, b"age,colour\n", noun=noun)) == (["body", "file", 0], "empty")


@pytest.mark.parametrize("noun", NOUNS)
def test_a_file_that_is_none(noun: str, api: Api, rows_model: str, texts_model: str) -> None:
    for model in (rows_model, texts_model):
        for content in (pets.plain(), gzip.compress(b"note\na\n"), b"PAR1" + b"\0" * 20, b'[{"note": "a"}]', b" ["):
            problem(send_file(api, model, content, noun=noun), 415, "unsupported-media-type")
        problem(send_file(api, model, b"", noun=noun), 422, "csv-malformed")
        problem(send_file(api, model, png(), noun=noun), 422, "csv-malformed")
        assert fault(send_file(api, model, b"note,age\na,1\na\n", noun=noun), "csv-malformed") == (
            ["file", 3],
            "csv-malformed",
        )
        problem(send_file(api, model, b"note,note\na,b\n", noun=noun), 422, "duplicate-column")
        for lines in (
            b'{"note": "a"}\n{"note": ',
            b'{"note": "a"}\n5\n',
            b'{"note": "a"}\n{"note": "a", "note": "b"}\n',
        ):
            assert fault(send_file(api, model, lines, noun=noun), "malformed-json", 400) == (
                ["file", 2],
                "malformed-json",
            )


@pytest.mark.parametrize("noun", NOUNS)
def test_texts_are_kept_as_they_are(noun: str, api: Api, texts_model: str) -> None:
    texts = ["a\n b ", "\U0001f98a \u4f60\u597d", "=1+1", "NA"]
    assert kept(api, send(api, texts_model, texts, noun)) == texts
    table = b'visit,note,label\n1,"a, b",long\n2,NA,\n'
    assert kept(api, send_file(api, texts_model, table, noun=noun)) == ["a, b", "NA"]
    assert kept(api, send_file(api, texts_model, b'{"note": "a"}\n', noun=noun)) == ["a"]


@pytest.mark.parametrize("noun", NOUNS)
@pytest.mark.parametrize(
    ("text", "code"),
    [("", "empty-text"), (" \n\t\u2003", "empty-text"), (5, "text"), (None, "text"), ({"note": "a"}, "text"),
     (["a"], "text"), (LONG, "too-long")],
    ids=lambda part: str(part)[:20],
)  # fmt: skip
def test_what_is_no_text(text: Any, code: str, noun: str, api: Api, texts_model: str) -> None:
    assert fault(send(api, texts_model, ["a", text], noun)) == (["body", "inputs", 1], code)


def test_half_a_surrogate_is_no_text(api: Api, texts_model: str) -> None:
    path, headers = f"/v1/models/{texts_model}/predictions", {"Content-Type": "application/json"}
    answer = api.call("POST", path, content=b'{"inputs": ["a", "\\ud83e"]}', headers=headers)
    assert fault(answer) == (["body", "inputs", 1], "text")
    whole = api.call("POST", path, content=b'{"inputs": ["\\ud83e\\udd8a"]}', headers=headers)
    assert kept(api, whole) == ["\U0001f98a"]


def test_texts_of_a_file_that_are_none(api: Api, texts_model: str) -> None:
    assert fault(send_file(api, texts_model, b"note,age\na,1\n,2\n")) == (["body", "file", 0, 1], "empty-text")
    assert fault(send_file(api, texts_model, b"text\na\n")) == (["body", "file", 0], "missing-column")
    assert fault(send_file(api, texts_model, b'{"note": "a"}\n{"note": 5}\n')) == (["body", "file", 0, 1], "text")
    assert fault(send_file(api, texts_model, b"note\na\n", b"note\na\n")) == (["body", "file"], "one-file")


@pytest.mark.parametrize("noun", NOUNS)
def test_images_are_not_sent_as_values(noun: str, api: Api) -> None:
    answer = send(api, api.ours.ids["model_id"], ["a"], noun)
    assert fault(answer) == (["body", "inputs"], "image-parts")
