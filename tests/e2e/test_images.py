"""Images over HTTP, from upload to heatmap, against the running service; results against the downloaded model."""

import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from client.cli import app
from tests.live import COLOURS, Live, square_png
from worker.backbones.trained import TrainedNetwork, load_trained

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def job(live: Live) -> dict[str, Any]:
    ended = live.client.wait(live.learn(epochs=6), timeout_seconds=120)
    assert ended["state"] == "succeeded", ended
    return ended


@pytest.fixture(scope="module")
def network(live: Live, job: dict[str, Any]) -> TrainedNetwork:
    """The model as anybody can load it from its artifacts."""
    base = f"/v1/models/{job['model_id']}/artifacts"
    config = json.loads(live.client.download(f"{base}/config.json"))  # type: ignore[arg-type]
    weights = live.client.download(f"{base}/model.safetensors")
    assert isinstance(weights, bytes)
    return load_trained(config, weights, torch.device("cpu"))


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    generator = np.random.default_rng(11)
    return [square_png(generator, colour) for colour in COLOURS.values()]


def answers(network: TrainedNetwork, png: bytes) -> dict[str, float]:
    with torch.no_grad():
        logits = network.logits(network.preprocess([Image.open(io.BytesIO(png)).convert("RGB")]))
    return dict(zip(network.classes, network.probabilities(logits)[0].tolist(), strict=True))


def test_the_job_says_what_it_did(live: Live, job: dict[str, Any]) -> None:
    assert job["progress"] == {
        "trials_finished": 1,
        "trials_total": 1,
        "epoch": 6,
        "epochs": 6,
        "fraction": 1.0,
        "estimated_seconds_left": None,
    }
    test = job["metrics"]["test"]
    assert test["accuracy"] > 0.8 > job["metrics"]["baseline"]["accuracy"]
    matrix = np.array(test["confusion_matrix"])
    assert matrix.trace() / matrix.sum() == pytest.approx(test["accuracy"])
    (trial,) = live.client.trials(job["id"])
    best = trial["epochs"][trial["best_epoch"] - 1]
    assert best["validation_loss"] == min(epoch["validation_loss"] for epoch in trial["epochs"])
    assert trial["metrics"]["validation"]["loss"] == pytest.approx(best["validation_loss"], rel=1e-4)


def test_events_resume_where_they_broke(live: Live, job: dict[str, Any]) -> None:
    with live.http as http:
        everything = http.get(f"/v1/jobs/{job['id']}/events").json()["data"]
        headers = {"Accept": "text/event-stream", "Last-Event-ID": "3"}
        stream = http.get(f"/v1/jobs/{job['id']}/events", headers=headers)
    assert stream.headers["content-type"].startswith("text/event-stream")
    frames = [frame.split("\n") for frame in stream.text.strip().split("\n\n")]
    assert [frame[0] for frame in frames] == [f"id: {event['seq']}" for event in everything[3:]]
    assert json.loads(frames[-1][2].removeprefix("data: ")) == everything[-1]
    assert [event["type"] for event in everything].count("epoch") == 6


def test_artifacts_are_what_the_model_says(live: Live, job: dict[str, Any]) -> None:
    model = live.client.get(job["model_id"])
    names = {artifact["name"] for artifact in model["artifacts"]}
    assert {"model.safetensors", "config.json", "curves.json", "confusion_matrix.json", "card.md"} <= names
    for artifact in model["artifacts"]:
        data = live.client.download(artifact["url"])
        assert isinstance(data, bytes)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (artifact["size_bytes"], artifact["sha256"])
    with live.http as http:
        url = f"/v1/models/{model['id']}/artifacts/model.safetensors"
        whole = http.get(url).content
        part = http.get(url, headers={"Range": "bytes=10-99"})
        assert (part.status_code, part.content) == (206, whole[10:100])
        assert part.headers["content-range"] == f"bytes 10-99/{len(whole)}"
        assert http.get(url, headers={"Range": "bytes=-7"}).content == whole[-7:]
        plot = http.get(f"/v1/jobs/{job['id']}/plots/learning_curves.png")
        assert Image.open(io.BytesIO(plot.content)).format == "PNG"


