"""
The HTTP policy point: one POST per question, as Open Policy Agent's data API takes it.

Source: openpolicyagent.org, REST API, "Get a Document (with Input)": ``{"input": ...}`` is answered 200 with
``{"result": ..., "decision_id": ...}``; without ``result`` the policy is undefined for this input.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import httpx2
from pydantic import SecretStr

from gateway.outgoing import checked_url
from loops.canonical import NotCanonical, canonical_json
from loops.errors import Rejected, Unavailable
from loops.guards import PolicyAnswer

#: Bytes a question and its answer may have.
QUESTION_MAX = 2 * 1024 * 1024
ANSWER_MAX = 64 * 1024

#: Characters of a policy's message, and of its decision's id, that are kept.
MESSAGE_MAX = 300
DECISION_ID_MAX = 100

_CODE = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.ASCII)


class HttpPolicyPoint:
    """
    A `PolicyPoint` at *url*.

    Args:
        url: https, or http on loopback.
        client: The caller's to make and to close.
        timeout_s: The longest one question may take, from connecting to the last byte read.
        token: Sent as a bearer token.

    Raises:
        ValueError: If *url* is not such; the message does not repeat it.
    """

    def __init__(
        self,
        url: str,
        client: httpx2.AsyncClient,
        *,
        timeout_s: float = 1.0,
        token: SecretStr | None = None,
        timer_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._url = checked_url(url, "a policy point's url")
        self._client = client
        self._timeout_s = timeout_s
        self._token = token
        self._timer_ns = timer_ns

    async def ask(self, question: Mapping[str, Any]) -> PolicyAnswer:
        """
        Return the decision on *question*.

        Raises:
            Unavailable: On no connection, a time-out, or any status but 200.
            Rejected: If the question cannot be sent, or the answer is not a decision.
        """
        began = self._timer_ns()
        host = self._url.host
        request = self._client.build_request(
            "POST", self._url, content=_body(question), headers=self._headers(), timeout=self._timeout_s
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                status, answer = await self._exchange(request)
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise Unavailable(f"{host} did not answer within {self._timeout_s:g} s") from error
        except httpx2.HTTPError as error:
            raise Unavailable(f"{host} cannot be reached: {type(error).__name__}") from error
        if status != 200:
            raise Unavailable(f"{host} answered {status}")
        return _decision(answer, host, latency_us=max((self._timer_ns() - began) // 1_000, 0))

    async def _exchange(self, request: httpx2.Request) -> tuple[int, bytes]:
        response = await self._client.send(request, stream=True, follow_redirects=False)
        try:
            kept = bytearray()
            async for chunk in response.aiter_raw():
                kept += chunk
                if len(kept) > ANSWER_MAX:
                    raise Rejected(f"{self._url.host} answered with more than {ANSWER_MAX} bytes")
        finally:
            await response.aclose()
        return response.status_code, bytes(kept)

    def _headers(self) -> dict[str, str]:
        # Read as it comes: what is compressed may unpack to any size.
        headers = {"content-type": "application/json", "accept": "application/json", "accept-encoding": "identity"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token.get_secret_value()}"
        return headers


def _body(question: Mapping[str, Any]) -> bytes:
    try:
        body = canonical_json({"input": question})
    except NotCanonical as error:
        raise Rejected(f"the question has no JSON form: {error}") from error
    if len(body) > QUESTION_MAX:
        raise Rejected(f"the question has {len(body)} bytes; at most {QUESTION_MAX} are sent")
    return body


def _decision(answer: bytes, host: str, *, latency_us: int) -> PolicyAnswer:
    try:
        read = json.loads(answer, object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Rejected(f"{host} answered with what is not JSON") from error
    if not isinstance(read, dict):
        raise Rejected(f"{host} answered with what is no decision")
    decision_id = _line(read.get("decision_id"), DECISION_ID_MAX)
    match read.get("result"):
        case None:
            undefined = "the policy says nothing about this, so it is denied"
            return PolicyAnswer(False, "policy_undefined", undefined, decision_id, latency_us)
        case bool() as allow:
            return PolicyAnswer(allow, decision_id=decision_id, latency_us=latency_us)
        case {"allow": bool() as allow, **said}:
            code = said.get("code")
            known = code if isinstance(code, str) and _CODE.fullmatch(code) else None
            return PolicyAnswer(allow, known, _line(said.get("message"), MESSAGE_MAX), decision_id, latency_us)
        case _:
            raise Rejected(f"{host} answered with a result that is neither true, false nor an object with 'allow'")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two values under one key every reader may take another: that is no decision.
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a key stands twice")
    return read


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _line(text: Any, most: int) -> str | None:
    if not isinstance(text, str):
        return None
    return "".join(c if c.isprintable() else " " for c in text).strip()[:most] or None
