"""Answers: what a sender is told of its delivery."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from gateway.intake.mapping import CancelCommand, Command, SignalCommand, StartCommand
from loops.outcomes import Executed, Recorded, Refused

# Refusals that are not a conflict (409) with how the loop stands, and the field a refusal is about.
_STATUS = {
    "unknown_loop": 422,
    "bad_evidence": 422,
    "bad_request": 422,
    "idempotency_key_reused": 422,
    "unknown_instance": 404,
    "unauthorized_actor": 403,
}
_FIELD = {
    "unknown_loop": "loop",
    "already_active": "aggregateId",
    "unknown_instance": "aggregateId",
    "bad_evidence": "body",
    "idempotency_key_reused": "deliveryId",
}

_BECAME = {StartCommand: "started", SignalCommand: "signalled", CancelCommand: "cancelled"}

# Characters of a reason that may repeat what was sent.
_REASON_MAX = 300


class NotTaken(Exception):  # noqa: N818 - an answer, raised to where it is given
    """A delivery is not taken: the answer says why, and what is wrong with which part."""

    def __init__(
        self,
        status: int,
        error: str,
        fields: Mapping[str, str],
        *,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(error)
        self.status, self.error, self.fields, self.code, self.retry_after = status, error, fields, code, retry_after


def answer(command: Command, outcome: Executed | Recorded | Refused, named: str) -> Response:
    """Return what the sender is told of a delivery called *named* that came to *outcome*."""
    status = "refused" if isinstance(outcome, Refused) else _BECAME[type(command)]
    body: dict[str, Any] = {"status": status, "deliveryId": named, **_facts(outcome)}
    if outcome.repeated:
        return JSONResponse(body | {"status": "duplicate", "firstStatus": status})
    if isinstance(outcome, Refused):
        return JSONResponse(body, status_code=_STATUS.get(outcome.code, 409))
    return JSONResponse(body, status_code=202)


def told(refusal: NotTaken) -> Response:
    """Return what the sender is told of a delivery that was not taken."""
    headers = {"retry-after": str(refusal.retry_after)} if refusal.retry_after else None
    fields = {_reason(path): _reason(reason) for path, reason in refusal.fields.items()}
    code = {"code": refusal.code} if refusal.code else {}
    return JSONResponse({"error": _reason(refusal.error), **code, "fields": fields}, refusal.status, headers=headers)


def _facts(outcome: Executed | Recorded | Refused) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if isinstance(outcome, Refused):
        field = _FIELD.get(outcome.code)
        facts |= {
            "error": _reason(outcome.message),
            "code": outcome.code,
            "fields": {field: _reason(outcome.message)} if field else {},
        }
        if outcome.failures:
            facts["failures"] = [
                {"guardId": failure.guard_id, "code": failure.code, "message": _reason(failure.message or "")}
                for failure in outcome.failures
            ]
    if instance := outcome.instance:
        facts |= {
            "instanceId": instance.instance_id,
            "aggregateId": instance.aggregate_id,
            "loopId": instance.loop_id,
            "state": instance.state,
            "instanceStatus": instance.status,
        }
    return facts


def _reason(text: str) -> str:
    # What was sent may be in here: bounded, and writable as UTF-8 whatever it was.
    return text[:_REASON_MAX].encode(errors="backslashreplace").decode()
