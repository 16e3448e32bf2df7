"""
Frames: what goes over a Socket Mode connection, read strictly in shape and tolerantly in content.

Source: docs.slack.dev, apis/events-api/using-socket-mode.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from slack_bolt import BoltResponse

from channels.slack.deliveries import BadDelivery, Delivery, Id, understood


class BadFrame(ValueError):  # noqa: N818 - reads as what was sent
    """The text is no frame we know; the message is a stable code."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ConnectionInfo(_Part):
    """Which app a connection is of."""

    app_id: Id


class Hello(_Part):
    """The connection is up."""

    type: Literal["hello"]
    connection_info: ConnectionInfo


class Disconnect(_Part):
    """The connection will end: ``warning``, ``refresh_requested``, ``link_disabled`` or ``too_many_websockets``."""

    type: Literal["disconnect"]
    reason: str = ""


class Envelope(_Part):
    """A delivery. Slack counts redeliveries of events in `retry_attempt`."""

    type: Literal["interactive", "slash_commands", "events_api"]
    envelope_id: Id
    payload: dict[str, Any]
    accepts_response_payload: bool = False
    retry_attempt: int = 0

    def delivery(self) -> Delivery:
        """Return what is in it. Raises BadDelivery."""
        return understood(self.payload | {"type": "command"} if self.type == "slash_commands" else self.payload)


Frame = Hello | Disconnect | Envelope

_FRAME: TypeAdapter[Frame] = TypeAdapter(Annotated[Frame, Field(discriminator="type")])


def read(text: str) -> Frame:
    """
    Return the frame that *text* is.

    Raises:
        BadFrame: ``invalid_frame`` or ``unsupported_frame``.
    """
    try:
        return _FRAME.validate_json(text)
    except ValidationError as error:
        known = any(problem["type"].startswith("union_tag") for problem in error.errors(include_input=False))
        raise BadFrame("unsupported_frame" if known else "invalid_frame") from error


def acknowledgement(envelope: Envelope, answer: BoltResponse) -> str:
    """Return the frame that acknowledges *envelope*, with what *answer* says where Slack takes that."""
    frame: dict[str, Any] = {"envelope_id": envelope.envelope_id}
    if answer.body and envelope.accepts_response_payload:
        is_json = answer.headers.get("content-type", [""])[0].startswith("application/json")
        frame["payload"] = json.loads(answer.body) if is_json else {"text": answer.body}
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))


__all__ = ["BadDelivery", "BadFrame", "Disconnect", "Envelope", "Frame", "Hello", "acknowledgement", "read"]
