"""Inputs of predictions and explanations: image parts of a form, or samples of a dataset."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.requests import Request

from service.errors import (
    BudgetExceeded,
    Conflict,
    Fault,
    ImageAnimated,
    ImageCorrupt,
    ImageError,
    ImageTooLarge,
    Invalid,
    MalformedJson,
    NotFound,
    PayloadTooLarge,
    TooManyItems,
    UnknownReference,
    UnsupportedImage,
    UnsupportedMediaType,
)
from service.problems import invalid
from service.routing import parse_json
from service.specs.base import Spec
from service.specs.datasets import Manifest
from service.specs.explanations import MAX_INPUTS, DatasetInputs
from service.specs.images import MAX_IMAGE_BYTES, MAX_REQUEST_PIXELS, open_image
from service.store import Artifact, Store
from service.store.datasets import MANIFEST

SPLIT_ARTIFACT = "split.json"
MAX_REQUEST_BYTES = 128 * 1024**2
INPUT_ERRORS = (
    *(BudgetExceeded, Conflict, ImageAnimated, ImageCorrupt, ImageTooLarge, Invalid, MalformedJson, NotFound),
    *(PayloadTooLarge, TooManyItems, UnknownReference, UnsupportedImage, UnsupportedMediaType),
)
"""What asking a model can be refused with, whatever it is asked for."""


@dataclass(frozen=True)
class Asked:
    """A request's spec and inputs; either files or a choice from a dataset."""

    spec: dict[str, Any]
    files: tuple[tuple[str, bytes], ...] = ()
    dataset: DatasetInputs | None = None


async def read_asked(request: Request) -> Asked:
    """Parses the body, multipart or JSON.

    Raises:
        Invalid: fields that are not valid, or no input at all.
        TooManyItems, PayloadTooLarge: more than may be asked at once.
        MalformedJson: a `spec` part that is no JSON object.
    """
    media_type = request.headers.get("content-type", "")
    if media_type.lower().startswith("multipart/form-data"):
        return await _from_form(request)
    body = await request.json() if await request.body() else None
    if not isinstance(body, dict):
        raise Invalid("Send image parts as multipart/form-data, or a JSON object with `dataset_id`.")
    if "inputs" in body:
        fault = Fault(("body", "inputs"), "image-parts", "images are sent as multipart `file` parts")
        raise Invalid("This model takes images.", errors=[fault])
    choice = {key: body.pop(key) for key in ("dataset_id", "split", "limit") if key in body}
    if isinstance(choice.get("limit"), int) and choice["limit"] > MAX_INPUTS:
        raise TooManyItems(f"At most {MAX_INPUTS} inputs are taken in one request.")
    return Asked(body, dataset=checked(DatasetInputs, choice))


