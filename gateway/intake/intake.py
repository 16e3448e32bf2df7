"""The endpoint `POST /webhooks/{source}`: verified, read strictly, mapped, de-duplicated by the engine, answered."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import assert_never

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.backpressure import TooMuchWaits, always
from gateway.intake.answers import NotTaken, answer, told
from gateway.intake.config import SourceConfig
from gateway.intake.mapping import (
    CancelCommand,
    Command,
    Ignored,
    Problems,
    SignalCommand,
    StartCommand,
    delivery_id,
    interpret,
)
from gateway.intake.payload import ContentType, Malformed, read_payload
from gateway.intake.ports import Engine
from gateway.intake.sources import Source
from gateway.intake.verify import Unverified
from loops.errors import Unavailable
from loops.outcomes import Executed, Recorded, Refused

log = structlog.stdlib.get_logger()

#: How long a sender may take over its body, in seconds.
BODY_DEADLINE_S = 10.0

#: When a sender should come back while the store is away, in seconds.
RETRY_AFTER_S = 2

_CONTENT_TYPES: Mapping[ContentType, str] = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
}


def intake_routes(
    sources: Mapping[str, Source],
    engine: Engine,
    *,
    let_in: Callable[[], Awaitable[None]] = always,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    body_deadline_s: float = BODY_DEADLINE_S,
    answered: Callable[[str, int], None] = lambda _source, _status: None,
) -> list[Route]:
    """
    Return the routes of intake, to be mounted at the root. *answered* is told of every answer to a known source.

    *let_in* is asked before anything that makes more to do, and raises `Unavailable` where there is enough. A
    cancellation only makes less, and is always taken.

    Answers are JSON. 202 ``started``, ``signalled`` or ``cancelled`` and 200 ``duplicate`` or ``ignored`` are final.
    401, 404, 413, 415, 400, 422, 409 and 403 say ``{error, fields}``. 503, which says ``{error, code}``, and 408 mean:
    again, the same delivery.
    """

    async def receive(request: Request) -> Response:
        name = request.path_params["source"]
        try:
            source = sources.get(name)
            if source is None:
                raise NotTaken(404, "there is no such source; its name must stand under sources in loopgate.yaml", {})
            content_type = _content_type(request, source.config)
            body = await _body(request, source.config.body_limit, body_deadline_s)
            # The time is taken after the body: a slow sender must not look fresher than it is.
            response = await _delivered(source, request.headers.raw, content_type, body, engine, let_in, now())
        except NotTaken as refusal:
            response = told(refusal)
        except ClientDisconnect:
            response = Response(status_code=400)
        log.info("delivery.answered", source=name if name in sources else None, status=response.status_code)
        if name in sources:
            answered(name, response.status_code)
        return response

    return [Route("/webhooks/{source}", receive, methods=["POST"])]


async def _delivered(
    source: Source,
    raw: Sequence[tuple[bytes, bytes]],
    content_type: ContentType,
    body: bytes,
    engine: Engine,
    let_in: Callable[[], Awaitable[None]],
    now: datetime,
) -> Response:
    headers = [(key.decode("latin-1").lower(), value.decode("latin-1")) for key, value in raw]
    try:
        scheme_id = source.verifier.verify(headers, body, now)
        payload = read_payload(body, content_type)
    except Unverified as error:
        raise NotTaken(401, str(error), {}) from error
    except Malformed as error:
        raise NotTaken(400, str(error), {}) from error
    meaning = interpret(source.config, payload, dict(headers))
    if isinstance(meaning, Ignored):
        return JSONResponse({"status": "ignored", "reason": meaning.reason})
    named = delivery_id(source.config, scheme_id, payload, dict(headers), body)
    if isinstance(meaning, Problems) or isinstance(named, Problems):
        wrong = [each.fields for each in (meaning, named) if isinstance(each, Problems)]
        fields = {path: reason for each in wrong for path, reason in each.items()}
        raise NotTaken(422, "the delivery lacks what the source's rule needs", fields)
    key = f"webhook:{source.config.tenant}:{source.name}:{named}"
    try:
        if not isinstance(meaning, CancelCommand):
            await let_in()
        outcome = await _commanded(engine, meaning, source.config.tenant, key)
    except Unavailable as error:
        log.warning("delivery.deferred", error=type(error).__name__)
        wait = max(1, math.ceil(error.retry_after or RETRY_AFTER_S))
        code, why = "unavailable", "the delivery could not be recorded; send the same again"
        if isinstance(error, TooMuchWaits):
            code, why = error.code, error.told
        raise NotTaken(503, why, {}, code=code, retry_after=wait) from error
    return answer(meaning, outcome, named)


def _content_type(request: Request, config: SourceConfig) -> ContentType:
    """Return what the body says it is. Raises 415 for what this source does not take."""
    kind, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    kind = kind.strip()
    if kind.startswith("application/") and kind.endswith("+json"):
        kind = _CONTENT_TYPES["json"]
    found = next((name for name in config.content_types if _CONTENT_TYPES[name] == kind), None)
    if found is None:
        taken = " or ".join(_CONTENT_TYPES[name] for name in config.content_types)
        raise NotTaken(415, f"the body must be {taken}", {"content-type": f"must be {taken}"})
    if "charset" in parameters and "utf-8" not in parameters:
        raise NotTaken(415, "the body must be UTF-8", {"content-type": "must be UTF-8"})
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise NotTaken(415, "the body must not be compressed", {"content-encoding": "must be absent"})
    return found


async def _body(request: Request, limit: int, deadline_s: float) -> bytes:
    too_large = NotTaken(413, f"the body may have at most {limit} bytes", {})
    declared = request.headers.get("content-length", "0")
    if not (declared.isascii() and declared.isdecimal()) or int(declared[:20]) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(deadline_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise too_large
    except TimeoutError as error:
        raise NotTaken(408, f"the body did not arrive within {deadline_s:g} s", {}) from error
    return bytes(body)


async def _commanded(engine: Engine, command: Command, tenant: str, key: str) -> Executed | Recorded | Refused:
    match command:
        case StartCommand():
            return await engine.start(
                tenant=tenant,
                loop_id=command.loop_id,
                aggregate_id=command.aggregate_id,
                data=command.data,
                actor=command.actor,
                correlation_id=command.correlation_id,
                idempotency_key=key,
            )
        case SignalCommand():
            return await engine.signal(
                tenant=tenant,
                aggregate_id=command.aggregate_id,
                signal=command.signal,
                actor=command.actor,
                evidence=command.evidence,
                idempotency_key=key,
            )
        case CancelCommand():
            return await engine.cancel(
                tenant=tenant,
                aggregate_id=command.aggregate_id,
                actor=command.actor,
                reason=command.reason,
                idempotency_key=key,
            )
        case _:
            assert_never(command)
