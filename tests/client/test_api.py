import hashlib
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any

import httpx
import pytest

from client import DownloadCorrupt, NotSettled, ProblemError, Unreachable, transport
from tests.client.service import BASE_URL, Broken, FakeService, answer, problem

PNG = b"\x89PNG\r\n\x1a\n and so on"


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr(transport.time, "sleep", taken.append)
    return taken


def parts(request: httpx.Request, body: bytes) -> list[EmailMessage]:
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    assert isinstance(message, EmailMessage)
    return [part for part in message.iter_parts() if isinstance(part, EmailMessage)]


def test_a_problem_document_becomes_an_error_that_people_can_read() -> None:
    faults = [{"loc": ["training", "epochs"], "code": "too-small", "message": "at least 1"}]
    service = FakeService([problem("validation", 422, errors=faults, request_id="req_1")])
    with pytest.raises(ProblemError) as caught:
        service.client().submit_job({})
    assert (caught.value.slug, caught.value.status, caught.value.request_id) == ("validation", 422, "req_1")
    assert str(caught.value) == "Validation (validation, 422)\nWhy.\n  training.epochs: at least 1"


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"[1]", b""])
def test_an_error_without_a_problem_document_is_one_all_the_same(body: bytes) -> None:
    service = FakeService([httpx.Response(502, content=body)])
    with pytest.raises(ProblemError, match="Bad Gateway") as caught:
        service.client().get("ds_1")
    assert caught.value.status == 502


def test_a_lost_answer_to_a_post_is_asked_for_again_with_the_same_key_and_bytes(tmp_path: Path) -> None:
    archive = tmp_path / "pets.zip"
    archive.write_bytes(b"PK and so on")
    service = FakeService([httpx.ReadError("reset"), answer({"id": "ds_1", "state": "ready"}, 201)])
    service.client().upload_dataset(archive, name="pets", metadata={"a": "b"}, wait_seconds=5)
    first, second = service.requests
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"] != ""
    assert service.bodies[0] == service.bodies[1]
    assert second.headers["Prefer"] == "wait=5"
    fields = {part.get_param("name", header="content-disposition"): part for part in parts(second, service.bodies[1])}
    assert fields["file"].get_filename() == "pets.zip"
    assert fields["file"].get_payload(decode=True) == b"PK and so on"
    assert fields["metadata"].get_payload(decode=True) == b'{"a": "b"}'


@pytest.mark.parametrize(
    ("name", "asked", "sent"),
    [
        ("pets.zip", {}, "image"),
        ("houses.CSV", {}, "tabular"),
        ("houses.parquet", {}, "tabular"),
        ("tickets.jsonl", {}, "text"),
        ("tickets.csv", {"options": {"text": "body"}}, "text"),
        ("tickets.csv", {"modality": "text"}, "text"),
    ],
)
def test_what_a_file_holds_follows_from_its_name_unless_said(
    name: str, asked: dict[str, Any], sent: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"some bytes")
    service = FakeService([answer({"id": "ds_1", "state": "ready"}, 201)])
    service.client().upload_dataset(str(tmp_path / name), **asked)
    fields = {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
        for part in parts(service.requests[0], service.bodies[0])
    }
    assert fields["modality"] == sent.encode()


def test_the_service_says_how_long_to_pause(pauses: list[float]) -> None:
    service = FakeService([problem("unavailable", 503), problem("rate-limited", 429), answer({"id": "job_1"}, 201)])
    service.answers[0].headers["Retry-After"] = "3"  # type: ignore[union-attr]
    assert service.client().submit_job({"dataset_id": "ds_1"})["id"] == "job_1"
    assert pauses[0] == 3.0
    assert 0 < pauses[1] < 2


def test_no_answer_at_all_is_told_as_such() -> None:
    service = FakeService([httpx.ConnectError("refused")] * transport.TRIES)
    with pytest.raises(Unreachable, match=r"tunelens\.test.* does not answer: refused"):
        service.client().get("job_1")


