"""`/api/{method}`: reads arguments, plays faults, checks token and rate, calls the method, logs the call."""

import asyncio
import hmac
import json
import secrets
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from channels.slack_sandbox.connections import break_connection
from channels.slack_sandbox.faults import Fault
from channels.slack_sandbox.methods.arguments import Arguments
from channels.slack_sandbox.methods.registry import METHODS
from channels.slack_sandbox.refusal import JsonObject, SlackRefusal
from channels.slack_sandbox.sandbox import Sandbox

#: Methods that take the app-level token instead of the bot's.
APP_LEVEL = frozenset({"apps.connections.open"})


async def call(request: Request) -> Response:
    """One Web API call, answered in Slack's shape."""
    sandbox: Sandbox = request.app.state.sandbox
    method = request.path_params["method"]
    started = time.perf_counter()
    given: JsonObject = {}
    too_early = sandbox.waits.too_early(method)
    fault = sandbox.faults.take_for_call(method)
    try:
        given = await _arguments(request)
        if fault is not None:
            await _play(fault, request)
        answer = {"ok": True, **_answer(sandbox, method, given, request)}
        response = JSONResponse(answer)
    except SlackRefusal as refusal:
        answer = refusal.body() | ({"req_method": method} if refusal.error == "unknown_method" else {})
        response = JSONResponse(answer, refusal.status)
        if refusal.retry_after_s is not None:
            response.headers["Retry-After"] = str(refusal.retry_after_s)
            sandbox.waits.tell(method, refusal.retry_after_s)
    response.headers["X-Slack-Req-Id"] = secrets.token_hex(16)
    response.headers["X-OAuth-Scopes"] = ",".join(sandbox.config.app.scopes)
    response.headers["Date"] = format_datetime(datetime.fromtimestamp(sandbox.clock.now(), UTC), usegmt=True)
    entry = _entry(sandbox, method, given, answer, status=response.status_code, started=started)
    sandbox.calls.append(entry | {"too_early": too_early})
    sandbox.feed.announce("call", call=entry)
    if fault is not None and fault.kind == "reset_after_accept":
        return break_connection(request)
    if fault is not None and fault.kind == "hang_after_accept":
        await asyncio.sleep(fault.delay_s)
    return response


def _answer(sandbox: Sandbox, method: str, given: JsonObject, request: Request) -> JsonObject:
    function = METHODS.get(method)
    if function is None:
        raise SlackRefusal("unknown_method")
    _check_token(sandbox, method, given, request)
    args = Arguments(given, origin=str(request.base_url).rstrip("/"))
    sandbox.limiter.check(method, args.text("channel"))
    return function(sandbox, args)


def _check_token(sandbox: Sandbox, method: str, given: JsonObject, request: Request) -> None:
    header = request.headers.get("authorization", "")
    token = header[7:].strip() if header[:7].casefold() == "bearer " else str(given.get("token") or "")
    if not token:
        raise SlackRefusal("not_authed")
    app = sandbox.config.app
    right, wrong = (app.app_token, app.bot_token) if method in APP_LEVEL else (app.bot_token, app.app_token)
    if not right or not hmac.compare_digest(token.encode(), right.encode()):
        is_of_the_other_kind = bool(wrong) and hmac.compare_digest(token.encode(), wrong.encode())
        raise SlackRefusal("not_allowed_token_type" if is_of_the_other_kind else "invalid_auth")
    if sandbox.token_error:
        raise SlackRefusal(sandbox.token_error)


async def _arguments(request: Request) -> JsonObject:
    given: JsonObject = dict(request.query_params)
    body = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().casefold()
    if not body:
        return given
    if kind == "application/json":
        try:
            posted = json.loads(body)
        except ValueError as error:
            raise SlackRefusal("invalid_json") from error
        if not isinstance(posted, dict):
            raise SlackRefusal("json_not_object")
        return given | posted
    if kind == "application/x-www-form-urlencoded":
        try:
            return given | dict(parse_qsl(body.decode(), keep_blank_values=True))
        except UnicodeDecodeError as error:
            raise SlackRefusal("invalid_charset") from error
    raise SlackRefusal("invalid_post_type")


async def _play(fault: Fault, request: Request) -> None:
    match fault.kind:
        case "429" | "ratelimited":
            raise SlackRefusal("ratelimited", status=429, retry_after_s=fault.retry_after_s)
        case "5xx":
            raise SlackRefusal("internal_error", status=fault.status)
        case "error":
            raise SlackRefusal(fault.error)
        case "slow":
            await asyncio.sleep(fault.delay_s)
        case "drop":
            break_connection(request)
            raise SlackRefusal("connection_dropped", status=503)
        case "reset_after_accept" | "hang_after_accept" | "duplicate" | "lost_ack":
            return


def _entry(
    sandbox: Sandbox, method: str, given: JsonObject, answer: JsonObject, *, status: int, started: float
) -> dict[str, Any]:
    return {
        "at": sandbox.clock.now(),
        "method": method,
        "args": {name: value for name, value in given.items() if name != "token"},
        "status": status,
        "ok": answer["ok"],
        "error": answer.get("error"),
        "messages": answer.get("errors", []),
        "ts": answer.get("ts") or answer.get("message_ts"),
        "ms": round((time.perf_counter() - started) * 1000, 2),
    }
