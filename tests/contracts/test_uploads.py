"""Uploads: what is refused before 201 (S15-S17, S19-S23, S34)."""

import json
import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import func, select

from service.store.tables import ArtifactRow, DatasetRow
from tests.contracts.conftest import Api, Recorded, problem
from tests.contracts.sender import BOUNDARY, MULTIPART, Ending, Sender
from tests.corpora import pets
from tests.corpora.archives import Case, cases
from tests.corpora.zip_writer import write_zip

MIB = 1024 * 1024
# Starlette leaves the file of a part that never ends to the garbage collector
UNFINISHED = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
Builder = Callable[[], Case]


@pytest.fixture(scope="module")
def small(make_api: Callable[..., Api]) -> Api:
    """A service that takes 3 MiB."""
    return make_api(max_upload_bytes=3 * MIB)


def datasets(api: Api) -> int:
    return len(api.call("GET", "/v1/datasets?limit=200").json()["data"])


def rows(api: Api) -> tuple[int, int]:
    """How many datasets and artifacts there are, owned or not."""
    with api.store.read() as work:
        count = [work.session.scalar(select(func.count()).select_from(table)) for table in (DatasetRow, ArtifactRow)]
    return count[0] or 0, count[1] or 0


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    file = f'; filename="{filename}"' if filename else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


BEGIN = part("modality", b"image") + part("file", b"PK", "pets.zip").removesuffix(b"\r\n")
"""A form up to the first bytes of a file that never ends."""


def post_form(api: Api, content: Any, path: str = "/v1/datasets") -> Any:
    return api.call("POST", path, content=content, headers=MULTIPART)


def hostile(rule: str) -> pytest.MarkDecorator:
    """Every archive of the corpus that breaks this rule."""
    return pytest.mark.parametrize("builder", cases(rule).values(), ids=cases(rule))


@hostile("s19")
def test_s19_unsafe_paths(builder: Builder, api: Api) -> None:
    refused(builder, api)


@hostile("s20")
def test_s20_special_files_encryption_and_other_archives(builder: Builder, api: Api) -> None:
    refused(builder, api)


@hostile("s21")
def test_s21_bombs(builder: Builder, api: Api) -> None:
    refused(builder, api)


@hostile("s22")
def test_s22_archives_of_two_readings(builder: Builder, api: Api) -> None:
    refused(builder, api)


@hostile("s23")
def test_s23_unexpected_files(builder: Builder, api: Api) -> None:
    refused(builder, api)


@hostile("s34")
def test_s34_code_bearing_files(builder: Builder, api: Api) -> None:
    refused(builder, api)


def refused(builder: Builder, api: Api) -> None:
    content, slug = builder()
    before = datasets(api)
    document = problem(api.upload(content), 415 if slug == "unsupported-media-type" else 422, slug)
    assert datasets(api) == before
    for fault in document.get("errors", []):
        assert fault["message"].isprintable()


def test_s23_a_harmless_archive_with_junk_is_taken(api: Api) -> None:
    answer = api.upload(write_zip([*pets.junk(), *pets.parts()]), name="../../pets.exe", metadata='{"a": "b"}')
    assert answer.status_code == 201
    body = answer.json()
    assert answer.headers["location"] == f"/v1/datasets/{body['id']}"
    assert (body["state"], body["ignored_files"], body["metadata"]) == ("validating", 5, {"a": "b"})
    assert len(body["digest"].removeprefix("sha256:")) == 64
    nudges: Recorded = api.client.app.state.nudges  # type: ignore[attr-defined]
    assert nudges.sent


