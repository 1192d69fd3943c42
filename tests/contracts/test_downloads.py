"""Tables that a spreadsheet opens: nothing in them is run (S33)."""

import csv
import io
from typing import Any

import pytest

from service.specs.base import new_id
from service.store.tables import PredictionRow
from tests.contracts.conftest import Api

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
