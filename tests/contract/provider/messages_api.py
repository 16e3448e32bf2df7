"""
A local server that speaks Anthropic's Messages API as far as a submission needs it, refusals included.

Source of shapes, statuses and headers: platform.claude.com, api/messages and api/errors; the SDK's own types.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from patience import PATIENCE_S
from serving import CutShort, served_in_a_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KEY = "sk-ant-test-key"

#: Models that refuse a forced tool call. Source: models/opus-5-5/whats-new-opus-5-5.
NO_FORCED_TOOLS = frozenset({"claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-5-1"})

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    529: "overloaded_error",
}


class MessagesApi:
    """Answers with `answer` as the model's words, in the form asked for; `script` replaces whole responses."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.answer: Any = {}
        self.raw_text: str | None = None
        self.stop_reason: str | None = None
        self.tool_name: str | None = None
        self.content: list[dict[str, Any]] | None = None
        self.model = "claude-answered-20261101"
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body: bytes | None = None
        self.fault: str | None = None
        self.url = ""
        self.release = threading.Event()
        self.app = Starlette(routes=[Route("/v1/messages", self._messages, methods=["POST"])])

    async def _messages(self, request: Request) -> Response:
        # SDKs up to 1.x send the key as x-api-key, 2.x as a bearer token; the API takes both.
        shown = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if shown != KEY:
            return self._error(401, "invalid x-api-key")
        if "anthropic-version" not in request.headers:
            return self._error(400, "anthropic-version: header is required")
        asked = await request.json()
        self.requests.append(asked)
        match self.fault:
            case "slow":
                await asyncio.to_thread(self.release.wait, PATIENCE_S)
            case "dropped":
                return CutShort()
            case _:
                pass
        if self.status != 200:
            return self._error(self.status, "as the test asked")
        if self.body is not None:
            return Response(self.body, headers={"content-type": "application/json", **self.headers})
        if refusal := self._refusal(asked):
            return self._error(400, refusal)
        # Not JSONResponse: it refuses the NaN that a test lets the model say.
        headers = {"content-type": "application/json", "request-id": "req_test"}
        return Response(json.dumps(self._message(asked)), headers=headers)

    def _refusal(self, asked: dict[str, Any]) -> str | None:
        for name in ("model", "max_tokens", "messages"):
            if name not in asked:
                return f"{name}: Field required"
        if asked.get("tool_choice", {}).get("type") in {"tool", "any"} and asked["model"] in NO_FORCED_TOOLS:
            return "tool_choice: forced tool use is not supported on this model"
        schema = asked.get("output_config", {}).get("format", {}).get("schema")
        if schema is not None and (problem := _unsupported(schema, "output_config.format.schema")):
            return problem
        return None

    def _message(self, asked: dict[str, Any]) -> dict[str, Any]:
        forced = "tool_choice" in asked
        content = self.content
        if content is None and forced:
            name = self.tool_name or asked["tool_choice"]["name"]
            content = [{"type": "tool_use", "id": "toolu_01", "name": name, "input": self.answer}]
        elif content is None:
            text = json.dumps(self.answer) if self.raw_text is None else self.raw_text
            content = [
                {"type": "thinking", "thinking": "", "signature": "sig"},
                {"type": "text", "text": text},
            ]
        return {
            "id": "msg_01",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": self.stop_reason or ("tool_use" if forced else "end_turn"),
            "stop_sequence": None,
            "usage": {"input_tokens": 100, "output_tokens": 50},
        }

    def _error(self, status: int, message: str) -> JSONResponse:
        body = {"type": "error", "error": {"type": ERROR_TYPES[status], "message": message}, "request_id": "req_test"}
        return JSONResponse(body, status_code=status, headers={"request-id": "req_test", **self.headers})


@contextmanager
def serving(api: MessagesApi) -> Iterator[MessagesApi]:
    """Serve *api* on a loopback port of its own, in a thread, for the length of the block."""
    with served_in_a_thread(api.app) as url:
        api.url = url
        try:
            yield api
        finally:
            api.release.set()


def _unsupported(schema: Any, place: str) -> str | None:
    """What structured outputs refuse in a schema. Source: build-with-claude/structured-outputs."""
    match schema:
        case {"type": "object"} if schema.get("additionalProperties") is not False:
            return f"{place}: For 'object' type, 'additionalProperties' must be explicitly set to false"
        case dict():
            for bound in ("minimum", "maximum", "minLength", "maxLength", "pattern"):
                if bound in schema and not isinstance(schema[bound], dict):
                    return f"{place}: property '{bound}' is not supported"
            parts = [(f"{place}.{key}", part) for key, part in schema.items()]
        case list():
            parts = [(f"{place}.{index}", part) for index, part in enumerate(schema)]
        case _:
            return None
    return next((problem for where, part in parts if (problem := _unsupported(part, where))), None)
