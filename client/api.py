"""`Tunelens`: the service as Python calls."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import httpx

from client import streams
from client.downloads import save
from client.errors import Json, NotSettled
from client.inputs import Inputs
from client.multipart import Multipart, Source
from client.sse import Event
from client.transport import Transport

Modality = Literal["image", "text", "tabular"]
MODALITY_OF: dict[str, Modality] = {".csv": "tabular", ".tsv": "tabular", ".parquet": "tabular", ".jsonl": "text"}
MAX_WAIT_SECONDS = 60
SETTLED_STATES = frozenset({"ready", "rejected", "succeeded", "failed", "cancelled", "paused"})
PATHS = {
    "ds": "/v1/datasets",
    "job": "/v1/jobs",
    "mdl": "/v1/models",
    "prd": "/v1/predictions",
    "exp": "/v1/explanations",
}


class Tunelens:
    """One service, one key. Every method may raise `ProblemError` or `Unreachable`.

    Resources are the JSON objects that the service sends, as dicts.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        key: str | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._transport = Transport(base_url, key, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def get(self, id_: str) -> Json:
        """The resource of that id as it is now: `ds_… job_… mdl_… prd_… exp_…`."""
        return self._transport.json("GET", _path(id_))

    def delete(self, id_: str, *, cascade: bool = False) -> None:
        """Deletes the resource of that id."""
        self._transport.request("DELETE", _path(id_), params={"cascade": "true"} if cascade else None)

    def browse(self, noun: str, **filters: str) -> Iterator[Json]:
        """All `datasets`, `jobs`, `models`, …, newest first, page by page as they are consumed."""
        query: dict[str, str] = dict(filters)
        while True:
            page = self._transport.json("GET", f"/v1/{noun}", params=query)
            yield from page["data"]
            if not page.get("next_cursor"):
                return
            query["cursor"] = page["next_cursor"]

    def wait(self, resource: Json | str, *, timeout_seconds: float | None = None) -> Json:
        """The resource once it is settled; the service answers as soon as it is.

        Raises:
            NotSettled: `timeout_seconds` are over.
        """
        document = self.get(resource) if isinstance(resource, str) else resource
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while document["state"] not in SETTLED_STATES:
            patience = MAX_WAIT_SECONDS if deadline is None else deadline - time.monotonic()
            if patience <= 0:
                raise NotSettled(document)
            document = self._transport.json("GET", _place(document), headers=_prefer(patience))
        return document

    def backbones(self) -> list[Json]:
        """What can be fine-tuned here."""
        backbones: list[Json] = self._transport.json("GET", "/v1/backbones")["data"]
        return backbones

    def upload_dataset(
        self,
        file: Source,
        *,
        modality: Modality | None = None,
        options: Mapping[str, str | Mapping[str, str]] | None = None,
        name: str | None = None,
        metadata: Mapping[str, str] | None = None,
        wait_seconds: float = 0,
    ) -> Json:
        """Uploads a zip of `<class>/<image>`, a table or texts; with `wait_seconds`, answers once it is checked.

        `options` are of tables `target`, `columns` (name → kind or `ignore`), `delimiter`; of texts `text`, `target`.
        Without a `modality` it is texts if `options` say `text`, else follows from the file's suffix: `.csv`, `.tsv`
        and `.parquet` are tables, `.jsonl` is texts, anything else images.
        """
        options = options or {}
        fields: dict[str, str] = {"modality": modality or ("text" if "text" in options else _modality_of(file))}
        for option, value in options.items():
            fields[option] = value if isinstance(value, str) else json.dumps(dict(value))
        if name is not None:
            fields["name"] = name
        if metadata:
            fields["metadata"] = json.dumps(dict(metadata))
        body = Multipart([file], fields)
        return self._transport.json("POST", "/v1/datasets", multipart=body, headers=_prefer(wait_seconds))

    def submit_job(self, spec: Json, *, dry_run: bool = False) -> Json:
        """Accepts a training request; with `dry_run` only says what would be done."""
        return self._transport.json("POST", "/v1/jobs", json=spec, params={"dry_run": "true"} if dry_run else None)

    def rerun_job(self, job_id: str, *, apply: Sequence[str] = (), override: Json | None = None) -> Json:
        """Accepts a job like another one, with remedies of its diagnosis (by id) and a merge patch on its spec."""
        body: Json = {"apply": list(apply), "override": override or {}}
        return self._transport.json("POST", f"{_path(job_id)}/rerun", json=body)

    def cancel_job(self, job_id: str, *, wait_seconds: float = 0) -> Json:
        """Stops a job; with `wait_seconds`, answers once it has stopped."""
        return self._transport.json("POST", f"{_path(job_id)}/cancel", headers=_prefer(wait_seconds))

    def trials(self, job_id: str) -> list[Json]:
        """The job's trials with their epochs."""
        return [*self.browse(f"jobs/{job_id}/trials")]

    def events(self, job_id: str, *, after: int = 0) -> Iterator[Event]:
        """The job's events from `after` on, as they happen, to the last; survives lost connections."""
        return streams.follow(self._transport, _path(job_id), after=after)

    def model(self, reference: str) -> Json:
        """A model by id or alias."""
        return self._transport.json("GET", f"/v1/models/{reference}")

    def predict(self, model: str, inputs: Sequence[Source] | Inputs, *, wait_seconds: float = MAX_WAIT_SECONDS) -> Json:
        """The model's answers, in the order of the inputs; a plain list is one of images.

        `model` is an id or an alias.
        """
        asked = inputs if isinstance(inputs, Inputs) else Inputs(files=inputs)
        path = f"/v1/models/{model}/predictions"
        return self._transport.json("POST", path, headers=_prefer(wait_seconds), **asked.to_request())

    def explain(
        self, model: str, inputs: Sequence[Source] | Inputs, spec: Json, *, wait_seconds: float = MAX_WAIT_SECONDS
    ) -> Json:
        """Why the model answers as it does; `spec` names at least the `method`."""
        asked = inputs if isinstance(inputs, Inputs) else Inputs(files=inputs)
        path = f"/v1/models/{model}/explanations"
        return self._transport.json("POST", path, headers=_prefer(wait_seconds), **asked.to_request(spec))

    def csv(self, id_: str) -> bytes:
        """A prediction, or an explanation of rows or texts, that has succeeded, as a table."""
        return self._transport.request("GET", _path(id_), headers={"Accept": "text/csv"}).content

    def export(self, model: str, format: Literal["onnx", "torch_export"], *, wait_seconds: float = 0) -> Json:
        """The model's export in that format, made if there is none; `wait` for it, then `download` its artifact."""
        path = f"/v1/models/{model}/exports"
        return self._transport.json("POST", path, json={"format": format}, headers=_prefer(wait_seconds))

    def download(self, url: str, *, to: Path | str | None = None, sha256: str | None = None) -> bytes | Path:
        """What a `url` of a response points to: a picture, an artifact. As bytes, or `to` a file.

        Raises:
            DownloadCorrupt: the bytes do not have that digest.
            ValueError: the URL points to another service.
        """
        return save(self._transport, url, to=None if to is None else Path(to), sha256=sha256)


def _path(id_: str) -> str:
    """Where the resource of an id is found; ids say what they are."""
    prefix, _, rest = id_.partition("_")
    if prefix not in PATHS or not rest.isalnum():
        raise ValueError(f"no id of a resource: {id_!r}")
    return f"{PATHS[prefix]}/{id_}"


def _modality_of(file: Source) -> Modality:
    return "image" if isinstance(file, bytes) else MODALITY_OF.get(Path(file).suffix.lower(), "image")


def _place(resource: Json) -> str:
    """Where a resource is found; an export has no id, but a model and a format."""
    if "id" in resource:
        return _path(resource["id"])
    return f"{_path(resource['model_id'])}/exports/{resource['format']}"


def _prefer(seconds: float) -> dict[str, str]:
    """The header that has the service answer later, with the result."""
    whole = min(MAX_WAIT_SECONDS, max(1, round(seconds)))
    return {"Prefer": f"wait={whole}"} if seconds > 0 else {}
