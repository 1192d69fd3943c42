"""Exported files, used as anybody would use them: they answer what the service answers."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import Tensor

from service.errors import ExportFailed, Stopped
from service.specs.exports import EXPORT_FILES, ExportFormat
from tests.worker.backbones.networks import network, side
from worker.backbones.trained import FORMAT, TrainedNetwork, load_trained, save_trained
from worker.explaining.serving import predict_images
from worker.exporting.answers import Answers, check_same
from worker.exporting.export import export_model
from worker.exporting.order import ExportOrder

CPU = torch.device("cpu")
TEMPERATURE = 1.7
CLASSES = ["bird", "cät", 'do"g']
DIGEST = "5" * 64
QUICK: list[tuple[str, ExportFormat]] = [
    *[(name, format) for name in ("small_cnn", "simple_nn") for format in EXPORT_FILES],
    ("mobilenet_v3_small", "onnx"),
]
"""Every entry of the catalogue was exported by hand; the large ones take up to ten seconds each."""


def make_order(folder: Path, name: str, format: ExportFormat) -> ExportOrder:
    built = network(name, dropout=0.3)
    generator = torch.Generator().manual_seed(3)
    for buffer_name, buffer in built.named_buffers():  # as if it had been trained: statistics that do something
        if buffer_name.endswith(("running_mean", "running_var")):
            buffer.add_(torch.rand(buffer.shape, generator=generator) * 0.2)
    save_trained(TrainedNetwork(built, CLASSES, name, side(name), CPU, temperature=TEMPERATURE), folder, dropout=0.3)
    config = json.loads((folder / "config.json").read_text())
    return ExportOrder(format, config, folder / "model.safetensors", DIGEST, folder / EXPORT_FILES[format].name)


def pictures(count: int) -> list[Image.Image]:
    generator = np.random.default_rng(5)
    return [Image.fromarray(generator.integers(0, 256, (70, 90, 3), dtype=np.uint8)) for _ in range(count)]


def as_documented(trained: TrainedNetwork, images: list[Image.Image]) -> Tensor:
    """RGB in 0..1, stretched to the square that the file's notes name."""
    resampling = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
    size = (trained.image_size, trained.image_size)
    chosen = resampling[trained.entry.interpolation]
    squares = [np.asarray(image.resize(size, chosen), dtype=np.float32) / 255 for image in images]
    return torch.from_numpy(np.stack(squares).transpose(0, 3, 1, 2).copy())


def answers(order: ExportOrder, images: Tensor) -> tuple[Tensor, Tensor]:
    if order.format == "onnx":
        session = onnxruntime.InferenceSession(order.target)
        logits, probabilities = session.run(["logits", "probabilities"], {"images": images.numpy()})
        return torch.from_numpy(logits), torch.from_numpy(probabilities)
    with torch.no_grad():
        outputs = torch.export.load(order.target).module()(images)
    return outputs["logits"], outputs["probabilities"]


@pytest.mark.parametrize(("name", "format"), QUICK)
def test_it_answers_what_the_service_answers(name: str, format: ExportFormat, tmp_path: Path) -> None:
    order = make_order(tmp_path, name, format)
    export_model(order, step=lambda: None)
    trained = load_trained(order.config, order.weights, CPU)
    for count in (1, 2, 5):
        images = pictures(count)
        logits, probabilities = answers(order, as_documented(trained, images))
        served = [answer["probabilities"] for answer in predict_images(trained, images)]
        expected = [[answer[label] for label in CLASSES] for answer in served]
        assert logits.shape == (count, 3)
        torch.testing.assert_close(probabilities, torch.tensor(expected), atol=1e-5, rtol=0)
        torch.testing.assert_close((logits / TEMPERATURE).softmax(dim=1), probabilities, atol=1e-6, rtol=0)


@pytest.mark.parametrize("format", EXPORT_FILES)
def test_it_says_what_it_is_and_nothing_of_this_machine(format: ExportFormat, tmp_path: Path) -> None:
    order = make_order(tmp_path, "small_cnn", format)
    export_model(order, step=lambda: None)
    if format == "onnx":
        session = onnxruntime.InferenceSession(order.target)
        found = session.get_modelmeta().custom_metadata_map
        found |= {key: json.loads(found[key]) for key in ("classes", "image_size")}
        (given,) = session.get_inputs()
        assert (given.name, given.shape, given.type) == ("images", ["n", 3, 64, 64], "tensor(float)")
        assert [(made.name, made.shape) for made in session.get_outputs()] == [
            ("logits", ["n", 3]),
            ("probabilities", ["n", 3]),
        ]
    else:
        extra = {"tunelens.json": ""}
        torch.export.load(order.target, extra_files=extra)
        found = json.loads(extra["tunelens.json"])
    assert found == {
        "format": FORMAT,
        "backbone": "small_cnn",
        "classes": CLASSES,
        "image_size": 64,
        "interpolation": "bilinear",
        "resize": "stretch",
        "model_digest": DIGEST,
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["config.json", "model.safetensors", order.target.name]
    )
    content = order.target.read_bytes()
    assert not [text for text in (b"site-packages", str(tmp_path).encode(), b'.py"') if text in content]


def test_it_stops_between_steps(tmp_path: Path) -> None:
    def step() -> None:
        raise Stopped("asked")

    order = make_order(tmp_path, "simple_nn", "onnx")
    with pytest.raises(Stopped):
        export_model(order, step=step)
    assert not order.target.exists()


@pytest.mark.parametrize(
    ("logits", "probabilities"),
    [
        ([[1.0, 2.0]], [[0.2691, 0.7309]]),
        ([[1.0, 2.1]], [[0.2689, 0.7311]]),
        ([[1.0, float("nan")]], [[0.2689, 0.7311]]),
        ([[1.0, 2.0], [1.0, 2.0]], [[0.2689, 0.7311], [0.2689, 0.7311]]),
    ],
)
def test_other_answers_are_refused(logits: list[list[float]], probabilities: list[list[float]]) -> None:
    expected = Answers(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.2689, 0.7311]]))
    check_same(expected, Answers(expected.logits + 1e-5, expected.probabilities - 1e-5))
    with pytest.raises(ExportFailed, match="answers otherwise"):
        check_same(expected, Answers(torch.tensor(logits), torch.tensor(probabilities)))
