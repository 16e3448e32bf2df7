"""
Absence: somebody is away for a while, and somebody else decides in their stead.

Each absence is an instance of one built-in loop, started and ended by the person alone. So it has a ledger, checkpoints
and an export like everything else, and no record of its own to guard. It counts while its instance is active and its
time is not over: nothing has to run for it to end.
"""

from collections.abc import Sequence
from datetime import datetime

from loops.actors import Human
from loops.definition import LoopDefinition
from loops.instance import LoopInstance
from loops.values import Identifier, Instant, Value

#: What the business object of an absence is called; no other loop may run on one that begins like this.
AGGREGATE_PREFIX = "absence:"
AWAY = "OUT_OF_OFFICE"

#: The loop behind every absence.
ABSENCE = LoopDefinition.model_validate(
    {
        "id": "loopgate.absence",
        "version": "1.0.0",
        "name": "Absence",
        "description": "Somebody is away until a stated time; somebody else decides in their stead.",
        "initialState": AWAY,
        "states": [
            {"id": AWAY, "label": "Away"},
            {"id": "BACK", "label": "Back", "isTerminal": True},
        ],
        "transitions": [{"id": "back", "from": AWAY, "to": "BACK", "actors": ["human"]}],
    }
)


class Absence(Value):
    """
    One absence: `person`, whom people know by `name`, is away until `until`, and `to` decides in their stead.

    `instance_id` is the loop instance whose ledger records it.
    """

    person: Identifier
    name: str
    to: Identifier
    until: Instant
    instance_id: str


#: From somebody who is away to who decides in their stead, over everybody between who is away too.
Way = tuple[Absence, ...]


class InStead(Value):
    """Whose part somebody took: the person's id, and what people call them."""

    person: Identifier
    name: str


def aggregate_of(person_id: str) -> str:
    """Return the business object that a person's absences are instances on, one at a time."""
    return f"{AGGREGATE_PREFIX}{person_id}"


def read_absence(instance: LoopInstance, now: datetime) -> Absence | None:
    """Return the absence *instance* stands for, or None where it is none, or over at *now*."""
    data, by = instance.data, instance.requester
    if (instance.loop_id, instance.status, instance.state) != (ABSENCE.id, "active", AWAY):
        return None
    if not isinstance(by, Human) or instance.aggregate_id != aggregate_of(by.user_id):
        return None
    absence = Absence(
        person=by.user_id, name=by.name, to=data["to"], until=data["until"], instance_id=instance.instance_id
    )
    return absence if now < absence.until else None


def ways_to(absences: Sequence[Absence], person_id: str) -> list[Way]:
    """
    Return the ways that end at *person_id*, each from somebody away, in the order of their ids.

    None end at somebody who is away themselves, and none anywhere in a circle.
    """
    towards: dict[str, list[Absence]] = {}
    for absence in absences:
        towards.setdefault(absence.to, []).append(absence)
    if any(absence.person == person_id for absence in absences):
        return []
    # Everybody is away to one person, and who is here to nobody: what leads here is a tree.
    found: list[Way] = []
    ahead: list[Way] = [(absence,) for absence in towards.get(person_id, ())]
    while ahead:
        way = ahead.pop()
        found.append(way)
        ahead += [(absence, *way) for absence in towards.get(way[0].person, ())]
    return sorted(found, key=lambda way: way[0].person)


def way_from(absences: Sequence[Absence], person_id: str) -> Way:
    """Return the way from *person_id*; empty for somebody who is here, and in a circle, which leads to nobody."""
    of = {absence.person: absence for absence in absences}
    way: list[Absence] = []
    while (absence := of.get(person_id)) is not None:
        if absence in way:
            return ()
        way.append(absence)
        person_id = absence.to
    return tuple(way)
