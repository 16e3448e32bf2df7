"""
Problems: what an API call is refused with. ``{error, code, fields?}``, never a traceback.

`error` is a sentence for people, `code` is for programs, `fields` says what is wrong with which part of the request.
"""

import math
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.backpressure import TooMuchWaits
from loops.errors import Unavailable
from loops.outcomes import Refused

#: When to come back while the store is away, in seconds.
RETRY_AFTER_S = 2

#: Characters of a reason that may repeat what was sent.
_REASON_MAX = 300

# How a refusal of the engine is answered, where it is not a conflict with how things stand (409).
_STATUS = {
    "unknown_loop": 404,
    "unknown_instance": 404,
    "unknown_request": 404,
    "bad_evidence": 422,
    "bad_request": 422,
    "idempotency_key_reused": 422,
    "unauthorized_actor": 403,
    "not_the_requester": 403,
}
_FIELD = {
    "unknown_loop": "loopId",
    "already_active": "aggregateId",
    "bad_evidence": "evidence",
    "idempotency_key_reused": "Idempotency-Key",
}
_UNROUTED = {
    404: ("not_found", "there is nothing at this address; /api/v1/docs lists what there is"),
    405: ("method_not_allowed", "this address takes other methods; the header Allow names them"),
}


class Problem(Exception):  # noqa: N818 - an answer, raised to where it is given
    """A refusal with its status."""

    def __init__(
        self,
        status: int,
        code: str,
        error: str,
        fields: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Take what is answered: *more* is put beside error, code and fields."""
        super().__init__(error)
        self.status, self.code, self.error = status, code, error
        self.fields, self.headers, self.more = fields or {}, headers or {}, more or {}

    def answer(self) -> Response:
        """Return the response."""
        body: dict[str, Any] = {"error": _bounded(self.error), "code": self.code}
        if self.fields:
            body["fields"] = {_bounded(path): _bounded(reason) for path, reason in self.fields.items()}
        return JSONResponse(body | dict(self.more), self.status, dict(self.headers))


def refusal(refused: Refused) -> Problem:
    """Return the problem that says what the engine *refused*, and why; guards that objected are named."""
    field = _FIELD.get(refused.code)
    more: dict[str, Any] = {}
    if refused.failures:
        more["guardFailures"] = [
            {"guardId": each.guard_id, "code": each.code, "severity": each.severity, "message": each.message or ""}
            for each in refused.failures
        ]
    if instance := refused.instance:
        more |= {"aggregateId": instance.aggregate_id, "currentState": instance.state, "status": instance.status}
    return Problem(
        _STATUS.get(refused.code, 409),
        refused.code,
        refused.message,
        {field: refused.message} if field else None,
        more=more,
    )


def deferral(error: Unavailable) -> Problem:
    """Return the problem that says that this cannot be done now, and when to come again."""
    code, told = "unavailable", "this cannot be answered now; send it again, under the same Idempotency-Key"
    if isinstance(error, TooMuchWaits):
        code, told = error.code, error.told
    wait = max(1, math.ceil(error.retry_after or RETRY_AFTER_S))
    return Problem(503, code, told, headers={"retry-after": str(wait)})


async def unrouted(_: Request, error: Exception) -> Response:
    """Answer what no route takes, as every other refusal is answered."""
    status = error.status_code if isinstance(error, HTTPException) else 400
    headers = error.headers if isinstance(error, HTTPException) else None
    code, told = _UNROUTED.get(status, ("refused", "this cannot be answered"))
    return Problem(status, code, told, headers=headers).answer()


def _bounded(text: str) -> str:
    # What was sent may be in here: bounded, and writable as UTF-8 whatever it was.
    return text[:_REASON_MAX].encode(errors="backslashreplace").decode()
