"""Tables over HTTP, from a CSV to published models of every estimator, against the running service."""

import json
import random
import re
from typing import Any

import pytest

from tests.live import Live

pytestmark = pytest.mark.timeout(240)
ROWS = 120
JOBS: dict[str, dict[str, Any]] = {
    "mlp": {
        "estimator": {"kind": "mlp", "hidden_sizes": [8]},
        "training": {"epochs": 2, "batch_size": 16, "learning_rate": 0.02},
    },
    "gradient_boosting": {"estimator": {"kind": "gradient_boosting", "max_depth": 2}, "training": {"epochs": 6}},
    "linear": {"estimator": {"kind": "linear"}},
    "random_forest": {"estimator": {"kind": "random_forest", "trees": 10, "max_depth": 4}},
    "regression": {"problem": "tabular_regression", "estimator": {"kind": "linear"}},
    "tuned": {
        "estimator": {"kind": "gradient_boosting"},
        "training": {"epochs": 4},
        "tuning": {
            "strategy": "grid", "trials": 3, "metric": "validation_accuracy",
            "space": {"estimator.max_depth": {"choices": [1, 3]}},
        },
    },
}  # fmt: skip


def table() -> bytes:
    """Whether a visit is long follows from its colour and its start; `stars` count the same, from 0 to 4."""
    generator = random.Random(5)
    lines = ["start,colour,weight,when,visit,stars,label"]
    for number in range(ROWS):
        start, colour = generator.uniform(-1, 1), generator.choice(["red", "green"])
        score = start + (0.7 if colour == "red" else -0.7) + generator.gauss(0, 0.2)
        weight = "" if number % 11 == 0 else f"{generator.uniform(1, 9):.3f}"
        stars = min(4, max(0, round(score + 2)))
        lines.append(f"{start:.4f},{colour},{weight},2024-03-{number % 28 + 1:02d},v{number},{stars},"
                     f"{'long' if score > 0 else 'short'}")  # fmt: skip
    return ("\n".join(lines) + "\n").encode()


@pytest.fixture(scope="module")
def datasets(live: Live) -> dict[str, dict[str, Any]]:
    """The same rows, once to be classified, once to be regressed."""
    forms = {
        "classes": {"columns": '{"stars": "ignore"}'},
        "values": {"target": "stars", "columns": '{"label": "ignore"}'},
    }
    found = {}
    with live.http as http:
        for name, form in forms.items():
            data = {"modality": "tabular", **form}
            answer = http.post("/v1/datasets", files={"file": ("visits.csv", table())}, data=data,
                               headers={"Prefer": "wait=60"})  # fmt: skip
            found[name] = answer.json()
            assert found[name]["state"] == "ready", found[name]
    return found