def test_the_report_stands_alone(live: Live, job: dict[str, Any]) -> None:
    with live.http as http:
        page = http.get(f"/v1/jobs/{job['id']}/report")
    assert page.headers["content-type"].startswith("text/html")
    assert page.text.count("data:image/png;base64,") == 3
    assert all(url.startswith("data:") for url in re.findall(r'(?:src|href)="([^"]*)"', page.text))
    assert f"{job['metrics']['test']['accuracy']:.4f}" in page.text


def test_predictions_are_the_models(
    live: Live, job: dict[str, Any], network: TrainedNetwork, pictures: list[bytes]
) -> None:
    prediction = live.client.predict(job["model_id"], pictures)
    assert [item["index"] for item in prediction["items"]] == [0, 1, 2]
    for item, png in zip(prediction["items"], pictures, strict=True):
        assert item["probabilities"] == pytest.approx(answers(network, png), abs=1e-6)
        assert item["label"] == max(item["probabilities"], key=item["probabilities"].get)
        assert item["label"] == max(item["logits"], key=item["logits"].get)
    assert [item["label"] for item in prediction["items"]] == list(COLOURS)


def test_an_alias_works_like_an_id(live: Live, job: dict[str, Any], pictures: list[bytes]) -> None:
    with live.http as http:
        assert http.put("/v1/aliases/best", json={"model_id": job["model_id"]}).status_code == 200
        assert http.get("/v1/models/best").json()["aliases"] == ["best"]
    by_alias = live.client.predict("best", pictures[:1])
    assert by_alias["model_id"] == job["model_id"]


def test_samples_of_a_split_are_predicted(live: Live, job: dict[str, Any]) -> None:
    with live.http as http:
        body = {"dataset_id": job["dataset_id"], "split": "test", "limit": 64}
        prediction = http.post(f"/v1/models/{job['model_id']}/predictions", json=body).json()
    right = [item["label"] == item["name"].split("/")[0] for item in prediction["items"]]
    assert len(right) == job["metrics"]["test"]["samples"]
    assert sum(right) / len(right) == pytest.approx(job["metrics"]["test"]["accuracy"])


def test_grad_cam(live: Live, job: dict[str, Any], pictures: list[bytes]) -> None:
    explanation = live.client.explain(job["model_id"], pictures, {"method": "grad_cam"})
    assert explanation["state"] == "succeeded", explanation
    assert explanation["model_digest"] == live.client.get(job["model_id"])["digest"]
    for item, png in zip(explanation["items"], pictures, strict=True):
        (target,) = item["targets"]
        assert target["label"] == item["prediction"]["label"]
        assert target["space"] == "logit"
        assert np.array(target["attributions"]["values"]).min() >= 0
        assert item["input"]["sha256"] == hashlib.sha256(png).hexdigest()
        for url in (target["heatmap_url"], target["overlay_url"]):
            drawn = live.client.download(url)
            assert isinstance(drawn, bytes)
            assert Image.open(io.BytesIO(drawn)).size == Image.open(io.BytesIO(png)).size


def test_shap_adds_up_to_what_the_service_answers(live: Live, job: dict[str, Any], pictures: list[bytes]) -> None:
    spec = {"method": "shap", "targets": ["red", "blue"], "parameters": {"evaluations": 200}}
    explanation = live.client.explain(job["model_id"], pictures, spec)
    predicted = live.client.predict(job["model_id"], pictures)
    assert explanation["explainer"] == "partition"
    for item, prediction in zip(explanation["items"], predicted["items"], strict=True):
        assert [target["label"] for target in item["targets"]] == ["red", "blue"]
        for target in item["targets"]:
            total = target["base_value"] + np.array(target["attributions"]["values"]).sum()
            assert total == pytest.approx(prediction["probabilities"][target["label"]], abs=1e-4)
            assert target["additivity"]["passed"]


