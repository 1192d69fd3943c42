"""Tables that a spreadsheet opens: nothing in them is run (S33)."""

import csv
import io
from typing import Any

import pytest

from service.specs.base import new_id
from service.specs.explanations import ExplanationSpec
from service.store.tables import ExplanationRow, PredictionRow
from tests.contracts.conftest import Api
from tests.contracts.models import project_of

LABELS = ['=HYPERLINK("http://127.0.0.1")', "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "cat"]


def predicted(api: Api, labels: list[str], name: str) -> str:
    """A prediction whose labels and file names a client has chosen."""
    items: list[dict[str, Any]] = [
        {"index": n, "name": name, "label": label, "probability": 0.5, "probabilities": dict.fromkeys(labels, 0.5)}
        for n, label in enumerate(labels)
    ]
    with api.store.work() as work:
        model = work.models.get(api.ours.ids["model_id"])
        assert model is not None
        row = PredictionRow(id=new_id("prd"), project_id=model.project_id, model_id=model.id, state="succeeded",
                            spec={}, inputs=[], result={"items": items})  # fmt: skip
        work.predictions.add(row)
    return row.id


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "a.png"])
def test_s33_labels_and_names_are_text(name: str, api: Api) -> None:
    row_id = predicted(api, LABELS, name)
    answer = api.call("GET", f"/v1/predictions/{row_id}", headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith("attachment")
    cells = [cell for row in csv.reader(io.StringIO(answer.text, newline="")) for cell in row]
    assert any(cell.startswith("'=HYPERLINK") for cell in cells)
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "@", "\t", "\r") or cell.startswith("-1+1")]


def downloaded(api: Api, noun: str, row_id: str) -> list[list[str]]:
    answer = api.call("GET", f"/v1/{noun}/{row_id}", headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.reader(io.StringIO(answer.text, newline="")))


def test_s33_attributions_as_a_table(api: Api) -> None:
    """Numbers read back as the same; names, labels, tokens and categories that begin as formulas do are guarded."""
    told = {"label": "=l", "space": "value", "base_value": 0.1, "output_value": 0.3, "additivity": None, "fit": None,
            "layer": None, "degenerate": False}  # fmt: skip
    numbers = [0.1 + 0.2, -1e-17, 1.5e300]
    of_row = [{"feature": f, "value": v, "attribution": n}
              for f, v, n in zip(["=f", "age", "m"], ["@v", -2.5, True], numbers, strict=True)]  # fmt: skip
    of_text = [{"token": t, "start": 0, "end": 1, "attribution": n}
               for t, n in zip(["=", "-1", "a"], numbers, strict=True)]  # fmt: skip
    expected = {
        "feature": [["'=f", "'@v"], ["age", "-2.5"], ["m", "true"]],
        "token": [["'=", "0", "1"], ["-1", "0", "1"], ["a", "0", "1"]],
    }
    for kind, attributions in (("feature", of_row), ("token", of_text)):
        item = {"index": 0, "input": {"name": "+n", "sha256": "0" * 64, "truncated": False}, "quality": None,
                "prediction": {"value": 0.3}, "targets": [{**told, "attributions": attributions}]}  # fmt: skip
        row = ExplanationRow(
            id=new_id("exp"), project_id=project_of(api), model_id=api.ours.ids["model_id"], state="succeeded",
            spec=ExplanationSpec(method="shap").model_dump(), inputs=[], result={"items": [item]},
        )  # fmt: skip
        with api.store.work() as work:
            work.explanations.add(row)
        header, *lines = downloaded(api, "explanations", row.id)
        assert header[:3] == ["index", "name", "label"]
        assert [line[:3] for line in lines] == [["0", "'+n", "'=l"]] * 3
        assert [line[3:-1] for line in lines] == expected[kind]
        assert [float(line[-1]) for line in lines] == numbers


def test_s33_values_as_a_table(api: Api) -> None:
    numbers = [0.1 + 0.2, -1e-17, 1.5e300, 3.0]
    items = [{"index": place, "name": f"row {place}", "value": value} for place, value in enumerate(numbers)]
    row = PredictionRow(id=new_id("prd"), project_id=project_of(api), model_id=api.ours.ids["model_id"],
                        state="succeeded", spec={}, inputs=[], result={"items": items})  # fmt: skip
    with api.store.work() as work:
        work.predictions.add(row)
    header, *lines = downloaded(api, "predictions", row.id)
    assert header == ["index", "name", "value"]
    assert [float(line[2]) for line in lines] == numbers
