"""Images as inputs of predictions and explanations (S24-S29, S41)."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from service.store import Artifact
from tests.contracts.conftest import Api, problem
from tests.corpora import pets
from tests.corpora.images import Case, cases
from tests.corpora.pictures import encode, picture, png, with_orientation

Builder = Callable[[], Case]
NOUNS = ("predictions", "explanations")


def ask(api: Api, noun: str, *images: bytes, spec: object = None, name: str = "a.png") -> Any:
    chosen = spec if spec is not None else ({"method": "shap"} if noun == "explanations" else {})
    files = [("file", (name, image)) for image in images]
    path = f"/v1/models/{api.ours.ids['model_id']}/{noun}"
    text = chosen if isinstance(chosen, str) else json.dumps(chosen)
    return api.call("POST", path, files=files, data={"spec": text})


def hostile(rule: str) -> pytest.MarkDecorator:
    """Every image of the corpus that breaks this rule."""
    return pytest.mark.parametrize("builder", cases(rule).values(), ids=cases(rule))


@pytest.mark.parametrize("noun", NOUNS)
@hostile("s24")
def test_s24_other_kinds_are_seen_before_acceptance(builder: Builder, noun: str, api: Api) -> None:
    refused(builder, noun, api)


@pytest.mark.parametrize("noun", NOUNS)
@hostile("s25")
def test_s25_too_many_pixels_are_seen_before_acceptance(builder: Builder, noun: str, api: Api) -> None:
    refused(builder, noun, api)


@pytest.mark.parametrize("noun", NOUNS)
@hostile("s26")
def test_s26_several_frames_are_seen_before_acceptance(builder: Builder, noun: str, api: Api) -> None:
    refused(builder, noun, api)


def refused(builder: Builder, noun: str, api: Api) -> None:
    content, slug = builder()
    document = problem(ask(api, noun, png(), content), 422, slug)
    assert document["errors"][0]["loc"] == ["body", "file", 1]


def test_s24_the_name_decides_nothing(api: Api) -> None:
    for name in ("a.html", "../../a.png", "a.svg", "a" * 1000, "\u202e.png"):
        assert ask(api, "predictions", png(), name=name).status_code == 202
    problem(ask(api, "predictions", b"<svg/>", name="a.png"), 422, "unsupported-image")


def test_s27_damage_in_the_container_is_seen_before_acceptance(api: Api) -> None:
    for name in ("s27_half_png", "s27_half_webp", "s27_png_of_two_headers", "s27_jpeg_header_alone"):
        problem(ask(api, "predictions", cases("s27")[name]()[0]), 422, "image-corrupt")


def test_s28_twins_are_taken(api: Api) -> None:
    twins = [with_orientation(picture(), orientation, "JPEG") for orientation in range(1, 9)]
    twins += [encode(picture().convert("RGBA")), encode(picture().convert("CMYK"), "JPEG"), encode(picture(), "WEBP")]
    assert ask(api, "predictions", *twins).status_code == 202


def test_s29_a_polyglot_is_an_image(api: Api) -> None:
    assert ask(api, "predictions", png() + pets.plain(), name="x.html").status_code == 202


def test_s29_pictures_are_served_as_what_they_are(api: Api) -> None:
    path = f"/v1/explanations/{api.ours.ids['explanation_id']}/items/0/cat/overlay.png"
    answer = api.call("GET", path, headers={"Accept": "text/html"})
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("noun", NOUNS)
def test_s41_too_many_inputs(noun: str, api: Api) -> None:
    for count in (65, 66, 1001):
        problem(ask(api, noun, *[png()] * count), 422, "too-many-items")
    body = {"dataset_id": api.ours.ids["dataset_id"], "limit": 10**6, **({"method": "shap"} if noun[0] == "e" else {})}
    path = f"/v1/models/{api.ours.ids['model_id']}/{noun}"
    problem(api.call("POST", path, json=body), 422, "too-many-items")


def test_s41_a_budget_beyond_bounds(api: Api) -> None:
    for parameters in ({"evaluations": 10**9}, {"batch_size": 10**9}, {"layer": "x" * 1000}, {"samples": 10**6}):
        spec = {"method": "shap", "parameters": parameters}
        problem(ask(api, "explanations", png(), spec=spec), 422, "validation")


@pytest.mark.parametrize("method", ["shap", "lime"])
def test_a_dataset_is_explained_with_nothing_but_a_method(method: str, api: Api) -> None:
    path = f"/v1/models/{api.ours.ids['model_id']}/explanations"
    body = {"dataset_id": api.ours.ids["dataset_id"], "method": method}
    assert api.call("POST", path, json=body, headers={"Prefer": "wait=0"}).status_code == 202


def test_s41_the_perturbations_of_lime_are_budgeted_and_bounded(api: Api) -> None:
    spec = {"method": "lime", "parameters": {"samples": 10_000}}
    refused = problem(ask(api, "explanations", *[png()] * 7, spec=spec), 422, "budget-exceeded")
    assert refused["errors"][0]["loc"] == ["body", "parameters", "samples"]
    for parameters in ({"samples": 10**6}, {"segments": 3}, {"kernel_width": 0}, {"evaluations": 100}, {"layer": "x"}):
        spec = {"method": "lime", "parameters": parameters}
        problem(ask(api, "explanations", png(), spec=spec), 422, "validation")


@pytest.mark.parametrize("spec", ["{", "[]", '{"a": NaN}', "[" * 50_000, '{"method": "shap", "method": "shap"}', "5"])
def test_s13_the_spec_part_is_strict_json(spec: str, api: Api) -> None:
    for noun in NOUNS:
        answer = ask(api, noun, png(), spec=spec)
        assert answer.status_code in (400, 422), answer.text
        problem(answer, answer.status_code, "malformed-json" if answer.status_code == 400 else "validation")


def test_no_input_at_all(api: Api) -> None:
    for noun in NOUNS:
        path = f"/v1/models/{api.ours.ids['model_id']}/{noun}"
        problem(api.call("POST", path, data={"spec": "{}"}, files={"spec": ("s", b"{}")}), 422, "validation")
        problem(api.call("POST", path), 422, "validation")


def test_an_empty_file_part(api: Api) -> None:
    problem(ask(api, "predictions", b""), 422, "unsupported-image")


@pytest.mark.parametrize("noun", NOUNS)
def test_a_model_deleted_while_its_inputs_are_kept(noun: str, make_api: Callable[..., Api]) -> None:
    """Nothing is accepted for a model that is gone: no row would ever be erased with it."""
    api = make_api()
    model_id = api.ours.ids["model_id"]
    hold = api.store.artifacts.hold

    def delete_then_hold(data: bytes, media_type: str) -> Artifact:
        api.call("DELETE", f"/v1/models/{model_id}")
        return hold(data, media_type)

    api.store.artifacts.hold = delete_then_hold  # type: ignore[method-assign]

    problem(ask(api, noun, png(1)), 404, "not-found")
    with api.store.read() as work:
        assert list(work.session.scalars(getattr(work, noun).ids_of("model_id", [model_id]))) == []
