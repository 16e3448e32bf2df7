"""Leaving: a person says that they are away, until when, and who decides in their stead; and that they are back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from loops.absence import ABSENCE, Absence, aggregate_of, way_from
from loops.absent import Absent
from loops.actors import Human
from loops.durations import MAX_DURATION
from loops.engine import LoopEngine
from loops.outcomes import Executed, Outcome, Refused
from loops.people import People
from loops.ports import Clock, Directory, Store
from loops.values import INSTANT


class Leaving:
    """Starts and ends absences, through the engine like everything. Methods raise as `LoopEngine`'s do."""

    def __init__(self, engine: LoopEngine, store: Store, directory: Directory, clock: Clock) -> None:
        self._engine = engine
        self._store = store
        self._people = People(directory)
        self._clock = clock
        self._absent = Absent(store)

    async def leave(
        self, *, tenant: str, by: Human, until: datetime, to: str, channel: Mapping[str, Any], key: str
    ) -> Outcome:
        """
        Let *by* be away until *until*, and the person *to* decide in their stead; it takes the place of an earlier one.

        *channel* is the evidence of where they said so. Called again under the same *key* it changes nothing more.
        """
        known = await self._people.verified(tenant, by)
        if known is None:
            return Refused(code="unmapped_identity", message="nobody is known to have asked this")
        if objection := await self._objection(tenant, known, until, to):
            return Refused(code="cannot_be_away", message=objection)
        aggregate = aggregate_of(known.user_id)
        earlier = await self._store.load_aggregate(tenant, aggregate)
        if earlier and earlier.instance.correlation_id == key:
            return Executed(instance=earlier.instance, repeated=True)
        if earlier and not earlier.instance.is_over:
            reason = "another absence takes its place"
            await self._engine.cancel(tenant=tenant, aggregate_id=aggregate, actor=known, reason=reason)
        return await self._engine.start(
            tenant=tenant,
            loop_id=ABSENCE.id,
            aggregate_id=aggregate,
            data={"to": to, "until": INSTANT.dump_python(until, mode="json"), "channel": dict(channel)},
            actor=known,
            correlation_id=key,
            idempotency_key=key,
            definition=ABSENCE,
        )

    async def come_back(self, *, tenant: str, by: Human, channel: Mapping[str, Any]) -> Absence | None:
        """End the absence of *by*, whether or not its time is over; return it, or None where they were not away."""
        absence = await self._absent.one(tenant, by.user_id, self._clock.now())
        aggregate = aggregate_of(by.user_id)
        left = await self._store.load_aggregate(tenant, aggregate)
        if left and left.instance.status == "suspended":
            await self._engine.cancel(tenant=tenant, aggregate_id=aggregate, actor=by, reason="they are back")
        elif left and not left.instance.is_over:
            await self._engine.transition(
                tenant=tenant, aggregate_id=aggregate, transition="back", actor=by, evidence={"said": dict(channel)}
            )
        return absence

    async def absence(self, tenant: str, person_id: str) -> Absence | None:
        """Return the absence of one person now; None for somebody who is here."""
        return await self._absent.one(tenant, person_id, self._clock.now())

    async def absences(self, tenant: str) -> tuple[Absence, ...]:
        """Return everybody's absence now."""
        return await self._absent.all(tenant, self._clock.now())

    async def _objection(self, tenant: str, by: Human, until: datetime, to: str) -> str | None:
        now = self._clock.now()
        if until <= now:
            return f"{until:%Y-%m-%d %H:%M} UTC is over already; say until when you will be away"
        if until > now + MAX_DURATION:
            return f"nobody is away for longer than {MAX_DURATION.days} days"
        if to == by.user_id:
            return "that is yourself; name somebody else to decide in your stead"
        person = await self._people.named(tenant, to)
        if person is None:
            return f"nobody called {to} is known here"
        if person.barred:
            return f"{person.name} may not decide: {person.barred}"
        others = [each for each in await self._absent.all(tenant, now) if each.person != by.user_id]
        way = way_from(others, to)
        if any(absence.to == by.user_id for absence in way) or (not way and any(each.person == to for each in others)):
            return f"{person.name} is away too, and nobody is left in the end who stands in; name somebody else"
        return None