def test_lime_is_the_same_twice_and_says_how_well_it_fits(
    live: Live, job: dict[str, Any], pictures: list[bytes]
) -> None:
    spec = {"method": "lime", "parameters": {"samples": 200, "segments": 16}, "seed": 7}
    first, again = (live.client.explain(job["model_id"], pictures[:1], spec)["items"] for _ in range(2))
    (target,) = first[0]["targets"]
    assert target["attributions"] == again[0]["targets"][0]["attributions"]
    assert set(target["fit"]) == {"r2", "intercept", "local_prediction"}
    assert target["fit"] == again[0]["targets"][0]["fit"]
    assert target["additivity"] is None
    values = np.array(target["attributions"]["values"])
    width, height = Image.open(io.BytesIO(pictures[0])).size
    assert values.shape == (height, width)
    assert Image.open(io.BytesIO(live.client.download(target["overlay_url"]))).size == (width, height)  # type: ignore[arg-type]


def test_the_overlay_itself(live: Live, job: dict[str, Any], pictures: list[bytes]) -> None:
    with live.http as http:
        path = f"/v1/models/{job['model_id']}/explanations"
        form = {"files": [("file", ("a.png", pictures[0]))], "data": {"spec": '{"method": "grad_cam"}'}}
        answer = http.post(path, headers={"Accept": "image/png"}, **form)  # type: ignore[arg-type]
        assert answer.headers["content-type"] == "image/png"
        explanation = http.get(answer.headers["location"]).json()
        kept = http.get(explanation["items"][0]["targets"][0]["overlay_url"])
        assert answer.content == kept.content
        two = {"files": [("file", (name, pictures[0])) for name in "ab"], "data": form["data"]}
        refused = http.post(path, headers={"Accept": "image/png"}, **two)  # type: ignore[arg-type]
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/validation")


def test_a_damaged_image_is_refused_with_its_place(live: Live, job: dict[str, Any], pictures: list[bytes]) -> None:
    half = pictures[1][: len(pictures[1]) // 2]
    with live.http as http:
        files = [("file", ("whole.png", pictures[0])), ("file", ("half.png", half))]
        answer = http.post(f"/v1/models/{job['model_id']}/predictions", files=files)
    body = answer.json()
    assert (answer.status_code, body["type"]) == (422, "/problems/image-corrupt")
    assert body["errors"][0]["loc"] == ["body", "file", 1]


def test_exports_answer_what_the_service_answers(
    live: Live, job: dict[str, Any], pictures: list[bytes], tmp_path: Path
) -> None:
    model = job["model_id"]
    command = ["--url", live.embedded.url, "--key", live.embedded.admin_key, "export", model, "--output"]
    ended = CliRunner().invoke(app, [*command, str(tmp_path / "model.onnx")])
    assert ended.exit_code == 0, ended.output
    exported = live.client.wait(live.client.export(model, "torch_export"), timeout_seconds=60)
    assert exported["state"] == "succeeded", exported
    live.client.download(exported["artifact"]["url"], to=tmp_path / "model.pt2", sha256=exported["artifact"]["sha256"])

    opened = [Image.open(io.BytesIO(png)).convert("RGB") for png in pictures]  # already as large as the model wants
    images = np.stack([np.asarray(image, dtype=np.float32) / 255 for image in opened]).transpose(0, 3, 1, 2)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    by_onnx = session.run(["probabilities"], {"images": images})[0]
    with torch.no_grad():
        by_torch = torch.export.load(tmp_path / "model.pt2").module()(torch.from_numpy(images))["probabilities"]
    classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    for found in (by_onnx, by_torch.numpy()):
        for item, row in zip(live.client.predict(model, pictures)["items"], found, strict=True):
            assert item["probabilities"] == pytest.approx(dict(zip(classes, row.tolist(), strict=True)), abs=1e-4)
    described = live.client.get(model)
    assert session.get_modelmeta().custom_metadata_map["model_digest"] == described["digest"]
    assert list((live.embedded.data_dir / "scratch" / "exports").iterdir()) == []
    assert {"model.onnx", "model.pt2"} < {artifact["name"] for artifact in described["artifacts"]}
