"""The door: what it refuses, and that it answers what serving answers."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

from service.errors import ExplanationUnsupported, Invalid
from service.specs.explanations import ExplanationSpec, MethodParameters
from tests.worker.explaining.planted import planted
from worker.backbones.building import build_network
from worker.backbones.trained import TrainedNetwork
from worker.explaining.explainer import explain_images
from worker.explaining.serving import predict_images

PICTURES = [planted(60_000 + i, i % 3)[0] for i in range(5)]


def quiet(_done: int, _total: int) -> None:
    pass


def test_unknown_targets_are_named(trained: TrainedNetwork) -> None:
    spec = ExplanationSpec(method="grad_cam", targets=["red", "99", "green", "cat"])
    with pytest.raises(Invalid) as caught:
        explain_images(trained, PICTURES, spec, progress=quiet)
    assert [fault.loc for fault in caught.value.errors] == [("targets", 1), ("targets", 3)]


def test_methods_for_texts_are_refused(trained: TrainedNetwork) -> None:
    with pytest.raises(Invalid) as caught:
        explain_images(trained, PICTURES, ExplanationSpec(method="occlusion"), progress=quiet)
    assert [fault.loc for fault in caught.value.errors] == [("method",)]


@pytest.mark.parametrize(
    ("method", "parameters", "at_fault"),
    [
        ("grad_cam", MethodParameters(evaluations=100, baseline="mean"), ["baseline", "evaluations"]),
        ("grad_cam", MethodParameters(explainer="partition"), ["explainer"]),
        ("shap", MethodParameters(layer="11"), ["layer"]),
        ("shap", MethodParameters(samples=100, segments=9, features=2), ["features", "samples", "segments"]),
        ("lime", MethodParameters(evaluations=100), ["evaluations"]),
    ],
)
def test_parameters_of_another_method_are_refused(
    trained: TrainedNetwork, method: str, parameters: MethodParameters, at_fault: list[str]
) -> None:
    spec = ExplanationSpec.model_validate({"method": method, "parameters": parameters})
    with pytest.raises(Invalid) as caught:
        explain_images(trained, PICTURES, spec, progress=quiet)
    assert [fault.loc for fault in caught.value.errors] == [("parameters", name) for name in at_fault]


def test_a_network_without_maps_has_shap_and_lime_but_no_grad_cam() -> None:
    network = build_network("simple_nn", classes=2, dropout=0.0, image_size=32).eval().requires_grad_(False)
    trained = TrainedNetwork(network, ["a", "b"], "simple_nn", 32, torch.device("cpu"))
    with pytest.raises(ExplanationUnsupported):
        explain_images(trained, PICTURES, ExplanationSpec(method="grad_cam"), progress=quiet)
    spec = ExplanationSpec(method="shap", parameters=MethodParameters(evaluations=64))
    found = explain_images(trained, PICTURES[:1], spec, progress=quiet)
    assert found.items[0].targets[0].additivity is not None
    assert found.items[0].targets[0].additivity["passed"]
    spec = ExplanationSpec(method="lime", parameters=MethodParameters(samples=64))
    (target,) = explain_images(trained, PICTURES[:1], spec, progress=quiet).items[0].targets
    assert target.fit is not None
    assert 0.0 <= target.fit["r2"] <= 1.0
    assert not target.degenerate


def test_a_kernel_that_sees_no_neighbour_shows_nothing_and_says_so(trained: TrainedNetwork) -> None:
    for width in (0.01, 0.02):
        parameters = MethodParameters(samples=64, segments=16, kernel_width=width)
        found = explain_images(
            trained, PICTURES[:1], ExplanationSpec(method="lime", parameters=parameters), progress=quiet
        )
        (target,) = found.items[0].targets
        assert not target.attributions.any()
        assert target.degenerate
        assert [warning["code"] for warning in found.warnings] == ["degenerate-map"]


FEW = {"grad_cam": {}, "shap": {"evaluations": 64}, "lime": {"samples": 64}}


@pytest.mark.parametrize("method", FEW)
def test_a_picture_of_one_colour_is_told(trained: TrainedNetwork, method: str) -> None:
    spec = ExplanationSpec(method=method, parameters=MethodParameters.model_validate(FEW[method]))  # type: ignore[arg-type]
    pictures = [PICTURES[0], Image.new("RGB", (40, 30), (90, 120, 30))]
    found = explain_images(trained, pictures, spec, progress=quiet)
    told = [warning["message"] for warning in found.warnings if warning["code"] == "constant-input"]
    assert [message.partition(" has ")[0] for message in told] == ["Item 1"]


@pytest.mark.parametrize("method", FEW)
def test_prediction_is_what_serving_answers(trained: TrainedNetwork, method: str) -> None:
    parameters = MethodParameters.model_validate(FEW[method])
    spec = ExplanationSpec.model_validate({"method": method, "parameters": parameters})
    before = predict_images(trained, PICTURES)
    found = explain_images(trained, PICTURES, spec, progress=quiet)
    after = predict_images(trained, PICTURES)
    for item, one, other in zip(found.items, before, after, strict=True):
        assert item.prediction["label"] == one["label"] == item.targets[0].label
        assert item.prediction["probabilities"] == pytest.approx(one["probabilities"], abs=1e-6)
        assert one == other
        assert sum(one["probabilities"].values()) == pytest.approx(1.0, abs=1e-6)
        assert one["probability"] == max(one["probabilities"].values())


def test_grad_cam_reports_logits_layer_and_cost(trained: TrainedNetwork) -> None:
    calls: list[tuple[int, int]] = []
    spec = ExplanationSpec(method="grad_cam", targets=["green", "red"])
    found = explain_images(trained, PICTURES, spec, progress=lambda done, total: calls.append((done, total)))
    assert found.evaluations == {"forward": 5, "backward": 10}
    assert calls == [(15, 15)]
    assert (found.explainer, found.method, found.fallback, found.baseline) == ("grad_cam", "grad_cam", None, None)
    logits = trained.logits(trained.preprocess(PICTURES[:1]))[0]
    green, red = found.items[0].targets
    assert (green.label, red.label, green.space) == ("green", "red", "logit")
    assert green.output_value == pytest.approx(float(logits[1]), abs=1e-5)
    assert red.output_value == pytest.approx(float(logits[0]), abs=1e-5)
    assert green.base_value is green.additivity is None
    assert green.layer == found.parameters["layer"] == "11"
    assert green.attributions.shape == (8, 8)
    assert green.attributions.min() >= 0


def test_a_named_layer_is_used(trained: TrainedNetwork) -> None:
    spec = ExplanationSpec(method="grad_cam", parameters=MethodParameters(layer="5"))
    found = explain_images(trained, PICTURES[:1], spec, progress=quiet)
    assert found.items[0].targets[0].layer == "5"
    assert found.items[0].targets[0].attributions.shape == (16, 16)


def test_more_images_than_a_batch_keep_their_order(trained: TrainedNetwork) -> None:
    pictures = [planted(61_000 + i, i % 3)[0] for i in range(35)]
    found = explain_images(trained, pictures, ExplanationSpec(method="grad_cam"), progress=quiet)
    assert [item.prediction["label"] for item in found.items] == [trained.classes[i % 3] for i in range(35)]


@pytest.mark.parametrize("temperature", [0.25, 4.0])
@pytest.mark.parametrize("method", FEW)
def test_every_probability_is_a_calibrated_one(trained: TrainedNetwork, method: str, temperature: float) -> None:
    """Serving, both methods, and what judges them, against the softmax written out here."""
    calibrated = replace(trained, temperature=temperature)
    spec = ExplanationSpec.model_validate({"method": method, "evaluate": True, "parameters": FEW[method]})
    served = predict_images(calibrated, PICTURES[:2])
    plain = predict_images(trained, PICTURES[:2])
    found = explain_images(calibrated, PICTURES[:2], spec, progress=quiet)
    for item, one, other in zip(found.items, served, plain, strict=True):
        raw = torch.tensor([one["logits"][label] for label in trained.classes], dtype=torch.float64)
        expected = dict(zip(trained.classes, (raw / temperature).softmax(0).tolist(), strict=True))
        assert one["probabilities"] == pytest.approx(expected, abs=1e-6)
        assert (one["logits"], one["label"]) == (other["logits"], other["label"])
        assert item.prediction["probabilities"] == pytest.approx(expected, abs=1e-5)
        (target,) = item.targets
        assert item.quality is not None
        if method == "grad_cam":
            assert target.output_value == pytest.approx(one["logits"][target.label], abs=1e-4)
        else:
            assert target.output_value == pytest.approx(expected[target.label], abs=1e-5)
        if method == "shap":
            assert target.additivity is not None
            assert target.additivity["passed"]


def test_logits_are_the_networks_own(trained: TrainedNetwork) -> None:
    with torch.inference_mode():
        raw = trained.logits(trained.preprocess(PICTURES))
    for row, answer in zip(raw, predict_images(trained, PICTURES), strict=True):
        assert torch.equal(torch.tensor(list(answer["logits"].values())), row.float())
