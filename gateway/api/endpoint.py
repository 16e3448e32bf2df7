"""
An endpoint: one line of the API's table, and how a request comes to its handler.

Who is calling, how often they may, what they sent: all of that is judged here, the same for every endpoint, and before
a handler runs.
"""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from urllib.parse import parse_qsl

import structlog
from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.api.keys import TOKEN, ApiKey, Scope, digest_of
from gateway.api.ports import Keys, Rate
from gateway.api.problems import Problem, deferral
from gateway.backpressure import always
from gateway.intake.payload import Malformed, read_payload
from loops.errors import Rejected, Unavailable
from loops.problems import at, misfits
from loops.values import Value

log = structlog.stdlib.get_logger()

#: Bytes a request's body may have.
BODY_MAX = 512 * 1024

#: How long a caller may take over its body, in seconds.
BODY_DEADLINE_S = 10.0

#: What every answer says to browsers and caches. Source: owasp.org, Secure Headers Project; the API serves no page.
SECURITY_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
_NUMBERED = {"string_type": "must be text", "int_parsing": "must be a whole number"}

Method = Literal["GET", "POST", "DELETE"]


@dataclass(frozen=True, slots=True)
class Call:
    """A request as a handler gets it. `key` is the engine's idempotency key, made of the caller's and the header."""

    caller: ApiKey
    path: Mapping[str, str]
    query: Any
    body: Any
    key: str | None
    request: Request

    @property
    def tenant(self) -> str:
        """The tenant that all of this is about: no call can name another."""
        return self.caller.tenant


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler answers: a status of its endpoint's `answers`, and the value that goes with it."""

    body: Value | Response
    status: int = 200


Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    What there is at one method and path.

    Any of `scopes` is enough. `query` and `body` are what a request may say, None for nothing. `answers` are the
    models of its good answers by status, `refusals` its codes of refusal by status, for the document. One that
    `opens_work` is let in only while there is room for more to do.
    """

    method: Method
    path: str
    summary: str
    scopes: tuple[Scope, ...]
    handle: Handler
    answers: Mapping[int, type[Value] | str]
    query: type[Value] | None = None
    body: type[Value] | None = None
    refusals: Mapping[int, Sequence[str]] = field(default_factory=dict)
    tag: str = "loops"
    opens_work: bool = False

    @property
    def name(self) -> str:
        """The operation's id in the document, such as ``startLoop``."""
        words = self.handle.__name__.split("_")
        return words[0] + "".join(word.capitalize() for word in words[1:])


@dataclass(frozen=True, slots=True)
class Door:
    """
    What stands before every endpoint: keys, limits in requests a minute, the clock.

    *let_in* is asked before a handler that opens work, and raises `Unavailable` where there is enough: the engine has
    not heard of the request, so its Idempotency-Key is as good as new.
    """

    keys: Keys
    now: Callable[[], datetime]
    key_limit: int = 600
    tenant_limit: int = 6_000
    body_deadline_s: float = BODY_DEADLINE_S
    let_in: Callable[[], Awaitable[None]] = always

    def route(self, endpoint: Endpoint) -> Route:
        """Return *endpoint* as a route."""

        async def serve(request: Request) -> Response:
            request_id = _request_id(request)
            headers = {**SECURITY_HEADERS, "x-request-id": request_id}
            with structlog.contextvars.bound_contextvars(request_id=request_id):
                answer = await self._answered(endpoint, request, headers)
                log.info("api.answered", operation=endpoint.name, status=answer.status_code)
            for name, value in headers.items():
                answer.headers.setdefault(name, value)
            return answer

        return Route(endpoint.path, serve, methods=[endpoint.method], name=endpoint.name)

    async def _answered(self, endpoint: Endpoint, request: Request, headers: dict[str, str]) -> Response:
        try:
            caller = await self._admitted(endpoint, request, headers)
            call = Call(
                caller=caller,
                path=request.path_params,
                query=_query(endpoint, request),
                body=await self._body(endpoint, request),
                key=_engine_key(endpoint, request, caller),
                request=request,
            )
            if endpoint.opens_work:
                await self.let_in()
            answer = await endpoint.handle(call)
        except Problem as problem:
            return problem.answer()
        except Unavailable as error:
            log.warning("api.deferred", error=type(error).__name__)
            return deferral(error).answer()
        except Rejected as error:
            return Problem(422, "bad_request", str(error)).answer()
        except ClientDisconnect:
            return Response(status_code=400)
        if isinstance(answer.body, Response):
            return answer.body
        return JSONResponse(answer.body.as_json(), answer.status)

    async def _admitted(self, endpoint: Endpoint, request: Request, headers: dict[str, str]) -> ApiKey:
        """Return the caller's key, or raise 401, then 403, then 429."""
        token = _token(request)
        digest = digest_of(token)
        presented = await self.keys.present(digest, key_limit=self.key_limit, tenant_limit=self.tenant_limit)
        if presented is None:
            raise _unknown("no key has this token")
        if objection := presented.key.objection(digest, self.now()):
            raise _unknown(objection)
        if not presented.key.may(endpoint.scopes):
            wanted = " or ".join(endpoint.scopes)
            raise Problem(403, "missing_scope", f"this needs a key with the scope {wanted}")
        tightest = min(presented.of_key, presented.of_tenant, key=lambda rate: rate.remaining)
        headers |= _rate_headers(presented.of_key, presented.of_tenant)
        if tightest.is_exceeded:
            whose = "the key" if presented.of_key.is_exceeded else "the tenant"
            told = f"{whose} may make {tightest.limit} requests a minute"
            raise Problem(429, "rate_limited", told, headers={"retry-after": str(tightest.reset_s)})
        return presented.key

    async def _body(self, endpoint: Endpoint, request: Request) -> Value | None:
        raw = await self._read(request)
        if endpoint.body is None:
            if raw:
                raise Problem(422, "bad_request", "this takes no body", {"body": "must be empty"})
            return None
        _check_content_type(request)
        try:
            data = read_payload(raw)
        except Malformed as error:
            raise Problem(400, "malformed", str(error)) from error
        if wrong := {at(*place) or "body": problem.message for place, problem in misfits(endpoint.body, data)}:
            raise Problem(422, "bad_request", "the body is not what this takes", wrong)
        try:
            return endpoint.body.model_validate(data)
        except ValidationError as error:
            raise Problem(422, "bad_request", "the body is not what this takes", _said(error)) from error

    async def _read(self, request: Request) -> bytes:
        declared = request.headers.get("content-length", "0")
        too_large = Problem(413, "too_large", f"the body may have at most {BODY_MAX} bytes")
        if not (declared.isascii() and declared.isdecimal()) or int(declared[:20]) > BODY_MAX:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(self.body_deadline_s):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > BODY_MAX:
                        raise too_large
        except TimeoutError as error:
            told = f"the body did not arrive within {self.body_deadline_s:g} s"
            raise Problem(408, "too_slow", told) from error
        return bytes(body)