def checked(spec_class: type[Any], fields: object) -> Any:
    """A spec from parsed JSON; raises `Invalid` naming the fields."""
    try:
        return spec_class.model_validate(fields)
    except ValidationError as error:
        raise invalid([{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]) from error


async def _from_form(request: Request) -> Asked:
    form = await request.form()
    known = {"file", "spec"}
    unknown = sorted(set(form.keys()) - known)
    if unknown:
        raise Invalid(
            "The form has unknown parts.", errors=[Fault(("body",), "unknown-field", "file and spec are taken")]
        )
    uploads = [part for part in form.getlist("file") if isinstance(part, UploadFile)]
    if len(uploads) > MAX_INPUTS:
        raise TooManyItems(f"At most {MAX_INPUTS} inputs are taken in one request.")
    if not uploads:
        raise Invalid("No input was sent.", errors=[Fault(("body", "file"), "missing", "send 1 to 64 `file` parts")])
    if sum(part.size or 0 for part in uploads) > MAX_REQUEST_BYTES:
        raise PayloadTooLarge(f"At most {MAX_REQUEST_BYTES} bytes of images are taken in one request.")
    files = []
    for position, part in enumerate(uploads):
        if (part.size or 0) > MAX_IMAGE_BYTES:
            fault = Fault(("body", "file", position), "too-large", f"at most {MAX_IMAGE_BYTES} bytes")
            raise PayloadTooLarge("An image file is too large.", errors=[fault])
        files.append(((part.filename or "")[:200], await part.read()))
    return Asked(await _spec_part(form.get("spec")), files=tuple(files))


async def _spec_part(part: object) -> dict[str, Any]:
    if part is None:
        return {}
    text = await part.read() if isinstance(part, UploadFile) else str(part).encode()
    value = parse_json(text)
    if not isinstance(value, dict):
        raise MalformedJson("The `spec` part is not a JSON object.")
    return value


def keep_inputs(
    store: Store, project_id: str, model_id: str, asked: Asked
) -> tuple[list[dict[str, Any]], list[Artifact]]:
    """What the row says of its inputs, and the artifacts to attach to it as `inputs/<index>`.

    Raises:
        ImageError, BudgetExceeded: as `check_images`.
        UnknownReference, Conflict, Invalid: as `choose_samples`.
    """
    if asked.dataset is not None:
        return choose_samples(store, project_id, model_id, asked.dataset), []
    check_images(asked.files)
    return store_images(store, asked.files)


def check_images(files: Sequence[tuple[str, bytes]]) -> None:
    """Looks at every image's header.

    Raises:
        ImageError: of the first that is refused, naming it.
        BudgetExceeded: they have too many pixels together.
    """
    pixels = 0
    for position, (_, data) in enumerate(files):
        try:
            width, height = open_image(data).size
            pixels += width * height
        except ImageError as error:
            fault = Fault(("body", "file", position), error.slug, error.detail)
            raise type(error)(error.detail, errors=[fault]) from error
    if pixels > MAX_REQUEST_PIXELS:
        raise BudgetExceeded(f"At most {MAX_REQUEST_PIXELS} pixels are taken in one request.")


def store_images(store: Store, files: Sequence[tuple[str, bytes]]) -> tuple[list[dict[str, Any]], list[Artifact]]:
    """Keeps uploaded images; returns what rows say of them, and the artifacts to attach as `inputs/<index>`."""
    artifacts = [store.artifacts.hold(data, "application/octet-stream") for _, data in files]
    rows = [
        {"name": name, "sha256": artifact.sha256, "truncated": False}
        for (name, _), artifact in zip(files, artifacts, strict=True)
    ]
    return rows, artifacts


def choose_samples(store: Store, project_id: str, model_id: str, choice: DatasetInputs) -> list[dict[str, Any]]:
    """Samples of a dataset, of the split that the model's own trial dealt.

    Raises:
        UnknownReference, Conflict: the dataset is unknown, or not ready.
        Invalid: a split is asked of a dataset that the model was not trained on.
    """
    with store.read() as work:
        dataset = work.datasets.find(project_id, choice.dataset_id)
        if dataset is None:
            fault = Fault(("body", "dataset_id"), "unknown-reference", "no such dataset")
            raise UnknownReference("The dataset is unknown.", errors=[fault])
        listing = work.artifacts.find(dataset.id, MANIFEST)
        if dataset.state != "ready" or listing is None:
            raise Conflict(f"The dataset is `{dataset.state}`; it can be used once it is `ready`.")
        dealt = work.artifacts.find(model_id, SPLIT_ARTIFACT)
        model = work.models.get(model_id)
        job = work.jobs.find(project_id, model.job_id) if model else None
        is_own = job is not None and job.dataset_digest == dataset.digest
    samples = Manifest.model_validate_json(store.artifacts.read_bytes(listing)).samples
    if choice.split is not None:
        if not is_own or dealt is None:
            fault = Fault(("body", "split"), "other-dataset", "the model's job dealt no split of this dataset")
            raise Invalid("The split is unknown.", errors=[fault])
        wanted = set(json.loads(store.artifacts.read_bytes(dealt))[choice.split])
        samples = [sample for sample in samples if sample.path in wanted]
    return [
        {"name": sample.path, "sha256": sample.sha256, "truncated": False, "dataset_id": choice.dataset_id}
        for sample in samples[: choice.limit]
    ]


def multipart_or_json(spec_class: type[Spec]) -> dict[str, Any]:
    """OpenAPI's description of a body that comes either way."""
    fields = spec_class.model_json_schema(ref_template="#/components/schemas/{model}")
    fields.pop("$defs", None)
    choice = DatasetInputs.model_json_schema()
    form = {
        "type": "object",
        "required": ["file"],
        "properties": {
            "file": {"type": "array", "maxItems": MAX_INPUTS, "items": {"type": "string", "format": "binary"}},
            "spec": {"type": "string", "description": f"JSON of {spec_class.__name__}"},
        },
    }
    json_body = {
        "type": "object",
        "required": ["dataset_id", *fields.get("required", [])],
        "properties": {**choice["properties"], **fields.get("properties", {})},
        "additionalProperties": False,
    }
    content = {"multipart/form-data": {"schema": form}, "application/json": {"schema": json_body}}
    return {"x-multipart": True, "requestBody": {"required": True, "content": content}}
