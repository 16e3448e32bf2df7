"""Lanes in memory, over the effects of a `MemoryStore`."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.jobs.ports import Claim, LaneRules, LaneStanding, Passage
from gateway.storage.memory import MemoryStore
from gateway.storage.memory_time import Timed
from gateway.storage.redis_lanes import circuit_state, full, let_be


@dataclass
class _Lane:
    failures: int = 0
    open_until: datetime | None = None
    probe: str | None = None
    inside: dict[str, datetime] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)

    def close(self) -> None:
        self.failures, self.open_until, self.probe = 0, None, None


class MemoryLanes(Timed):
    """`gateway.jobs.ports.Lanes` in memory. *now* is the clock of *effects*."""

    def __init__(self, effects: MemoryStore, now: Callable[[], datetime]) -> None:
        super().__init__(now)
        self._effects = effects
        self._lanes: defaultdict[str, _Lane] = defaultdict(_Lane)

    async def enter(self, name: str, claim: Claim, rules: LaneRules, *, lease: timedelta) -> bool:
        """Let a claimed effect in; False where it must wait and was put off."""
        lane, now, effect_id = self._of(name), self._now(), claim.effect.effect_id
        if not self._effects.holds(effect_id, claim.fence):
            return False
        patience = timedelta(seconds=5) + timedelta(milliseconds=20) * len(lane.waiting)
        is_probed = lane.probe not in {None, effect_id} and lane.probe in lane.inside
        if lane.open_until and (lane.open_until > now or is_probed):
            wait, why = max(lane.open_until - now, timedelta(0)) or patience, let_be(name)
        elif effect_id not in lane.inside and len(lane.inside) >= rules.at_once:
            wait, why = patience, full(name, rules.at_once)
        else:
            if lane.open_until:
                lane.probe = effect_id
            lane.inside[effect_id] = now + lease
            self._effects.begin(effect_id)
            if effect_id in lane.waiting:
                lane.waiting.remove(effect_id)
            return True
        await self._effects.put_off(effect_id, claim.fence, after=wait, why=why)
        if effect_id not in lane.waiting:
            lane.waiting.append(effect_id)
        return False

    async def stay(self, name: str, effect_id: str, *, lease: timedelta) -> None:
        """Extend the lease on a place in the lane."""
        lane = self._lanes[name]
        if effect_id in lane.inside:
            lane.inside[effect_id] = self._now() + lease

    async def leave(self, name: str, effect_id: str, rules: LaneRules, passage: Passage) -> None:
        """Leave the lane, say how it went, and call who waits where there is room."""
        lane, now = self._of(name), self._now()
        lane.inside.pop(effect_id, None)
        was_probe = lane.probe == effect_id
        if was_probe:
            lane.probe = None
        if passage == "answered":
            lane.close()
        elif passage == "failed":
            lane.failures += 1
            if was_probe or (lane.open_until is None and lane.failures >= rules.failures):
                lane.open_until = now + rules.pause
        if lane.open_until and lane.open_until > now:
            return
        room = 1 if lane.open_until else rules.at_once - len(lane.inside)
        while room > 0 and lane.waiting:
            room -= self._effects.call(lane.waiting.pop(0))

    async def standing(self, names: Sequence[str]) -> Sequence[LaneStanding]:
        """Return how these lanes stand."""
        return [self._standing(name, self._of(name)) for name in names]

    def _standing(self, name: str, lane: _Lane) -> LaneStanding:
        is_over = lane.open_until is None or lane.open_until <= self._now()
        return LaneStanding(
            name=name,
            circuit=circuit_state(
                is_cut=lane.open_until is not None, is_over=is_over, is_probed=lane.probe in lane.inside
            ),
            inside=len(lane.inside),
            waiting=len(lane.waiting),
            failures=lane.failures,
            open_until=lane.open_until,
        )

    def _of(self, name: str) -> _Lane:
        lane = self._lanes[name]
        lane.inside = {effect_id: ends for effect_id, ends in lane.inside.items() if ends > self._now()}
        return lane
