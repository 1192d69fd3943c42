"""The body of a request to a model: its spec, and what it is about."""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.requests import Request

from service.errors import (
    BudgetExceeded,
    Conflict,
    CsvMalformed,
    DuplicateColumn,
    Fault,
    ImageAnimated,
    ImageCorrupt,
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
from service.problems import invalid_body
from service.routing import parse_json
from service.specs.explanations import MAX_INPUTS, MAX_SAMPLES, DatasetInputs

MAX_REQUEST_BYTES = 128 * 1024**2
MAX_SPEC_BYTES = 1024**2
INPUT_ERRORS = (
    *(BudgetExceeded, Conflict, CsvMalformed, DuplicateColumn, ImageAnimated, ImageCorrupt, ImageTooLarge, Invalid),
    *(MalformedJson, NotFound, PayloadTooLarge, TooManyItems, UnknownReference, UnsupportedImage, UnsupportedMediaType),
)
"""What asking a model can be refused with, whatever it is asked for."""


@dataclass(frozen=True)
class Asked:
    """A request's spec and inputs: files, values of JSON, or a choice from a dataset."""

    spec: dict[str, Any]
    files: tuple[tuple[str, bytes], ...] = ()
    values: tuple[Any, ...] = ()
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
        raise Invalid("Send files as multipart/form-data, or a JSON object with `inputs` or `dataset_id`.")
    if "inputs" in body:
        return _from_values(body)
    choice = {key: body.pop(key) for key in ("dataset_id", "split", "limit") if key in body}
    if isinstance(choice.get("limit"), int) and choice["limit"] > MAX_SAMPLES:
        raise TooManyItems(f"At most {MAX_SAMPLES} samples are taken in one request.")
    return Asked(body, dataset=checked(DatasetInputs, choice))


def checked(spec_class: type[Any], fields: object) -> Any:
    """A spec from parsed JSON; raises `Invalid` naming the fields."""
    try:
        return spec_class.model_validate(fields)
    except ValidationError as error:
        raise invalid_body(error) from error


def _from_values(body: dict[str, Any]) -> Asked:
    values = body.pop("inputs")
    others = [key for key in ("dataset_id", "split", "limit") if key in body]
    if others:
        faults = [Fault(("body", key), "two-sources", "not beside `inputs`") for key in others]
        raise Invalid("Inputs come with the request or from a dataset, not both.", errors=faults)
    if not isinstance(values, list) or not values:
        fault = Fault(("body", "inputs"), "list", f"a list of 1 to {MAX_INPUTS} rows or texts")
        raise Invalid("`inputs` is not a list with something in it.", errors=[fault])
    if len(values) > MAX_INPUTS:
        raise TooManyItems(f"At most {MAX_INPUTS} inputs are taken in one request.")
    return Asked(body, values=tuple(values))


async def _from_form(request: Request) -> Asked:
    form = await request.form()
    unknown = sorted(set(form.keys()) - {"file", "spec"})
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
        raise PayloadTooLarge(f"At most {MAX_REQUEST_BYTES} bytes of inputs are taken in one request.")
    if any("\0" in (part.filename or "") for part in uploads):
        raise Invalid("A file's name is no text.", errors=[Fault(("body", "file"), "name", "without NUL characters")])
    files = [((part.filename or "")[:200], await part.read()) for part in uploads]
    return Asked(await _spec_part(form.get("spec")), files=tuple(files))


async def _spec_part(part: object) -> dict[str, Any]:
    if part is None:
        return {}
    if isinstance(part, UploadFile) and (part.size or 0) > MAX_SPEC_BYTES:
        fault = Fault(("body", "spec"), "too-large", f"at most {MAX_SPEC_BYTES} bytes")
        raise PayloadTooLarge("The `spec` part is too large.", errors=[fault])
    text = await part.read() if isinstance(part, UploadFile) else str(part).encode()
    value = parse_json(text)
    if not isinstance(value, dict):
        raise MalformedJson("The `spec` part is not a JSON object.")
    return value