def _request_id(request: Request) -> str:
    """Return the caller's own id for this request where it is one, else a fresh one."""
    given = request.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else f"rq_{secrets.token_hex(8)}"


def _token(request: Request) -> str:
    given = request.headers.getlist("authorization")
    word, _, token = (given[0] if len(given) == 1 else "").partition(" ")
    if word.lower() != "bearer" or not TOKEN.fullmatch(token.strip()):
        raise _unknown("send 'Authorization: Bearer le_...', with the token that `loopgate keys create` printed")
    return token.strip()


def _unknown(error: str) -> Problem:
    return Problem(401, "unauthenticated", error, headers={"www-authenticate": 'Bearer realm="loopgate"'})


def _rate_headers(of_key: Rate, of_tenant: Rate) -> dict[str, str]:
    # Source: draft-ietf-httpapi-ratelimit-headers, sections 2 and 3.
    policies = ", ".join(f'"{name}";q={rate.limit};w=60' for name, rate in (("key", of_key), ("tenant", of_tenant)))
    states = ", ".join(
        f'"{name}";r={max(rate.remaining, 0)};t={rate.reset_s}'
        for name, rate in (("key", of_key), ("tenant", of_tenant))
    )
    return {"ratelimit-policy": policies, "ratelimit": states}


def _check_content_type(request: Request) -> None:
    kind, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    if kind.strip() != "application/json" or ("charset" in parameters and "utf-8" not in parameters):
        wanted = "must be application/json in UTF-8"
        raise Problem(415, "unsupported_media_type", f"the body {wanted}", {"content-type": wanted})
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "unsupported_media_type", "the body must not be compressed")


def _query(endpoint: Endpoint, request: Request) -> Value | None:
    try:
        given = parse_qsl(request.url.query, keep_blank_values=True, max_num_fields=32, errors="strict")
    except ValueError as error:
        raise Problem(422, "bad_request", "the query cannot be read") from error
    names = [name for name, _ in given]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise Problem(422, "bad_request", "the query says something twice", {repeated: "must stand there once"})
    known = {info.alias or name for name, info in endpoint.query.model_fields.items()} if endpoint.query else set()
    if unknown := [name for name in names if name not in known]:
        taken = f"; it takes {', '.join(sorted(known))}" if known else ""
        raise Problem(422, "bad_request", f"the query says what this does not take{taken}", {unknown[0]: "is unknown"})
    if endpoint.query is None:
        return None
    try:
        return endpoint.query.model_validate(dict(given))
    except ValidationError as error:
        raise Problem(422, "bad_request", "the query is not what this takes", _said(error)) from error


def _engine_key(endpoint: Endpoint, request: Request, caller: ApiKey) -> str | None:
    given = request.headers.getlist("idempotency-key")
    if not given or endpoint.method != "POST":
        return None
    if len(given) > 1 or not _IDEMPOTENCY_KEY.fullmatch(given[0]):
        wanted = "must stand there once, in 1 to 255 visible ASCII characters"
        raise Problem(422, "bad_request", f"Idempotency-Key {wanted}", {"Idempotency-Key": wanted})
    return f"api:{caller.key_id}:{given[0]}"


def _said(error: ValidationError) -> dict[str, str]:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return {at(*each["loc"]) or "body": _NUMBERED.get(each["type"], each["msg"]) for each in found}
