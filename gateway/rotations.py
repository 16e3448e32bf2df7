"""Who is on call, as the configuration file's rotations say."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from loops.rotation import Rotation


class ConfiguredOnCall:
    """Fits `loops.ports.OnCall`: one person at a time, by the rotation of the schedule's name."""

    def __init__(self, schedules: Mapping[str, Rotation]) -> None:
        self._schedules = dict(schedules)

    async def on_call(self, tenant: str, schedule: str, at: datetime) -> Sequence[str]:
        """Return who is on call on *schedule* at *at*; nobody on an unknown one, or before its first turn."""
        del tenant  # people are known by tenant, schedules are the gateway's
        rotation = self._schedules.get(schedule)
        person = rotation.on_call(at) if rotation else None
        return [person] if person else []
