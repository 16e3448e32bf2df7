"""The courier: sends deliveries concurrently, gives each its three seconds, plays faults and keeps a log."""

import asyncio
import time
from collections import deque
from dataclasses import replace

from channels.slack_sandbox.changes import ChangeFeed
from channels.slack_sandbox.clock import Clock
from channels.slack_sandbox.delivery import Delivery, Line
from channels.slack_sandbox.faults import FaultDesk
from channels.slack_sandbox.workspace import new_id

#: Deliveries remembered for the control API and the page's inspector.
DELIVERIES_MAX = 500


class Courier:
    """Sends what Slack would send, over one line."""

    def __init__(self, line: Line, *, clock: Clock, faults: FaultDesk, feed: ChangeFeed, ack_deadline_s: float) -> None:
        self.ack_deadline_s = ack_deadline_s
        self.log: deque[Delivery] = deque(maxlen=DELIVERIES_MAX)
        self._line = line
        self._clock = clock
        self._faults = faults
        self._feed = feed

    async def deliver(self, kind: str, body: str, content_type: str, extra: dict[str, str] | None = None) -> Delivery:
        """Send *body* and wait for the app's answer, three seconds at most."""
        delivery = self._line.address(kind, body, content_type, extra or {})
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
        return await self._send(delivery, is_heard=fault is None or fault.kind != "lost_ack")

    async def replay(self, delivery: Delivery) -> Delivery:
        """Send the very same thing again."""
        return await self._send(delivery.again(self._clock.now()))

    async def duplicate(self, delivery: Delivery) -> Delivery:
        """Send the same content again as a new delivery."""
        return await self._send(self._line.address_again(delivery))

    def find(self, delivery_id: str) -> Delivery | None:
        """The delivery with this id, if it is still remembered."""
        return next((delivery for delivery in self.log if delivery.id == delivery_id), None)

    async def aclose(self) -> None:
        """Close the line."""
        await self._line.aclose()

    async def _send(self, delivery: Delivery, *, is_heard: bool = True) -> Delivery:
        started = time.perf_counter()
        await self._line.carry(delivery, self.ack_deadline_s)
        if not is_heard:
            delivery.status, delivery.answer, delivery.problem = None, "", "timeout"
            delivery.answer_headers = {}
        delivery.ack_ms = round((time.perf_counter() - started) * 1000, 2)
        return self._logged(delivery)

    def _logged(self, delivery: Delivery) -> Delivery:
        self.log.append(delivery)
        self._feed.announce("delivery", delivery=delivery.to_json())
        return delivery