@pytest.fixture(scope="module")
def jobs(live: Live, datasets: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """All of `JOBS` as they ended."""
    ids = {}
    for name, spec in JOBS.items():
        dataset = datasets["values" if name == "regression" else "classes"]
        ids[name] = live.client.submit_job({"dataset_id": dataset["id"], "name": name, **spec})["id"]
    return {name: live.client.wait(job_id, timeout_seconds=120) for name, job_id in ids.items()}


def test_the_dataset_says_what_its_columns_are(datasets: dict[str, dict[str, Any]]) -> None:
    classes, values = datasets["classes"], datasets["values"]
    kinds = {column["name"]: column["kind"] for column in classes["profile"]["columns"]}
    assert kinds == {
        "start": "numeric", "colour": "categorical", "weight": "numeric", "when": "datetime", "visit": "ignore",
        "stars": "ignore",
    }  # fmt: skip
    assert classes["profile"]["target"]["problems"] == ["tabular_classification"]
    assert values["profile"]["target"]["problems"] == ["tabular_classification", "tabular_regression"]
    assert classes["digest"] == values["digest"]
    assert classes["options"] == {"target": None, "columns": {"stars": "ignore"}, "delimiter": None, "format": "csv"}


def test_samples_are_the_rows_of_the_upload(live: Live, datasets: dict[str, dict[str, Any]]) -> None:
    lines = [line.split(",") for line in table().decode().splitlines()[1:]]
    dataset_id = datasets["values"]["id"]
    with live.http as http:
        page = http.get(f"/v1/datasets/{dataset_id}/samples?limit=3&cursor=109").json()
    assert page["next_cursor"] == "112"
    for number, sample in zip(range(109, 112), page["data"], strict=True):
        start, colour, weight, when, visit, stars, label = lines[number]
        row = {"start": float(start), "colour": colour, "weight": float(weight) if weight else None}
        assert sample["row"] == {**row, "when": f"{when}T00:00:00Z"}
        assert (sample["index"], sample["label"], sample["value"]) == (number, stars, float(stars))
        assert sample["metadata"] == {"visit": visit, "label": label}


@pytest.mark.parametrize("name", [name for name in JOBS if name != "regression"])
def test_every_estimator_learns_and_is_published(
    name: str, live: Live, datasets: dict[str, dict[str, Any]], jobs: dict[str, dict[str, Any]]
) -> None:
    job = jobs[name]
    assert job["state"] == "succeeded", job
    assert job["metrics"]["test"]["accuracy"] > job["metrics"]["baseline"]["accuracy"]
    model = live.client.get(job["model_id"])
    kind = JOBS[name]["estimator"]["kind"]
    assert (model["backbone"], model["estimator"]["kind"], model["classes"]) == (None, kind, ["long", "short"])
    weights = "model.ubj" if kind in ("gradient_boosting", "random_forest") else "model.safetensors"
    files = {artifact["name"]: artifact for artifact in model["artifacts"]}
    assert files[weights]["sha256"] == model["digest"].removeprefix("sha256:")
    assert {"config.json", "background.parquet", "card.md", "calibration.png"} <= set(files)
    assert job["diagnosis"]["verdict"]
    card = live.client.download(f"/v1/models/{model['id']}/artifacts/card.md")
    assert datasets["classes"]["digest"] in card.decode()  # type: ignore[union-attr]


def test_boosting_shows_its_rounds_as_epochs(live: Live, jobs: dict[str, dict[str, Any]]) -> None:
    (trial,) = live.client.trials(jobs["gradient_boosting"]["id"])
    assert [epoch["epoch"] for epoch in trial["epochs"]] == [1, 2, 3, 4, 5, 6]
    assert trial["epochs"][-1]["validation_rmse"] is None


def test_a_search_over_the_estimator(live: Live, jobs: dict[str, dict[str, Any]]) -> None:
    trials = live.client.trials(jobs["tuned"]["id"])
    assert [trial["params"].get("estimator.max_depth") for trial in trials] in ([None, 1, 3], [None, 3, 1])
    best = max(trial["metrics"]["validation"]["accuracy"] for trial in trials)
    winner = trials[jobs["tuned"]["best_trial"]]
    assert winner["metrics"]["validation"]["accuracy"] == best
    config = json.loads(live.client.download(f"/v1/models/{jobs['tuned']['model_id']}/artifacts/config.json"))  # type: ignore[arg-type]
    assert config["estimator"]["max_depth"] == winner["params"].get("estimator.max_depth", 4)


def test_a_regression_has_errors_and_no_classes(live: Live, jobs: dict[str, dict[str, Any]]) -> None:
    job = jobs["regression"]
    assert job["state"] == "succeeded", job
    test, baseline = job["metrics"]["test"], job["metrics"]["baseline"]
    assert test["rmse"] < baseline["rmse"]
    assert test["r2"] > 0 >= baseline["r2"]
    assert "accuracy" not in test
    model = live.client.get(job["model_id"])
    assert (model["problem"], model["classes"]) == ("tabular_regression", [])
    (trial,) = live.client.trials(job["id"])
    (epoch,) = trial["epochs"]
    assert epoch["validation_rmse"] == pytest.approx(epoch["validation_loss"] ** 0.5)
    assert epoch["validation_accuracy"] is None


def test_reports_and_plots_show_what_there_is(live: Live, jobs: dict[str, dict[str, Any]]) -> None:
    regression, boosting = jobs["regression"], jobs["gradient_boosting"]
    with live.http as http:
        page = http.get(f"/v1/jobs/{regression['id']}/report").text
        assert page.count("data:image/png;base64,") == 3
        assert f"{regression['metrics']['test']['rmse']:.4f}" in page
        assert "<td>accuracy</td>" not in page
        assert "accuracy" in http.get(f"/v1/jobs/{boosting['id']}/report").text
        for plot in ("predicted_against_actual", "residuals", "learning_curves"):
            for form in ("png", "svg", "json"):
                assert http.get(f"/v1/jobs/{regression['id']}/plots/{plot}.{form}").status_code == 200, (plot, form)
        missing = http.get(f"/v1/jobs/{regression['id']}/plots/confusion_matrix.png")
    assert (missing.status_code, missing.json()["type"]) == (404, "/problems/not-found")
    assert all(url.startswith("data:") for url in re.findall(r'(?:src|href)="([^"]*)"', page))


def test_models_of_tables_are_not_exported(live: Live, jobs: dict[str, dict[str, Any]]) -> None:
    with live.http as http:
        answer = http.post(f"/v1/models/{jobs['linear']['model_id']}/exports", json={"format": "onnx"})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/validation")


def test_nothing_is_left_behind(live: Live, jobs: dict[str, dict[str, Any]]) -> None:
    scratch = live.embedded.data_dir / "scratch"
    assert [path for noun in ("datasets", "trials") for path in (scratch / noun).iterdir()] == []


def test_answers_as_a_table_are_replayed_as_a_table(
    live: Live, jobs: dict[str, dict[str, Any]], datasets: dict[str, dict[str, Any]]
) -> None:
    path = f"/v1/models/{jobs['regression']['model_id']}/predictions"
    body = {"dataset_id": datasets["values"]["id"], "split": "test", "limit": 500}
    with live.http as http:
        headers = {"Accept": "text/csv", "Idempotency-Key": "as-a-table"}
        first, again = (http.post(path, json=body, headers=headers) for _ in range(2))
        asked = http.get(first.headers["Location"], headers={"Accept": "text/csv"})
    assert first.headers["Content-Type"].startswith("text/csv")
    assert again.headers["Content-Type"].startswith("text/csv")
    assert first.content == again.content == asked.content
    lines = first.text.splitlines()
    assert lines[0] == "index,name,value"
    assert len(lines) == 1 + round(0.15 * ROWS)
