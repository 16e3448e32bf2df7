"""
Lanes: the way to one system of record, or one provider, shared by every worker.

So many effects at a time go through a lane; after some failures in a row its circuit opens, and for a pause nothing
goes through; then one effect at a time is let through to see, until one is answered. What must wait is put off without
having been tried, and called when there is room. Whoever dies in a lane loses the place when the lease is over.

Own rather than a library's: purgatory 3.0 keeps a circuit in Redis by reading and writing it back, by each process's
own clock, and lets every process probe at once; pybreaker's is sync and aiobreaker's in memory.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

from gateway.jobs.ports import Claim, LaneRules, Lanes, Passage
from loops.effects import Effect
from loops.errors import Rejected, Unavailable

#: The rules of a lane of which nobody says anything.
DEFAULT_RULES = LaneRules(at_once=16, failures=5, pause=timedelta(seconds=30))


def provider_lane(name: str) -> str:
    """Return the name of the lane to a provider; the one to an integration is called as the integration is."""
    return f"provider {name}"


def lane_of(effect: Effect) -> str | None:
    """Return the lane that *effect* goes through; None where it calls nothing but the channel."""
    match effect.kind:
        case "integration.run":
            return str(effect.payload.get("integration"))
        case "provider.ask":
            return provider_lane(str(effect.payload.get("use")))
        case _:
            return None


class PutOff(Exception):  # noqa: N818 - the state it reports
    """An effect must wait for its lane, was given back for that, and is called when there is room."""


class Gates:
    """Lets effects into their lanes by *rules*; `DEFAULT_RULES` where these say nothing of one."""

    def __init__(self, lanes: Lanes, rules: Mapping[str, LaneRules], *, lease: timedelta, timeout: timedelta) -> None:
        self._lanes = lanes
        self._rules = rules
        self._lease = lease
        # Less than an attempt may take: cut by that, a call that hangs could not be told from a worker that stops.
        self._timeout_s = timeout.total_seconds() * 0.8

    @asynccontextmanager
    async def through(self, claim: Claim) -> AsyncIterator[None]:
        """
        Be in the lane of the claimed effect while the caller calls the system behind it.

        An answer, a refusal too, keeps the circuit closed; `Unavailable` or anything else raised counts as a failure.

        Raises:
            PutOff: If the effect must wait; it was given back.
            TimeoutError: If the caller takes nearly as long as an attempt may take.
        """
        name = lane_of(claim.effect)
        if name is None:
            raise ValueError(f"a {claim.effect.kind} goes through no lane")
        rules = self._rules.get(name, DEFAULT_RULES)
        if not await self._lanes.enter(name, claim, rules, lease=self._lease):
            raise PutOff(name)
        passage: Passage = "untried"
        staying = asyncio.create_task(self._stay(name, claim))
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
            passage = "answered"
        except Rejected:
            passage = "answered"
            raise
        except (Exception, SystemExit):
            passage = "failed"
            raise
        finally:
            staying.cancel()
            # A store that is away: the place is lost with the lease.
            with contextlib.suppress(Unavailable):
                await self._lanes.leave(name, claim.effect.effect_id, rules, passage)

    async def _stay(self, name: str, claim: Claim) -> None:
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            with contextlib.suppress(Unavailable):
                await self._lanes.stay(name, claim.effect.effect_id, lease=self._lease)
