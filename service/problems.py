"""Errors → RFC 9457 problem documents. The only place that knows status codes."""

import logging
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from service.errors import BadRange, Conflict, Fault, Invalid, ServiceError, Unavailable, UploadTimeout

log = logging.getLogger(__name__)

STATUS: dict[str, int] = {
    "unauthenticated": 401,
    "insufficient-scope": 403,
    "quota-exceeded": 403,
    "not-found": 404,
    "method-not-allowed": 405,
    "upload-timeout": 408,
    "conflict": 409,
    "payload-too-large": 413,
    "unsupported-media-type": 415,
    "bad-range": 416,
    "malformed-json": 400,
    "malformed-multipart": 400,
    "bad-host": 400,
    "rate-limited": 429,
    "too-many-streams": 429,
    "internal": 500,
    "unavailable": 503,
}
UNPROCESSABLE = 422
RETRY_AFTER_SECONDS = "2"
SLUG_OF_STATUS = {400: "malformed-multipart", 404: "not-found", 405: "method-not-allowed", 413: "payload-too-large"}
MEDIA_TYPE = "application/problem+json"


class FaultDocument(BaseModel):
    """One field, file or row at fault."""

    loc: list[str | int]
    code: str
    message: str


class ProblemDocument(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int | None = None
    detail: str
    instance: str | None = None
    request_id: str | None = None
    errors: list[FaultDocument] | None = None


def status_of(slug: str) -> int:
    """The status code of a slug; whatever is not listed is the client's input."""
    return STATUS.get(slug, UNPROCESSABLE)


def problem_response(
    request: Request, problem: Mapping[str, Any], *, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """A problem document as an answer to `request`."""
    slug = str(problem["type"]).rpartition("/")[2]
    status = status_of(slug)
    document = {
        **{key: problem[key] for key in ("type", "title")},
        "status": status,
        "detail": problem["detail"],
        "instance": request.scope["path"],
        "request_id": request.scope.get("state", {}).get("request_id"),
    }
    if problem.get("errors"):
        document["errors"] = problem["errors"]
    extra = {**(headers or {}), "X-Request-ID": str(document["request_id"])}
    if status == 401:
        extra["WWW-Authenticate"] = 'Bearer realm="tunelens"'
    if status == 503:
        extra["Retry-After"] = RETRY_AFTER_SECONDS
    return JSONResponse(document, status_code=status, media_type=MEDIA_TYPE, headers=extra)


def error_docs(*errors: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's `responses` for the errors of one route, beside those every route can give."""
    docs: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        status = status_of(error.slug)
        known = docs.get(status, {}).get("description", "")
        description = f"{known} `{error.slug}`: {error.title}.".strip()
        docs[status] = {
            "description": description,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
    return docs


def install_handlers(app: FastAPI) -> None:
    """Turns everything that a route can raise into a problem document."""

    async def service_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ServiceError)
        if error.slug == "internal":
            log.error("internal error: %s", error.detail, exc_info=error)
        return problem_response(request, error.to_problem(), headers=_headers_of(error))

    async def validation(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return problem_response(request, invalid(error.errors()).to_problem())

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        slug = SLUG_OF_STATUS.get(error.status_code, "internal")
        title = HTTPStatus(error.status_code).phrase
        problem = {"type": f"/problems/{slug}", "title": title, "detail": _http_detail(error.status_code)}
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(sorted(_methods_served(request.app.openapi(), request.scope["path"])))
        return problem_response(request, problem, headers=headers)

    app.add_exception_handler(ServiceError, service_error)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http)
    for error_class, told in TOLD_AS.items():
        app.add_exception_handler(error_class, _teller(told))


def _headers_of(error: ServiceError) -> dict[str, str]:
    if isinstance(error, BadRange):
        return {"Content-Range": f"bytes */{error.size_bytes}"}
    if error.retry_after_seconds is not None:
        return {"Retry-After": str(error.retry_after_seconds)}
    return {}


TOLD_AS: dict[type[Exception], ServiceError] = {
    ClientDisconnect: UploadTimeout("The client went away before the body was whole."),
    OperationalError: Unavailable("The database does not answer."),
    PoolTimeout: Unavailable("The database has no connection to spare."),
    DataError: Invalid("The request holds text that cannot be kept."),
    IntegrityError: Conflict("The resource was changed at the same moment."),
    OSError: Unavailable("The storage does not answer, or is full."),
}
"""What clients are told of errors that are not ours; the log has the rest."""


def _teller(told: ServiceError) -> Callable[[Request, Exception], Coroutine[Any, Any, JSONResponse]]:
    async def tell(request: Request, error: Exception) -> JSONResponse:
        if told.slug in ("unavailable", "conflict"):
            log.error("%s: %s", told.slug, type(error).__name__, exc_info=error)
        return problem_response(request, told.to_problem())

    return tell


INTERNAL = ServiceError("The service failed; the log has the reason.").to_problem()
"""Of whatever is not foreseen; `service.middleware` answers it, so that it is framed and counted as other answers."""


def invalid_body(error: ValidationError, *place: str | int) -> ServiceError:
    """Pydantic's errors about what stands at `place` of the body."""
    return invalid([{**fault, "loc": ("body", *place, *fault["loc"])} for fault in error.errors()])


def invalid(errors: Sequence[Any]) -> ServiceError:
    """Pydantic's errors as `validation`, without the input that they carry."""
    faults = []
    for error in errors[:100]:
        field = error.get("ctx", {}).get("field")  # of `service.specs.base.broken_rule`
        path = (*error["loc"], *(field.split(".") if field else ()))
        loc = tuple(part if isinstance(part, int) else str(part)[:100] for part in path)
        code = "unknown-field" if error["type"] == "extra_forbidden" else str(error["type"]).replace("_", "-")
        faults.append(Fault(loc, code, str(error["msg"])[:500]))
    named = ", ".join(".".join(str(part) for part in fault.loc) for fault in faults[:3])
    return Invalid(f"{len(errors)} field(s) are not valid: {named}.", errors=faults)


def _methods_served(document: Mapping[str, Any], path: str) -> set[str]:
    """All methods of a path; Starlette names those of the first route only."""
    served: set[str] = set()
    for template, methods in document["paths"].items():
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path):
            served |= {method.upper() for method in methods}
    return served


def _http_detail(status: int) -> str:
    if status == 404:
        return NO_SUCH
    if status == 405:
        return "This method is not served at this path; the Allow header names those that are."
    return "The body could not be read."


NO_SUCH = "There is nothing at this path."
