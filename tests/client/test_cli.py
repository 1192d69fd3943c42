"""The commands over a service of canned answers: what a person sees, and the exit code."""

from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from client.cli import app
from client.commands import options
from tests.client.service import Answer, FakeService, answer, event, problem, stream

DATASET = {
    "id": "ds_0123456789abcdef0123",
    "state": "ready",
    "name": "pets",
    "profile": {"samples": 3, "classes": [{"name": "cat", "samples": 1}, {"name": "dog", "samples": 2}]},
    "warnings": [{"code": "class-imbalance", "message": "few cats"}],
}
JOB = {
    "id": "job_0123456789abcdef0123",
    "state": "succeeded",
    "name": None,
    "spec": {"training": {"epochs": 1}},
    "progress": {"fraction": 1.0},
    "metrics": {"test": {"accuracy": 0.75}, "baseline": {"accuracy": 0.5}},
    "model_id": "mdl_0123456789abcdef0123",
}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> FakeService:
    service = FakeService()
    monkeypatch.setattr(options, "connect", lambda *_: service.client())
    return service


def run(service: FakeService, *arguments: str, answers: list[Answer]) -> Result:
    service.answers.extend(answers)
    result = CliRunner().invoke(app, list(arguments))
    assert service.answers == [], result.output
    return result


def page(*resources: object) -> httpx.Response:
    return answer({"data": list(resources), "next_cursor": None})


def test_an_upload_says_what_was_found(service: FakeService, tmp_path: Path) -> None:
    archive = tmp_path / "pets.zip"
    archive.write_bytes(b"PK")
    result = run(service, "datasets", "upload", str(archive), answers=[answer(DATASET, 201)])
    assert result.exit_code == 0
    assert "3 images of cat (1), dog (2)" in result.output
    assert "class-imbalance: few cats" in result.output


TABLE = {
    **DATASET,
    "modality": "tabular",
    "profile": {
        "rows": 12,
        "columns": [
            {"name": name, "kind": kind} for name, kind in (("n", "numeric"), ("x", "numeric"), ("id", "ignore"))
        ],
        "target": {"name": "label", "classes": {"a": 5, "b": 7}, "minimum": None, "maximum": None},
    },
}
VALUES = {**TABLE["profile"], "target": {"name": "y", "classes": {}, "minimum": -1.0, "maximum": 2.5}}
TEXTS = {**DATASET["profile"], "median_tokens": 5}


