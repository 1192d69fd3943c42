"""`predict` and `explain` about rows, texts and datasets."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from client import Inputs
from tests.client.service import FakeService, answer
from tests.client.test_cli import run, service

__all__ = ["service"]
ROWS = Inputs(values=[{"age": 3}, {"age": None}])
VALUES = {"id": "prd_1", "state": "succeeded", "items": [{"index": 0, "name": "row 0", "value": 152.25}]}


def explained(*targets: dict[str, Any], **fields: Any) -> httpx.Response:
    items = [{"targets": [{"space": "log_odds", "base_value": 0.5, **target}]} for target in targets]
    return answer({"id": "exp_1", "state": "succeeded", "items": items, **fields})


def test_rows_are_sent_as_json_beside_the_spec() -> None:
    fake = FakeService([explained()])
    fake.client().explain("best", ROWS, {"method": "shap"})
    assert json.loads(fake.bodies[0]) == {"inputs": [{"age": 3}, {"age": None}], "method": "shap"}


def test_samples_of_a_dataset_are_sent_as_json() -> None:
    fake = FakeService([answer(VALUES)])
    fake.client().predict("best", Inputs(samples={"dataset_id": "ds_1", "limit": 500}))
    assert json.loads(fake.bodies[0]) == {"dataset_id": "ds_1", "limit": 500}


@pytest.mark.parametrize("inputs", [Inputs(), Inputs(files=["a.csv"], values=["text"])])
def test_one_source_is_needed(inputs: Inputs) -> None:
    with pytest.raises(ValueError, match="Give files, or values, or samples"):
        FakeService().client().predict("best", inputs)


def test_a_value_is_shown(service: FakeService, tmp_path: Path) -> None:
    row = tmp_path / "row.json"
    row.write_text('{"age": 3}')
    result = run(service, "predict", "best", "--row", f"@{row}", answers=[answer(VALUES)])
    assert "152.25" in result.output
    assert json.loads(service.bodies[0]) == {"inputs": [{"age": 3}]}


def test_answers_become_a_table(service: FakeService, tmp_path: Path) -> None:
    rows, table = tmp_path / "rows.csv", tmp_path / "out.csv"
    rows.write_text("age\n3\n")
    answers = [answer(VALUES), httpx.Response(200, content=b"index,value\r\n0,152.25\r\n")]
    result = run(service, "predict", "best", str(rows), "--output", str(table), answers=[*answers])
    assert "out.csv has 1 answers" in result.output
    assert table.read_bytes() == b"index,value\r\n0,152.25\r\n"
    assert service.requests[1].headers["Accept"] == "text/csv"


def test_words_are_shown_as_they_stand_in_the_text(service: FakeService) -> None:
    words = [
        {"token": "loud", "start": 0, "end": 4, "attribution": 0.4},
        {"token": "game", "start": 5, "end": 9, "attribution": -0.1},
        {"token": "s", "start": 9, "end": 10, "attribution": 0.0},
    ]
    answers = [answer({"problem": "text_classification"}), explained(label_and("sound", words))]
    result = run(service, "explain", "best", "--text", "loud games", answers=[*answers])
    assert "sound  log odds 2.5, from 0.5" in result.output
    assert "loud games" in result.output
    assert json.loads(service.bodies[1])["method"] == "shap"


def test_columns_are_shown_by_what_they_add(service: FakeService) -> None:
    columns = [
        {"feature": "age", "value": 3.0, "attribution": -0.5},
        {"feature": "town", "value": "Ulm", "attribution": 1.5},
        {"feature": "wage", "value": None, "attribution": 0.0},
    ]
    run_of = ("explain", "best", "--row", "{}", "--method", "lime")
    result = run(service, *run_of, answers=[explained(label_and(None, columns))])
    lines = result.output.splitlines()
    assert lines[0].startswith("value  log odds 2.5, from 0.5")
    assert [line.split()[:3] for line in lines[2:]] == [
        ["town", "Ulm", "+1.5"],
        ["age", "3", "-0.5"],
        ["wage", "-", "+0"],
    ]
    assert [line.count("█") for line in lines[2:]] == [24, 8, 0]


def test_all_rows_together_become_a_summary_and_a_picture(service: FakeService, tmp_path: Path) -> None:
    summary = [{"feature": "age", "mean_absolute_attribution": 0.75}]
    plots = {"bar": "/v1/explanations/exp_1/plots/bar.png", "beeswarm": "/v1/explanations/exp_1/plots/beeswarm.png"}
    found = [explained(summary=summary, plots=plots), httpx.Response(200, content=b"swarm")]
    picture = tmp_path / "swarm.png"
    options = ("--dataset", "ds_1", "--split", "test", "--limit", "500", "--method", "shap", "--output", str(picture))
    result = run(service, "explain", "best", *options, answers=[*found])
    assert "0.75" in result.output
    assert picture.read_bytes() == b"swarm"
    assert service.requests[1].url.path.endswith("beeswarm.png")
    assert json.loads(service.bodies[0]) == {
        "dataset_id": "ds_1", "limit": 500, "split": "test", "method": "shap", "parameters": {}
    }  # fmt: skip


@pytest.mark.parametrize("options", [(), ("--text", "a", "--row", "{}"), ("--row", "[]")])
def test_what_is_asked_about_must_be_plain(options: tuple[str, ...], service: FakeService) -> None:
    result = run(service, "predict", "best", *options, answers=[])
    assert result.exit_code == 1
    assert "That did not work" in result.output


def label_and(label: str | None, attributions: list[dict[str, Any]]) -> dict[str, Any]:
    return {"label": label, "output_value": 2.5, "attributions": attributions}


def test_single_rows_have_no_picture(service: FakeService, tmp_path: Path) -> None:
    columns = [{"feature": "age", "value": 3.0, "attribution": -0.5}]
    options = ("explain", "best", "--row", "{}", "--method", "shap", "--output", str(tmp_path / "row.png"))
    result = run(service, *options, answers=[explained(label_and(None, columns))])
    assert result.exit_code == 1
    assert "There is no picture of single rows" in result.output
