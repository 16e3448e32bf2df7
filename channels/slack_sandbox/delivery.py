"""Deliveries: one payload on its way to the app, what came of it, and the way it takes."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from channels.slack_sandbox.workspace import new_id

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

Problem = Literal["", "timeout", "unreachable", "dropped"]

#: Characters of the app's answer kept.
ANSWER_MAX = 100_000


@dataclass(slots=True)
class Delivery:
    """
    One payload to the app and what came of it.

    Args:
        url: Where it went: the request URL, or ``socket:`` and the connections it was sent on.
        body: What was on the wire: the request's body, or the envelope.
        at: Seconds since the epoch when it was sent.
        status: The HTTP status, or None when no answer came in time; an acknowledged envelope counts as 200.
        problem: Empty, ``timeout``, ``unreachable`` or ``dropped``.
    """

    id: str
    kind: str
    url: str
    headers: dict[str, str]
    body: str
    at: float
    status: int | None = None
    ack_ms: float | None = None
    answer_headers: dict[str, str] = field(default_factory=dict)
    answer: str = ""
    problem: Problem = ""
    replay_of: str = ""

    @property
    def is_acknowledged(self) -> bool:
        """Whether the app answered 2xx in time."""
        return self.status is not None and 200 <= self.status < 300

    def to_json(self) -> dict[str, Any]:
        """The delivery as the control API shows it."""
        return asdict(self)

    def again(self, at: float) -> "Delivery":
        """The very same thing to be sent once more."""
        return Delivery(new_id("DV"), self.kind, self.url, dict(self.headers), self.body, at, replay_of=self.id)


class Line(Protocol):
    """A way to the app: its request URL, or Socket Mode."""

    def address(self, kind: str, body: str, content_type: str, extra: dict[str, str]) -> Delivery:
        """Make *body*, as it would be posted, ready for this line; *extra* are headers of a redelivery."""

    def address_again(self, delivery: Delivery) -> Delivery:
        """The same content as a new delivery: what a network in between, or Slack itself, may do."""

    async def carry(self, delivery: Delivery, within_s: float) -> None:
        """Send it and write the app's answer into it, *within_s* at most."""

    async def aclose(self) -> None:
        """Close what is open."""