def test_s15_an_upload_over_the_limit_is_cut_off(small: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sent in pieces without a length: refused at the limit, with nothing left behind."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    open_files, before = _open_files(), datasets(small)
    sender = Sender(small, [BEGIN, *[bytes(MIB)] * 200])
    status, body = anyio.run(sender.run)
    assert (status, json.loads(body)["type"]) == (413, "/problems/payload-too-large")
    assert sender.sent < 10 * MIB
    assert not list(tmp_path.iterdir())
    assert _open_files() <= open_files + 1
    assert datasets(small) == before


@UNFINISHED
def test_s15_memory_does_not_grow_with_the_upload(api: Api) -> None:
    sender = Sender(api, [BEGIN, *[bytes(MIB)] * 48])
    tracemalloc.start()
    try:
        anyio.run(sender.run)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sender.sent > 48 * MIB
    assert peak < 8 * MIB


def test_s15_an_announced_length_over_the_limit(small: Api) -> None:
    content = form(part("modality", b"image"), part("file", bytes(5 * MIB), "pets.zip"))
    problem(post_form(small, content), 413, "payload-too-large")


def test_s15_the_limit_itself_is_taken(small: Api) -> None:
    assert small.upload(pets.plain()).status_code == 201


LONG_HEADER = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{"a" * MIB}"\r\n\r\nx\r\n'.encode()
ARCHIVE = part("file", pets.plain(), "pets.zip")
HOSTILE = {
    "1,001 files": (form(*[part("file", b"x", f"{n}.zip") for n in range(1001)]), 16 * 1024),
    "1,001 fields": (form(ARCHIVE, *[part(f"f{n}", b"x") for n in range(1001)]), 16 * 1024),
    "a header of 1 MiB": (form(LONG_HEADER), 16 * 1024),
    "a field of 2 MiB": (form(ARCHIVE, part("modality", b"i" * 2 * MIB)), MIB + 16 * 1024),
    "no end": (form(ARCHIVE)[:-10], 16 * 1024),
    "no boundary inside": (b"hello", 5),
    "10,000 empty lines": (b"\r\n" * 10_000, 20_000),
}


@UNFINISHED
@pytest.mark.parametrize("name", HOSTILE)
def test_s16_hostile_forms(name: str, api: Api) -> None:
    """And how much is read of each, in pieces of 1 KiB: what they may cost on any machine."""
    content, most = HOSTILE[name]
    answer = post_form(api, content)
    assert answer.status_code in (400, 413, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    sender = Sender(api, [content[start : start + 1024] for start in range(0, len(content), 1024)])
    anyio.run(sender.run)
    assert sender.sent <= most


def test_s16_media_types_of_forms(api: Api) -> None:
    content = form(part("modality", b"image"), part("file", pets.plain(), "pets.zip"))
    for kind in ("multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\x80"):
        answer = api.call("POST", "/v1/datasets", content=content, headers={"Content-Type": kind.encode("latin-1")})
        assert answer.status_code in (400, 415, 422), (kind, answer.text)
    fields = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = api.call("POST", "/v1/datasets", content="&".join(f"a{n}=b" for n in range(10_000)), headers=fields)
    problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "parts",
    [
        [part("modality", b"image")],
        [part("file", pets.plain(), "p.zip")],
        [part("modality", b"image"), part("file", pets.plain())],
        [part("modality", b"sound"), part("file", pets.plain(), "p.zip")],
        [part("modality", b"image", "m.txt"), part("file", pets.plain(), "p.zip")],
        [part("modality", b"image"), part("file", pets.plain(), "p.zip"), part("name", b"x" * 121)],
        [part("modality", b"image"), part("file", pets.plain(), "p.zip"), part("metadata", b'{"a": 1}')],
    ],
    ids=["no file", "no modality", "file as text", "other modality", "modality as file", "long name", "metadata"],
)
def test_s16_incomplete_forms(parts: list[bytes], api: Api) -> None:
    problem(post_form(api, form(*parts)), 422, "validation")


def test_s16_two_files_are_one_too_many(api: Api) -> None:
    archive = part("file", pets.plain(), "p.zip")
    problem(post_form(api, form(part("modality", b"image"), archive, archive)), 422, "validation")


@UNFINISHED
@pytest.mark.parametrize("end", ["disconnect", "stall"])
def test_s17_an_upload_that_breaks_off_leaves_nothing(
    end: Ending, make_api: Callable[..., Api], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client goes away, or sends nothing more: no dataset, no bytes, no temporary file."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    api = make_api(upload_idle_seconds=0.05)
    before = rows(api)
    sender = Sender(api, [BEGIN, *[bytes(MIB)] * 3], end=end)
    answer = anyio.run(sender.run)
    status, body = answer
    assert (status, json.loads(body)["type"]) == (408, "/problems/upload-timeout")
    assert rows(api) == before
    assert not list(tmp_path.iterdir())


@UNFINISHED
def test_s17_a_form_that_ends_half_way_leaves_nothing(api: Api) -> None:
    before = rows(api)
    whole = form(part("modality", b"image"), part("file", pets.plain(), "p.zip"))

    def broken() -> Iterator[bytes]:
        yield whole[: len(whole) // 2]

    assert post_form(api, broken()).status_code in (400, 422)
    assert rows(api) == before


def test_s34_models_by_name_are_refused_by_content(api: Api) -> None:
    for name in ("model.pt", "model.pkl", "model.joblib"):
        problem(api.upload(b"\x80\x04\x95\x00", name=name), 415, "unsupported-media-type")


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))
