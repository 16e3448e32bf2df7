"""Naming: what people call those whom a policy or an event names by id. Groups have no other name than their own."""

from collections.abc import Iterable, Mapping

from loops.approvals import ApprovalRequest
from loops.events import Event
from loops.ports import Directory

#: People looked up for one request or event; past that they stand by their ids.
NAMED_MAX = 30

#: Where events name somebody by id alone.
_BY_ID = ("fromPerson", "toPerson", "person")


async def names_of(directory: Directory | None, tenant: str, *requests: ApprovalRequest | None) -> Mapping[str, str]:
    """Return the names of the people who may decide *requests*, by id, without those the directory does not know."""
    people = [each for request in requests if request for each in _deciders(request)[:NAMED_MAX]]
    return await _called(directory, tenant, people)


async def names_in(directory: Directory | None, tenant: str, events: Iterable[Event]) -> Mapping[str, str]:
    """Return the names of the people whom *events* name by id alone, by id, without those nobody knows."""
    people = [each for event in events for each in _named(event)[:NAMED_MAX]]
    return await _called(directory, tenant, people)


async def _called(directory: Directory | None, tenant: str, people: Iterable[str]) -> Mapping[str, str]:
    ids = list(dict.fromkeys(people))
    if directory is None or not ids:
        return {}
    found = await directory.people(tenant, ids)
    return {person_id: person.name for person_id, person in found.items()}


def _deciders(request: ApprovalRequest) -> list[str]:
    needs = [need for stage in request.policy.gates for need in stage.needs]
    taken = [each.to_person for each in request.reassignments]
    return list(dict.fromkeys((*(user for need in needs for user in need.users), *taken)))


def _named(event: Event) -> list[str]:
    alone = [event.data.get(key) for key in _BY_ID]
    on_call = event.data.get("onCall")
    return [each for each in (*alone, *(on_call if isinstance(on_call, list | tuple) else ())) if isinstance(each, str)]
