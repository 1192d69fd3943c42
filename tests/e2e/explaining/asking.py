"""A client of the running service, and the models that it trains for these tests."""

import csv
import io
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq

from tests.e2e.explaining.recipes import RECIPES
from tests.e2e.explaining.tables import Floats
from tests.live import Live

Json = dict[str, Any]
Row = dict[str, Any]


class Model:
    """One trained model, asked over HTTP."""

    def __init__(self, http: httpx.Client, job: Json, rows: list[Row]) -> None:
        self.id: str = job["model_id"]
        self.dataset_id: str = job["dataset_id"]
        self.job = job
        self.rows = rows
        """Of the upload, as a CSV reader gives them: features, target and all."""
        self._http = http

    @cached_property
    def described(self) -> Json:
        found: Json = self._http.get(f"/v1/models/{self.id}").json()
        return found

    def artifact(self, name: str) -> bytes:
        return self._http.get(f"/v1/models/{self.id}/artifacts/{name}").content

    @cached_property
    def config(self) -> Json:
        found: Json = json.loads(self.artifact("config.json"))
        return found

    @cached_property
    def columns(self) -> list[str]:
        return [column["name"] for column in self.described["input"]["columns"]]

    @cached_property
    def background(self) -> list[Row]:
        """All of the rows that are kept with the model."""
        rows: list[Row] = pq.read_table(io.BytesIO(self.artifact("background.parquet"))).to_pylist()
        return rows

    def of_split(self, split: str) -> list[Row]:
        """The upload's rows of one side of the split, features only."""
        chosen = json.loads(self.artifact("split.json"))[split]
        return [{name: self.rows[place][name] for name in self.columns} for place in chosen]

    def predict(self, rows: Sequence[Row]) -> list[Json]:
        """Of any number of rows, as a file."""
        lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
        path, files = f"/v1/models/{self.id}/predictions", {"file": ("rows.jsonl", lines)}
        answer = self._http.post(path, files=files, headers={"Prefer": "wait=60"})
        assert answer.status_code == 200, answer.text
        items: list[Json] = answer.json()["items"]
        return items

    def values(self, rows: Sequence[Row]) -> Floats:
        """[n] of a regression."""
        return np.array([item["value"] for item in self.predict(rows)])

    def probabilities(self, rows: Sequence[Row]) -> Floats:
        """[n, c]."""
        return np.array([list(item["probabilities"].values()) for item in self.predict(rows)])

    def margins(self, rows: Sequence[Row]) -> Floats:
        """[n, c]: what the probabilities are made of: log-odds of two classes, calibrated logits of more."""
        logits = np.array([list(item["logits"].values()) for item in self.predict(rows)]) / self.config["temperature"]
        found: Floats = logits - logits[:, ::-1] if logits.shape[1] == 2 else logits
        return found

    def post(self, body: Json, **headers: str) -> httpx.Response:
        path = f"/v1/models/{self.id}/explanations"
        return self._http.post(path, json=body, headers={"Prefer": "wait=60", **headers})

    def explain(self, inputs: Sequence[Any] | None, method: str = "shap", **fields: Any) -> Json:
        """By `method`; of samples of the dataset where there are no `inputs`. Other names than a spec's: parameters."""
        own: Json = {
            name: fields.pop(name) for name in ("targets", "evaluate", "seed", "split", "limit") if name in fields
        }
        source: Json = {"dataset_id": self.dataset_id} if inputs is None else {"inputs": inputs}
        answer = self.post({**source, "method": method, "parameters": fields, **own})
        assert answer.status_code in (200, 202), answer.text
        explanation: Json = answer.json()
        while explanation["state"] in ("queued", "running"):
            explanation = self.get(answer.headers["location"], Prefer="wait=60").json()
        assert explanation["state"] == "succeeded", explanation
        return explanation

    def get(self, url: str, **headers: str) -> httpx.Response:
        return self._http.get(url, headers=headers)


class Models:
    """Trains the models of `RECIPES`, each when it is first asked for; the same upload is sent once."""

    def __init__(self, live: Live, http: httpx.Client) -> None:
        self._live = live
        self._http = http
        self._datasets: dict[str, str] = {}
        self._models: dict[str, Model] = {}

    def __getitem__(self, name: str) -> Model:
        if name not in self._models:
            self._models[name] = self._train(name)
        return self._models[name]

    def _train(self, name: str) -> Model:
        recipe = RECIPES[name]
        content, key = recipe.rows(), f"{recipe.rows.__name__} {recipe.form}"
        if key not in self._datasets:
            self._datasets[key] = self._upload(content, {"modality": "tabular", **recipe.form})
        job = self._live.client.submit_job({"dataset_id": self._datasets[key], **recipe.spec})
        ended = self._live.client.wait(job, timeout_seconds=200)
        assert ended["state"] == "succeeded", ended
        return Model(self._http, ended, list(csv.DictReader(io.StringIO(content.decode()))))

    def _upload(self, content: bytes, form: dict[str, str]) -> str:
        file, prefer = {"file": ("rows.csv", content)}, {"Prefer": "wait=60"}
        answer = self._http.post("/v1/datasets", files=file, data=form, headers=prefer)
        dataset: Json = answer.json()
        assert dataset["state"] == "ready", dataset
        dataset_id: str = dataset["id"]
        return dataset_id


def attributions(explanation: Json, target: int = 0) -> Floats:
    """[n, p] of the items' targets."""
    rows = [item["targets"][target]["attributions"] for item in explanation["items"]]
    return np.array([[one["attribution"] for one in row] for row in rows])


def sums(explanation: Json, target: int = 0) -> Floats:
    """[n]: base + Σ attributions, added up here."""
    bases = np.array([item["targets"][target]["base_value"] for item in explanation["items"]])
    found: Floats = bases + attributions(explanation, target).sum(axis=1)
    return found


def numbers(rows: Sequence[Row], columns: Sequence[str]) -> Floats:
    """[n, p]."""
    return np.array([[float(row[name]) for name in columns] for row in rows])


def sixteen_at_once(model: Model, inputs: Sequence[Any], method: str, **fields: Any) -> float:
    """The largest difference between attributions that are asked for sixteen at once and one by one."""
    serial = [attributions(model.explain([one], method, **fields)) for one in inputs]
    turns = [turn % len(inputs) for turn in range(16)]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda turn: attributions(model.explain([inputs[turn]], method, **fields)), turns))
    return float(np.max([np.abs(one - serial[turn]).max() for turn, one in zip(turns, found, strict=True)]))
