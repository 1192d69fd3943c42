"""The door of every route: the key first, then the body, read strictly; repeats answered from the first answer."""

from collections.abc import Callable
from typing import Any, ClassVar

from fastapi.routing import APIRoute, APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from service.auth import Caller, authenticate
from service.errors import BadInput, Fault, Invalid, MalformedJson, NotFound, TooManyItems, UnsupportedMediaType
from service.once import Handler, answer_once
from service.rates import Rates
from service.specs.explanations import MAX_INPUTS
from service.specs.strict_json import NotStrict, read_json

MAX_DEPTH = 32
MAX_FORM_FILES = MAX_INPUTS + 1
"""The spec may come as a file as well."""
MAX_FORM_FIELDS = 16


class MalformedMultipart(BadInput):
    """The multipart body cannot be parsed."""

    slug, title = "malformed-multipart", "The multipart body is not acceptable"


class StrictRequest(Request):
    """JSON as the contract takes it: finite, shallow, no doubled keys, no endless integers."""

    async def json(self) -> Any:
        """The parsed body; raises `MalformedJson`."""
        if not hasattr(self, "_strict_json"):
            self._strict_json = parse_json(await self.body())
        return self._strict_json


class Door(APIRoute):
    """Authenticates before a byte of the body is read; says in the OpenAPI document which scope it asks for."""

    scopes: ClassVar[tuple[str, str]] = ("read", "write")
    """To look, and to do."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.scope = self.scopes[0] if set(options["methods"]) <= {"GET", "HEAD"} else self.scopes[1]
        options["openapi_extra"] = {**(options.get("openapi_extra") or {}), "x-scope": self.scope}
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Handler:
        """Wraps FastAPI's handler."""
        inner = super().get_route_handler()
        takes_json = self.body_field is not None and not _is_form(self)

        async def handle(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            caller = await run_in_threadpool(known_caller, strict)
            rates: Rates = strict.app.state.rates
            strict.state.rate_headers = rates.take(caller.key_id)
            caller.require(self.scope)
            if "\0" in strict.scope["path"]:
                raise NotFound("There is nothing at this path.")  # PostgreSQL takes no such text
            try:
                await _read_body(strict, takes_json=takes_json, takes_form=_is_form(self))
                _check_form(strict, self)
                key = strict.headers.get("idempotency-key")
                if strict.method != "POST" or key is None:
                    return await inner(strict)
                return await answer_once(strict, caller.project_id, key, inner)
            finally:
                await strict.close()  # the form's temporary files

        return handle


class AdminDoor(Door):
    """Opens to admin keys alone."""

    scopes = ("admin", "admin")


def door_router(prefix: str, tag: str, door: type[Door] = Door) -> APIRouter:
    """A feature's router; all of its routes have the door."""
    return APIRouter(prefix=prefix, tags=[tag], route_class=door)


def known_caller(request: Request) -> Caller:
    """The request's caller, looked up once; raises `Unauthenticated`."""
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:
        caller = authenticate(request.app.state.store, request.headers.get("authorization"))
        request.state.caller = caller
    return caller


def parse_json(body: bytes) -> Any:
    """A body's value; raises `MalformedJson`."""
    try:
        return read_json(body, max_depth=MAX_DEPTH, constants=True)
    except NotStrict as error:
        raise MalformedJson(f"The body {error}.") from error
    except ValueError as error:
        raise MalformedJson("The body is not valid JSON in UTF-8.") from error


def _is_form(route: APIRoute) -> bool:
    return bool(route.openapi_extra and route.openapi_extra.get("x-multipart")) or any(
        "multipart" in getattr(field.field_info, "media_type", "") for field in route.dependant.body_params
    )


async def _read_body(request: StrictRequest, *, takes_json: bool, takes_form: bool) -> None:
    """Parses the body once, outside FastAPI's own catch-all, so that our errors stay ours."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data" and not takes_form:
        raise UnsupportedMediaType("No form is taken here.")
    if media_type == "multipart/form-data":
        await _read_form(request)
        return
    if takes_form and not _also_json(request):
        raise UnsupportedMediaType("Send multipart/form-data.")
    if takes_json or takes_form:
        if media_type != "application/json" and not (media_type == "" and not await request.body()):
            raise UnsupportedMediaType("Send application/json.")
        if await request.body():
            await request.json()
    elif await request.body() and media_type == "application/json":
        await request.json()


async def _read_form(request: StrictRequest) -> None:
    try:
        form = await request.form(max_files=MAX_FORM_FILES, max_fields=MAX_FORM_FIELDS)
        for name, part in form.multi_items():
            f"{name}{part if isinstance(part, str) else part.filename}".encode()
    except ClientDisconnect:
        raise
    except HTTPException as error:
        if _also_json(request) and error.detail.startswith("Too many files"):
            raise TooManyItems(f"At most {MAX_INPUTS} inputs are taken in one request.") from error
        raise MalformedMultipart("The multipart body cannot be parsed, or has too many parts.") from error
    except (ValueError, KeyError, AssertionError) as error:
        raise MalformedMultipart("The multipart body cannot be parsed.") from error


def _check_form(request: StrictRequest, route: APIRoute) -> None:
    """FastAPI passes over unknown parts of a form, and takes the last of several with one name."""
    form: FormData | None = getattr(request, "_form", None)
    if form is None or _also_json(request):
        return
    assert route.body_field is not None, "the route takes a form"
    body = route.body_field.field_info.annotation  # a model of the parts that the route and its dependencies take
    known = set(getattr(body, "model_fields", ()))
    names = [name for name, _ in form.multi_items()]
    faults = [Fault(("body",), "unknown-field", "a part of an unknown name")] if set(names) - known else []
    if len(set(names)) != len(names):
        faults.append(Fault(("body",), "repeated-field", "two parts of the same name"))
    if faults:
        raise Invalid("The form's parts are not valid.", errors=faults)


def _also_json(request: Request) -> bool:
    extra = request.scope["route"].openapi_extra or {}
    return "application/json" in extra.get("requestBody", {}).get("content", {})
