"""Lanes in Redis: places, circuits and who waits, changed in one step each, by the server's clock."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis

from gateway.jobs.ports import CircuitState, Claim, LaneRules, LaneStanding, Passage
from gateway.storage import keys
from gateway.storage.scripts import Script, script
from gateway.storage.seam import store_errors
from gateway.storage.spans import EFFECT_GRACE, milliseconds


class RedisLanes:
    """`gateway.jobs.ports.Lanes`."""

    def __init__(self, client: "Redis", *, effect_grace: timedelta = EFFECT_GRACE) -> None:
        self._client = client
        self._grace_ms = milliseconds(effect_grace)
        self._enter: Script = script(client, "lane_enter")
        self._leave: Script = script(client, "lane_leave")
        self._lanes: Script = script(client, "lanes")

    async def enter(self, name: str, claim: Claim, rules: LaneRules, *, lease: timedelta) -> bool:
        """Let a claimed effect in; False where it must wait and was put off."""
        with store_errors():
            entered = await self._enter(
                keys.part(name),
                keys.part(claim.effect.effect_id),
                claim.fence,
                milliseconds(lease),
                rules.at_once,
                f"{random.random():.3f}",  # noqa: S311 - spread, not secrecy
                let_be(name),
                full(name, rules.at_once),
            )
        return bool(entered)

    async def stay(self, name: str, effect_id: str, *, lease: timedelta) -> None:
        """Extend the lease on a place in the lane."""
        with store_errors():
            seconds, micros = await self._client.time()
            ends = seconds * 1000 + micros // 1000 + milliseconds(lease)
            await self._client.zadd(keys.LANE_INSIDE + keys.part(name), {keys.part(effect_id): ends}, xx=True)

    async def leave(self, name: str, effect_id: str, rules: LaneRules, passage: Passage) -> None:
        """Leave the lane, say how it went, and call who waits where there is room."""
        with store_errors():
            await self._leave(
                keys.part(name),
                keys.part(effect_id),
                passage,
                rules.at_once,
                rules.failures,
                milliseconds(rules.pause),
                self._grace_ms,
            )

    async def standing(self, names: Sequence[str]) -> Sequence[LaneStanding]:
        """Return how these lanes stand."""
        if not names:
            return []
        with store_errors():
            found = await self._lanes(*map(keys.part, names))
        return [
            LaneStanding(
                name=name,
                circuit=circuit_state(
                    is_cut=bool(until), is_over=not until or int(until) <= now, is_probed=bool(probe)
                ),
                inside=inside,
                waiting=waiting,
                failures=failures,
                open_until=datetime.fromtimestamp(int(until) / 1000, UTC) if until else None,
            )
            for name, (inside, waiting, failures, until, probe, now) in zip(names, found, strict=True)
        ]


def circuit_state(*, is_cut: bool, is_over: bool, is_probed: bool) -> CircuitState:
    """Return the state of a circuit that opened, or not, whose pause is over, or not, and whether one finds out."""
    if not is_cut:
        return "closed"
    return "probing" if is_over and is_probed else "open"


def let_be(name: str) -> str:
    """Say why an effect waits whose lane is let be."""
    return f"{name} failed too often in a row and is let be for a while"


def full(name: str, at_once: int) -> str:
    """Say why an effect waits whose lane is full."""
    return f"{name} has {at_once} effects under way, as many as it may"
