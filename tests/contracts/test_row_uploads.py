"""Uploads of tables and texts: what is refused before 201, what is kept of the form (S30 to S32, S34)."""

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.store.datasets import ARCHIVE
from tests.contracts.conftest import Api, problem
from tests.corpora import pets, tables

HOSTILE = tables.cases("s30", "s31", "s32", "s34")
TEXTS = "".join(f'{{"text": "some words {number}", "label": "{"ab"[number % 2]}"}}\n' for number in range(12)).encode()


def table(api: Api, content: bytes | None = None, **fields: str) -> Any:
    return api.upload(tables.plain() if content is None else content, name="a.csv", modality="tabular", **fields)


def texts(api: Api, content: bytes = TEXTS, **fields: str) -> Any:
    return api.upload(content, name="a.jsonl", modality="text", **fields)


def parquet() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"n": list(range(20)), "label": ["a", "b"] * 10}), buffer)
    return buffer.getvalue()


def kept(api: Api, dataset_id: str) -> Any:
    with api.store.read() as work:
        return work.artifacts.find(dataset_id, ARCHIVE)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tables(name: str, api: Api) -> None:
    content, slug, line = HOSTILE[name]()
    before = len(api.call("GET", "/v1/datasets?limit=200").json()["data"])
    document = problem(table(api, content), 415 if slug == "unsupported-media-type" else 422, slug)
    assert len(api.call("GET", "/v1/datasets?limit=200").json()["data"]) == before
    if line is not None:
        assert document["errors"][0]["loc"] == ["file", line]


def test_a_table_is_kept_as_it_came_with_what_was_said_of_it(api: Api) -> None:
    fields = {"target": "x", "columns": '{"n": "ignore", "label": "categorical"}', "delimiter": ","}
    body = table(api, **fields).json()
    assert (body["state"], body["modality"], body["profile"]) == ("validating", "tabular", None)
    columns = {"n": "ignore", "label": "categorical"}
    assert body["options"] == {"target": "x", "columns": columns, "delimiter": ",", "format": "csv"}
    artifact = kept(api, body["id"])
    assert artifact.media_type == "text/csv; charset=utf-8"
    assert api.store.artifacts.read_bytes(artifact) == tables.plain()


def test_parquet_is_known_by_its_bytes(api: Api) -> None:
    body = table(api, parquet()).json()
    assert body["options"]["format"] == "parquet"
    assert kept(api, body["id"]).media_type == "application/vnd.apache.parquet"
    document = problem(table(api, parquet(), delimiter=","), 422, "validation")
    assert document["errors"][0]["loc"] == ["body", "delimiter"]


def test_texts_are_kept_with_the_names_of_their_columns(api: Api) -> None:
    body = texts(api).json()
    assert (body["modality"], body["options"]) == ("text", {"text": "text", "target": "label"})
    assert kept(api, body["id"]).media_type == "application/jsonl"
    as_csv = b"note,kind\n" + b"".join(b"words,a\n" for _ in range(12))
    body = texts(api, as_csv, text="note", target="kind").json()
    assert body["options"] == {"text": "note", "target": "kind"}
    assert kept(api, body["id"]).media_type == "text/csv; charset=utf-8"


@pytest.mark.parametrize(
    ("modality", "field", "value"),
    [
        ("image", "target", "label"),
        ("image", "text", "text"),
        ("image", "columns", "{}"),
        ("image", "delimiter", ","),
        ("text", "columns", "{}"),
        ("text", "delimiter", ","),
        ("tabular", "text", "text"),
    ],
)
def test_fields_of_other_modalities_are_named(modality: str, field: str, value: str, api: Api) -> None:
    content = {"image": pets.plain(), "text": TEXTS, "tabular": tables.plain()}[modality]
    document = problem(api.upload(content, modality=modality, **{field: value}), 422, "validation")
    assert [(fault["loc"], fault["code"]) for fault in document["errors"]] == [(["body", field], "other-modality")]
    assert modality in document["errors"][0]["message"]


@pytest.mark.parametrize(
    ("fields", "slug", "loc"),
    [
        ({"target": "nothing"}, "target-invalid", ["body", "target"]),
        ({"target": "n" * 201}, "validation", ["body", "target"]),
        ({"columns": "n=numeric"}, "validation", ["body", "columns"]),
        ({"columns": '["n"]'}, "validation", ["body", "columns"]),
        ({"columns": '{"n": "numeric", "n": "ignore"}'}, "validation", ["body", "columns"]),
        ({"columns": '{"n": "number"}'}, "validation", ["body", "columns", "n"]),
        ({"columns": '{"m": "numeric"}'}, "validation", ["body", "columns", "m"]),
        ({"columns": '{"label": "ignore"}'}, "validation", ["body", "columns", "label"]),
        ({"columns": '{"n": "ignore", "x": "ignore"}'}, "target-invalid", ["body", "columns"]),
        ({"delimiter": "::"}, "validation", ["body", "delimiter"]),
    ],
)
def test_what_is_said_of_a_table_is_checked(fields: dict[str, str], slug: str, loc: list[str], api: Api) -> None:
    document = problem(table(api, **fields), 422, slug)
    assert document["errors"][0]["loc"][: len(loc)] == loc


@pytest.mark.parametrize(
    ("content", "fields", "status", "slug", "loc"),
    [
        (TEXTS, {"text": "note"}, 422, "validation", ["body", "text"]),
        (TEXTS, {"target": "kind"}, 422, "target-invalid", ["body", "target"]),
        (TEXTS, {"target": "text"}, 422, "target-invalid", ["body", "target"]),
        (TEXTS + b"{'text': 1}\n", {}, 422, "validation", ["file", 13]),
        (TEXTS + b'{"text": 7, "label": "a"}\n', {}, 422, "validation", ["file", 13]),
        (b"text,label\na,b,c\n", {}, 422, "csv-malformed", ["file", 2]),
        (b"text,text\na,b\n", {}, 422, "duplicate-column", ["file", 1]),
        (b"[" + TEXTS + b"]", {}, 415, "unsupported-media-type", None),
        (pets.plain(), {}, 415, "unsupported-media-type", None),
    ],
)
def test_what_texts_are_refused_for(
    content: bytes, fields: dict[str, str], status: int, slug: str, loc: list[Any] | None, api: Api
) -> None:
    document = problem(texts(api, content, **fields), status, slug)
    if loc is not None:
        assert document["errors"][0]["loc"] == loc


def test_hostile_names_are_not_kept(api: Api) -> None:
    for fields in ({"target": "a\0b"}, {"columns": json.dumps({"a\0b": "ignore"})}):
        problem(table(api, parquet(), **fields), 422, "validation")


def test_the_document_tells_of_the_form_and_of_each_profile(api: Api) -> None:
    document = api.client.app.openapi()  # type: ignore[attr-defined]
    schemas = document["components"]["schemas"]
    form = next(schema for name, schema in schemas.items() if name.startswith("Body_upload_dataset"))
    assert {"file", "modality", "target", "text", "columns", "delimiter"} <= set(form["properties"])
    assert form["properties"]["modality"]["enum"] == ["image", "text", "tabular"]
    profiles = {
        one.get("$ref", "").rpartition("/")[2] for one in schemas["DatasetRead"]["properties"]["profile"]["anyOf"]
    }
    assert {"ImageProfile", "TableProfile", "TextProfile"} <= profiles
    refusals = document["paths"]["/v1/datasets"]["post"]["responses"]["422"]["description"]
    for slug in ("csv-malformed", "duplicate-column", "target-invalid", "dataset-too-small"):
        assert f"`{slug}`" in refusals
