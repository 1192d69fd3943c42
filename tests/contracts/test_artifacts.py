"""Artifacts: ranges (S18), names (S38)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from service.store.tables import ExplanationRow
from tests.contracts.conftest import Api, problem
from tests.contracts.world import WEIGHTS
from tests.corpora.pictures import png


def get(api: Api, name: str = "model.safetensors", **headers: str) -> Any:
    encoded = {header: value.encode() for header, value in headers.items()}
    return api.call("GET", f"/v1/models/{api.ours.ids['model_id']}/artifacts/{name}", headers=encoded)


@contextmanager
def statements(api: Api) -> Iterator[list[str]]:
    """What the database is asked for meanwhile."""
    asked: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        if not statement.startswith("BEGIN"):
            asked.append(statement)

    event.listen(api.store.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(api.store.engine, "before_cursor_execute", note)


def test_s18_single_ranges(api: Api) -> None:
    size = len(WEIGHTS)
    ranges = {
        "bytes=0-0": (0, 1),
        "bytes=5-9": (5, 10),
        "bytes=100-": (100, size),
        "bytes=-7": (size - 7, size),
        f"bytes=-{size * 2}": (0, size),
        f"bytes=10-{size * 5}": (10, size),
    }
    for header, (start, stop) in ranges.items():
        answer = get(api, Range=header)
        assert (answer.status_code, answer.content) == (206, WEIGHTS[start:stop])
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
    assert get(api).content == WEIGHTS


@pytest.mark.parametrize(
    "header",
    [
        "bytes=" + ",".join(f"{n}-{n}" for n in range(1000)),
        "bytes=0-1,5-6",
        "bytes=9-5",
        "bytes=99999999-",
        "bytes=-0",
        "bytes=-",
        "bytes=a-b",
        "bytes=0-" + "9" * 400,
        "items=0-5",
        "bytes=0-5-9",
        "bytes=+1-5",
        "bytes=\u0661-\u0665",
    ],
    ids=lambda text: text[:16],
)
def test_s18_other_ranges(header: str, api: Api) -> None:
    """Refused with no more work than a request for one byte: the row is looked up, and none of its bytes is read."""
    with statements(api) as of_one_byte:
        get(api, Range="bytes=0-0")
    with statements(api) as of_refusal:
        problem(get(api, Range=header), 416, "bad-range")
    assert "chunks" in of_one_byte[-1]
    assert of_refusal == of_one_byte[:-1]


def test_s29_weights_are_a_download(api: Api) -> None:
    headers = get(api).headers
    assert headers["content-disposition"].startswith("attachment")
    assert headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    "name",
    [
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e%2fmodel.safetensors",
        "%252e%252e%252fadmin.key",
        "..%5cadmin.key",
        "%2fetc%2fpasswd",
        "file:%2f%2f%2fetc%2fpasswd",
        "model.safetensors%23",
        "model.safetensors%3f",
        "model.safetensors%00",
        "model.safetensors%00.png",
        "model.safetensors%20",
        "MODEL.SAFETENSORS",
        ".%2fmodel.safetensors",
        "model.safetensors%2f",
        "sql:art_00",
        "*",
        "%25",
        "%",
        "' OR name LIKE '%25",
    ],
)
def test_s38_path_tricks(name: str, api: Api) -> None:
    problem(get(api, name), 404, "not-found")


@pytest.mark.parametrize("label", ["..%2f..%2f..%2f0", "%2e%2e", "0", "cat%00", "CAT", "cat%2f..%2fcat", "dog"])
def test_s38_pictures(label: str, api: Api) -> None:
    path = f"/v1/explanations/{api.ours.ids['explanation_id']}/items/0/{label}/overlay.png"
    problem(api.call("GET", path), 404, "not-found")


def test_s38_pictures_of_labels_that_look_like_paths(api: Api) -> None:
    """The addresses that the answer tells lead to the pictures, though clients take dots out of an address."""
    labels = [".", "..", "/..", "//.", "...", "cat/..", "cat/../dog", "/cat", "a b?c#d"]
    explanation_id = api.ours.ids["explanation_id"]
    names = [f"items/0/{at}/heatmap.png" for at in range(len(labels))]
    pictures = {name: api.store.artifacts.write(png(), "image/png") for name in names}
    with api.store.work() as work:
        row = work.session.get_one(ExplanationRow, explanation_id)
        before = dict(row.result)
        (item,) = before["items"]
        targets = [item["targets"][0] | {"label": label} for label in labels]
        row.result = {"items": [item | {"targets": targets}]}
        work.artifacts.attach(pictures, explanation_id)
    shown = api.call("GET", f"/v1/explanations/{explanation_id}").json()["items"][0]["targets"]
    assert [target["label"] for target in shown] == labels
    urls = [target["heatmap_url"] for target in shown]
    assert len(set(urls)) == len(labels)
    assert [api.call("GET", url).status_code for url in urls] == [200] * len(labels)
    problem(api.call("GET", urls[0].replace("%2F.", "%2F%2F.")), 404, "not-found")
    with api.store.work() as work:
        work.session.get_one(ExplanationRow, explanation_id).result = before


@pytest.mark.parametrize("name", ["..", "%2e%2e%2fx", "a b", "-x", "a" * 121, "%00", "é", "a%2fb", "a#b", "a?b=c"])
def test_s38_alias_names(name: str, api: Api) -> None:
    answer = api.call("PUT", f"/v1/aliases/{name}", json={"model_id": api.ours.ids["model_id"]})
    if name in ("a#b", "a?b=c"):  # these end the path: the alias is `a`
        assert answer.json()["name"] == "a"
        return
    assert answer.status_code in (404, 405, 422)
    assert answer.headers["content-type"] == "application/problem+json"
