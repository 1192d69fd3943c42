"""Explanations of texts over HTTP (design: explain.md §3, cases 14 to 19), by a head on the packaged transformer."""

import csv
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.e2e.explaining.asking import Json, Model, Models, sixteen_at_once, sums
from tests.e2e.explaining.texts import CLASSES, DECIDING, planted_text
from tests.live import Live

pytestmark = pytest.mark.timeout(240)
METHODS: list[tuple[str, dict[str, Any]]] = [
    ("shap", {"evaluations": 64}),
    ("integrated_gradients", {"steps": 8}),
    ("lime", {"samples": 100}),
    ("occlusion", {}),
]
GRID = pytest.mark.parametrize(("method", "asked"), METHODS, ids=[method for method, _ in METHODS])
CASES = [(label, *planted_text(20_000 + number, label)) for number in range(10) for label in DECIDING]
WORLD = (
    "\U0001f9d1\u200d\U0001f680 said \u4f60\u597d\u4e16\u754c, don't pay\n the  invoice "
    "\u2014 na\u00efve e\u0301t\u00e9!"
)
"""An emoji of three signs, Chinese, an apostrophe, a line break, two spaces, a dash, accents in both forms."""


@pytest.fixture(scope="module")
def model(models: Models) -> Model:
    return models["texts"]


def listed(explanation: Json, item: int = 0) -> list[Json]:
    found: list[Json] = explanation["items"][item]["targets"][0]["attributions"]
    return found


def shares(explanation: Json, item: int = 0) -> list[float]:
    return [one["attribution"] for one in listed(explanation, item)]


def without_addresses(explanation: Json) -> str:
    """Its items as JSON; the addresses of pictures name the explanation."""
    return json.dumps(explanation["items"]).replace(explanation["id"], "")


@GRID
def test_case_15_the_deciding_word_is_on_top(model: Model, method: str, asked: dict[str, Any]) -> None:
    """Only texts with such a word are explained: the third class, of none, is where they fall without it."""
    found = model.explain([text for _, text, _ in CASES], method, **asked)
    tops = []
    for place, (item, (label, text, decisive)) in enumerate(zip(found["items"], CASES, strict=True)):
        assert item["prediction"]["label"] == label
        assert [one["token"] for one in listed(found, place)] == text.split()
        tops.append(int(np.argmax(shares(found, place))) == decisive)
    assert np.mean(tops) >= 0.95


def test_case_14_gradients_add_up_to_what_predictions_say(model: Model) -> None:
    chosen = [text for _, text, _ in CASES[:6]]
    found = model.explain(chosen, "integrated_gradients", steps=32)
    margins = model.margins([{"text": text} for text in chosen])
    for item, served, total in zip(found["items"], margins, sums_of(found), strict=True):
        (target,) = item["targets"]
        output = served[CLASSES.index(target["label"])]
        change = output - target["base_value"]
        assert target["space"] == "logit"
        assert target["output_value"] == pytest.approx(output, abs=1e-4)
        assert abs(change) >= 0.5
        assert abs(total - output) <= 0.01 * abs(change)
        assert target["additivity"]["passed"]


def sums_of(explanation: Json) -> list[float]:
    """base + Σ of texts of different lengths."""
    return [float(sums({"items": [item]})[0]) for item in explanation["items"]]


def test_case_2_shap_adds_up_to_what_predictions_say(model: Model) -> None:
    chosen = [*(text for _, text, _ in CASES[:4]), WORLD]
    found = model.explain(chosen, evaluations=64)
    served = model.probabilities([{"text": text} for text in chosen])
    for item, row, total in zip(found["items"], served, sums_of(found), strict=True):
        (target,) = item["targets"]
        assert abs(total - row[CLASSES.index(target["label"])]) <= 1e-4


@GRID
def test_case_16_offsets_reproduce_the_input(model: Model, method: str, asked: dict[str, Any]) -> None:
    tokens = listed(model.explain([WORLD], method, **asked))
    assert all(WORLD[one["start"] : one["end"]] == one["token"] for one in tokens)
    ends = [0, *(one["end"] for one in tokens)]
    starts = [*(one["start"] for one in tokens), len(WORLD)]
    between = [WORLD[end:start] for end, start in zip(ends, starts, strict=True)]
    assert all(not gap.strip() for gap in between)
    assert {"\u4f60", "\u597d", "don't", "invoice", "na\u00efve", "e\u0301t\u00e9"} <= {one["token"] for one in tokens}