@pytest.mark.parametrize(
    ("name", "arguments", "profile", "sent", "shown"),
    [
        ("a.csv", ["--target", "label", "--column", "n=numeric", "--column", "a=b=ignore"], TABLE["profile"],
         ["tabular", "label", '{"n": "numeric", "a=b": "ignore"}'],
         "12 rows; target label: a (5), b (7); columns: 2 numeric, 1 ignored"),
        ("a.parquet", [], VALUES, ["tabular"], "12 rows; target y: -1 to 2.5;"),
        ("a.jsonl", [], TEXTS, ["text"], "3 texts of cat (1), dog (2)"),
        ("a.csv", ["--text", "note"], TEXTS, ["text", "note"], "3 texts of cat (1), dog (2)"),
        ("a.csv", ["--modality", "text"], TEXTS, ["text"], "3 texts of cat (1), dog (2)"),
    ],
)  # fmt: skip
def test_tables_and_texts_are_uploaded(
    name: str, arguments: list[str], profile: object, sent: list[str], shown: str, service: FakeService, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(b"n,label")
    answers: list[Answer] = [answer({**DATASET, "profile": profile}, 201)]
    result = run(service, "datasets", "upload", str(path), *arguments, answers=answers)
    assert result.exit_code == 0, result.output
    assert shown in result.output
    for value in sent:
        assert f"\r\n\r\n{value}\r\n".encode() in service.bodies[0]


def test_a_kind_needs_a_column(service: FakeService, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"n,label")
    result = run(service, "datasets", "upload", str(path), "--column", "numeric", answers=[])
    assert result.exit_code == 2
    assert "NAME=KIND" in result.output


def test_a_rejected_upload_says_why(service: FakeService, tmp_path: Path) -> None:
    archive = tmp_path / "pets.zip"
    archive.write_bytes(b"PK")
    faults = [{"loc": ["cat/1.png"], "code": "image-corrupt", "message": "pixels are missing"}]
    rejected = {**DATASET, "state": "rejected", "problem": {"title": "Corrupt", "detail": "", "errors": faults}}
    result = run(service, "datasets", "upload", str(archive), answers=[answer(rejected, 201)])
    assert result.exit_code == 1
    assert "cat/1.png: pixels are missing" in result.output


def test_a_submitted_job_is_watched_to_its_model(service: FakeService) -> None:
    told = stream(
        event(1, "epoch", epoch=1, train_loss=0.5, validation_loss=0.25), event(2, "state", state="succeeded")
    )
    answers: list[Answer] = [answer({**JOB, "state": "queued"}, 201), told, answer(JOB)]
    result = run(service, "jobs", "submit", "ds_1", "--set", "training.epochs=1", answers=answers)
    assert result.exit_code == 0, result.output
    assert service.bodies[0] == b'{"dataset_id":"ds_1","training":{"epochs":1}}'
    for text in ("epoch 1: train loss 0.5000", "0.7500", str(JOB["model_id"])):
        assert text in result.output


DIAGNOSIS = {
    "verdict": "not_better_than_baseline",
    "confidence": 0.875,
    "summary": "It has learned nothing.",
    "evidence": [],
    "remedies": [{"id": "higher-learning-rate", "title": "Raise it", "rationale": "Larger steps.", "patch": {}}],
}


def test_the_verdict_and_what_to_try_first_are_shown(service: FakeService) -> None:
    told = stream(event(1, "state", state="succeeded"))
    result = run(
        service, "jobs", "watch", "job_1", answers=[answer(JOB), told, answer({**JOB, "diagnosis": DIAGNOSIS})]
    )
    assert result.exit_code == 0, result.output
    assert "not better than baseline (88%): It has learned nothing." in result.output
    assert "First remedy: Raise it (higher-learning-rate). Larger steps." in result.output


def test_a_rerun_applies_remedies_and_changes(service: FakeService) -> None:
    arguments = ["jobs", "rerun", "job_1", "--apply", "more-dropout", "--apply", "warm-up", "--set", "seed=3"]
    result = run(service, *arguments, "--no-watch", answers=[answer({**JOB, "state": "queued"}, 201)])
    assert result.exit_code == 0, result.output
    assert service.bodies[0] == b'{"apply":["more-dropout","warm-up"],"override":{"seed":3}}'
    assert service.requests[0].url.path == "/v1/jobs/job_1/rerun"
    assert f"{JOB['id']} is queued" in result.output


def test_a_failed_job_is_a_failed_command(service: FakeService) -> None:
    failed = {**JOB, "state": "failed", "problem": {"title": "Diverged", "detail": "The loss stopped being finite."}}
    result = run(service, "jobs", "watch", "job_1", answers=[answer(JOB), stream(event(1, "state", state="failed")),
                                                             answer(failed)])  # fmt: skip
    assert result.exit_code == 1
    assert "The loss stopped being finite." in result.output


@pytest.mark.parametrize(
    ("arguments", "resource", "shown"),
    [
        (["datasets", "list"], DATASET, [DATASET["id"], "ready", "pets"]),
        (["datasets", "list"], TABLE, [DATASET["id"], "tabular", "pets", "12", "2"]),
        (["jobs", "list"], JOB, [JOB["id"], JOB["model_id"], "0.7500", "100%"]),
        (
            ["models"],
            {
                "id": "mdl_0123456789abcdef0123",
                "backbone": "resnet18",
                "classes": ["a"],
                "metrics": {},
                "aliases": ["x"],
            },
            ["mdl_0123456789abcdef0123", "resnet18", "x"],
        ),
    ],
)
def test_lists_show_whole_ids(service: FakeService, arguments: list[str], resource: object, shown: list[str]) -> None:
    result = run(service, *arguments, answers=[page(resource)])
    assert result.exit_code == 0, result.output
    for text in shown:
        assert text in result.output


def test_a_cancelled_job_is_waited_for(service: FakeService) -> None:
    cancelling, cancelled = {"id": "job_1", "state": "cancelling"}, {"id": "job_1", "state": "cancelled"}
    result = run(service, "jobs", "cancel", "job_1", answers=[answer(cancelling), answer(cancelled)])
    assert "job_1 is cancelled" in result.output


def test_an_explanation_becomes_a_picture_beside_the_image(service: FakeService, tmp_path: Path) -> None:
    image = tmp_path / "cat.jpg"
    image.write_bytes(b"\xff\xd8")
    url = "/v1/explanations/exp_1/items/0/cat/overlay.png"
    targets = [{"label": "cat", "overlay_url": url, "attributions": {"height": 1, "width": 1, "values": [[0.0]]}}]
    explained = {"id": "exp_1", "state": "succeeded", "items": [{"targets": targets}]}
    answers: list[Answer] = [answer(explained), httpx.Response(200, content=b"png")]
    result = run(service, "explain", "mdl_1", str(image), "--method", "shap", "--target", "cat", answers=answers)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "cat.shap.png").read_bytes() == b"png"
    assert b'{"method": "shap", "parameters": {}, "targets": ["cat"]}' in service.bodies[0]


def test_a_prediction_names_each_image(service: FakeService, tmp_path: Path) -> None:
    image = tmp_path / "cat.jpg"
    image.write_bytes(b"\xff\xd8")
    predicted = {"id": "prd_1", "state": "succeeded", "items": [{"index": 0, "label": "cat", "probability": 0.93}]}
    result = run(service, "predict", "pets-model", str(image), answers=[answer(predicted)])
    assert "0.9300" in result.output
    assert service.requests[0].url.path == "/v1/models/pets-model/predictions"


def test_a_refusal_is_shown_with_its_reason(service: FakeService) -> None:
    result = run(service, "datasets", "delete", "ds_1", answers=[problem("conflict", 409)])
    assert result.exit_code == 1
    assert "Conflict (conflict, 409)" in result.output
