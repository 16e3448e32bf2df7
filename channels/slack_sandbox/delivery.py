"""Signed deliveries to the app: sent concurrently, given three seconds, logged as they were on the wire."""

import asyncio
import time
from collections import deque
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import httpx2

from channels.slack_sandbox.changes import ChangeFeed
from channels.slack_sandbox.clock import Clock
from channels.slack_sandbox.faults import FaultDesk
from channels.slack_sandbox.signing import signature_headers
from channels.slack_sandbox.workspace import new_id

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

Problem = Literal["", "timeout", "unreachable", "dropped"]

#: Deliveries remembered for the control API and the page's inspector.
DELIVERIES_MAX = 500
#: Characters of the app's answer kept.
ANSWER_MAX = 100_000
#: Deliveries in flight at once; past it they queue.
CONNECTIONS_MAX = 256


@dataclass(slots=True)
class Delivery:
    """
    One request to the app and what came of it.

    Args:
        at: Seconds since the epoch when it was sent.
        status: The HTTP status, or None when no answer came in time.
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


class Courier:
    """Sends what Slack would send, over one shared connection pool."""

    def __init__(
        self,
        url: str,
        *,
        signing_secret: str,
        clock: Clock,
        faults: FaultDesk,
        feed: ChangeFeed,
        ack_deadline_s: float,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = url
        self.ack_deadline_s = ack_deadline_s
        self.log: deque[Delivery] = deque(maxlen=DELIVERIES_MAX)
        self._secret = signing_secret
        self._clock = clock
        self._faults = faults
        self._feed = feed
        self._transport = transport
        self._client: httpx2.AsyncClient | None = None

    async def deliver(self, kind: str, body: str, content_type: str, extra: dict[str, str] | None = None) -> Delivery:
        """Sign *body*, send it and wait for the app's answer, three seconds at most."""
        delivery = self._signed(kind, body, content_type, extra or {})
        fault = self._faults.take_for_delivery(kind)
        if fault is not None and fault.kind == "drop":
            delivery.problem = "dropped"
            return self._logged(delivery)
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.delay_s)
        if fault is not None and fault.kind == "duplicate":
            twin = replace(delivery, id=new_id("DV"), replay_of=delivery.id)
            first, _ = await asyncio.gather(self._send(delivery), self._send(twin))
            return first
        if fault is not None and fault.kind == "lost_ack":
            return await self._send(delivery, is_heard=False)
        return await self._send(delivery)

    async def replay(self, delivery: Delivery) -> Delivery:
        """Send the very same signed request again."""
        return await self._send(_again(delivery))

    async def duplicate(self, delivery: Delivery) -> Delivery:
        """Send the same body again, signed anew: what a network in between, or Slack itself, may do."""
        fresh = self._signed(delivery.kind, delivery.body, delivery.headers["Content-Type"], {})
        return await self._send(replace(_again(delivery), headers=delivery.headers | fresh.headers))

    def find(self, delivery_id: str) -> Delivery | None:
        """The delivery with this id, if it is still remembered."""
        return next((delivery for delivery in self.log if delivery.id == delivery_id), None)

    async def aclose(self) -> None:
        """Close the connection pool."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _signed(self, kind: str, body: str, content_type: str, extra: dict[str, str]) -> Delivery:
        stamp = int(self._clock.now() + self._clock.signature_skew_s)
        headers = {
            "Content-Type": content_type,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "Accept": "application/json,*/*",
            **signature_headers(self._secret, body.encode(), stamp),
            **extra,
        }
        return Delivery(new_id("DV"), kind, self.url, headers, body, self._clock.now())

    async def _send(self, delivery: Delivery, *, is_heard: bool = True) -> Delivery:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self.ack_deadline_s):
                answer = await self._pool().post(delivery.url, content=delivery.body.encode(), headers=delivery.headers)
        except TimeoutError:
            delivery.problem = "timeout"
        except httpx2.HTTPError as error:
            delivery.problem = "unreachable"
            delivery.answer = f"{type(error).__name__}: {error}"
        else:
            if not is_heard:
                delivery.problem = "timeout"
                return self._logged(delivery)
            delivery.status = answer.status_code
            delivery.answer_headers = dict(answer.headers)
            delivery.answer = answer.text[:ANSWER_MAX]
        delivery.ack_ms = round((time.perf_counter() - started) * 1000, 2)
        return self._logged(delivery)

    def _logged(self, delivery: Delivery) -> Delivery:
        self.log.append(delivery)
        self._feed.announce("delivery", delivery=delivery.to_json())
        return delivery

    def _pool(self) -> httpx2.AsyncClient:
        if self._client is None:
            limits = httpx2.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=64)
            # Loopback only, so a certificate would prove nothing; leaving it out saves loading the trust store.
            self._client = httpx2.AsyncClient(
                limits=limits,
                timeout=None,
                trust_env=False,
                verify=False,
                transport=self._transport,
            )
        return self._client


def _again(delivery: Delivery) -> Delivery:
    return Delivery(
        new_id("DV"),
        delivery.kind,
        delivery.url,
        dict(delivery.headers),
        delivery.body,
        time.time(),
        replay_of=delivery.id,
    )