@GRID
def test_case_16_a_word_alone_and_a_text_in_any_company(model: Model, method: str, asked: dict[str, Any]) -> None:
    (word,) = listed(model.explain(["invoice"], method, **asked))
    assert (word["token"], word["start"], word["end"]) == ("invoice", 0, 7)
    company = [CASES[0][1], "play", " ".join(text for _, text, _ in CASES[1:3])]
    together = model.explain(company, method, **asked)
    alone = model.explain(company[:1], method, **asked)
    assert np.abs(np.array(shares(together)) - shares(alone)).max() <= 1e-4


def test_case_16_a_text_that_is_too_long_says_so(model: Model) -> None:
    long = "the film of sound and play " * 10 + "invoice"
    found = model.explain([long, "pay the invoice"], "occlusion")
    assert [item["input"]["truncated"] for item in found["items"]] == [True, False]
    assert len(listed(found)) == 24 - 2
    assert "invoice" not in [one["token"] for one in listed(found)]
    served = model.predict([{"text": long}, {"text": "pay the invoice"}])
    assert [item["truncated"] for item in served] == [True, False]
    assert [item["label"] for item in served] == ["none", "money"]


def test_case_16_an_empty_text_is_refused(model: Model) -> None:
    for empty in ("", " \n\t"):
        answer = model.post({"inputs": ["pay", empty], "method": "occlusion"})
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/validation")
        assert answer.json()["errors"][0]["loc"] == ["body", "inputs", 1]


def test_case_17_lime_is_its_seed(model: Model) -> None:
    text = CASES[1][1]
    first, again = (model.explain([text], "lime", samples=100, seed=5) for _ in range(2))
    assert without_addresses(first) == without_addresses(again)
    other = model.explain([text], "lime", samples=100, seed=6)
    assert shares(other) != shares(first)
    for found in (first, other):
        assert listed(found)[int(np.argmax(shares(found)))]["token"] == DECIDING[CASES[1][0]]
        assert 0 < found["items"][0]["targets"][0]["fit"]["r2"] <= 1


@pytest.mark.parametrize(("method", "asked"), METHODS[:2], ids=["shap", "integrated_gradients"])
def test_case_18_sixteen_at_once_are_as_one_by_one(
    live: Live, model: Model, method: str, asked: dict[str, Any]
) -> None:
    pid = live.pid("explain worker")
    assert sixteen_at_once(model, [text for _, text, _ in CASES[:4]], method, **asked) <= 1e-4
    assert live.pid("explain worker") == pid


def test_case_19_asking_why_changes_nothing(model: Model) -> None:
    rows = [{"text": text} for _, text, _ in CASES[:4]]
    before = model.predict(rows)
    for method, asked in METHODS:
        model.explain([row["text"] for row in rows[:2]], method, **asked)
    assert model.predict(rows) == before
    answer = model.post({"inputs": ["pay"], "method": "shap", "targets": ["99"]})
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body", "targets", 0])


def test_a_text_in_colours(model: Model) -> None:
    text = "<b>pay</b> the invoice & a \U0001f98a"
    found = model.explain([text], evaluations=64)
    (item,) = found["items"]
    page = model.get(item["page_url"])
    assert page.headers["content-type"].startswith("text/html")
    assert "sandbox" in page.headers["content-security-policy"]
    assert "<b>" not in page.text
    assert "invoice" in page.text
    overlay = model.get(item["targets"][0]["overlay_url"])
    assert Image.open(io.BytesIO(overlay.content)).format == "PNG"
    assert item["targets"][0]["heatmap_url"] is None
    straight = model.post({"inputs": [text], "method": "shap", "parameters": {"evaluations": 64}}, Accept="image/png")
    assert (straight.headers["content-type"], straight.content) == ("image/png", overlay.content)


def test_a_table_of_words_is_safe_and_exact(model: Model) -> None:
    found = model.explain(['=SUM(1) , "pay" the invoice'], evaluations=64)
    answer = model.get(f"/v1/explanations/{found['id']}", Accept="text/csv")
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(float(row["attribution"]), int(row["start"])) for row in table] == [
        (one["attribution"], one["start"]) for one in listed(found)
    ]
    assert table[0]["token"] == "'="
    assert [row["token"] for row in table[1:]] == [one["token"] for one in listed(found)[1:]]