def test_waiting_asks_until_the_resource_is_settled() -> None:
    running, ready = {"id": "ds_1", "state": "validating"}, {"id": "ds_1", "state": "ready"}
    service = FakeService([answer(running), answer(ready)])
    assert service.client().wait(running) == ready
    assert [request.headers["Prefer"] for request in service.requests] == ["wait=60", "wait=60"]


def test_waiting_has_an_end() -> None:
    service = FakeService()
    with pytest.raises(NotSettled, match="job_1 is still running"):
        service.client().wait({"id": "job_1", "state": "running"}, timeout_seconds=0)


def test_lists_are_read_page_by_page() -> None:
    pages = [{"data": [{"id": "job_2"}], "next_cursor": "abc"}, {"data": [{"id": "job_1"}], "next_cursor": None}]
    service = FakeService([answer(page) for page in pages])
    assert [job["id"] for job in service.client().browse("jobs", state="failed")] == ["job_2", "job_1"]
    assert service.requests[1].url.params == httpx.QueryParams(state="failed", cursor="abc")


def test_an_explanation_sends_its_spec_as_json_beside_the_images_in_order() -> None:
    service = FakeService([answer({"id": "exp_1", "state": "succeeded"})])
    service.client().explain("mdl_1", [PNG, PNG], {"method": "shap"})
    received = parts(service.requests[0], service.bodies[0])
    assert [part.get_content_type() for part in received] == ["image/png", "image/png", "application/json"]
    assert received[2].get_payload(decode=True) == b'{"method": "shap"}'


def test_an_export_is_waited_for_by_model_and_format() -> None:
    running = {"model_id": "mdl_1", "format": "onnx", "state": "running"}
    done = {**running, "state": "succeeded"}
    service = FakeService([answer(running, 202), answer(done)])
    client = service.client()
    assert client.wait(client.export("best", "onnx", wait_seconds=5)) == done
    asked, waited = service.requests
    assert (asked.url.path, service.bodies[0], asked.headers["Prefer"]) == (
        "/v1/models/best/exports",
        b'{"format":"onnx"}',
        "wait=5",
    )
    assert waited.url.path == "/v1/models/mdl_1/exports/onnx"
    with pytest.raises(NotSettled, match="the export as onnx is still running"):
        client.wait(running, timeout_seconds=0)


def test_a_download_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "models" / "model.safetensors"
    digest = hashlib.sha256(PNG).hexdigest()
    service = FakeService([httpx.Response(200, content=PNG), httpx.Response(200, content=PNG)])
    assert service.client().download("/v1/x", to=target, sha256=digest) == target
    assert target.read_bytes() == PNG
    assert service.client().download("/v1/x", sha256=digest) == PNG


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (httpx.Response(200, content=b"other bytes"), DownloadCorrupt),
        (httpx.Response(200, stream=Broken(b"half")), Unreachable),
        (problem("not-found", 404), ProblemError),
    ],
)
def test_a_failed_download_leaves_nothing(tmp_path: Path, response: httpx.Response, error: type[Exception]) -> None:
    service = FakeService([response])
    with pytest.raises(error):
        service.client().download("/v1/x", to=tmp_path / "file", sha256=hashlib.sha256(PNG).hexdigest())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["http://elsewhere.test/v1/x", "https://tunelens.test/x", "http://tunelens.test:8080/x"]
)
def test_the_key_goes_to_no_other_service(url: str) -> None:
    service = FakeService()
    with pytest.raises(ValueError, match="the key stays here"):
        service.client().download(url)
    assert service.requests == []


def test_absolute_urls_of_the_service_itself_are_followed() -> None:
    service = FakeService([httpx.Response(200, content=PNG)])
    assert service.client().download(f"{BASE_URL}/v1/explanations/exp_1/items/0/3/overlay.png") == PNG


@pytest.mark.parametrize("id_", ["", "job", "../keys", "job_1/../../keys", "x_1"])
def test_only_ids_are_taken_for_ids(id_: str) -> None:
    service = FakeService()
    with pytest.raises(ValueError, match="no id"):
        service.client().get(id_)
