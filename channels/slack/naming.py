"""Naming: what people call those whom a policy names by id. Groups have no other name than their own."""

from collections.abc import Mapping

from loops.approvals import ApprovalRequest
from loops.ports import Directory

#: People looked up for one card; past that they stand by their ids.
NAMED_MAX = 30


async def names_of(directory: Directory | None, tenant: str, request: ApprovalRequest | None) -> Mapping[str, str]:
    """Return the names of the people who may decide *request*, by id, without those the directory does not know."""
    if directory is None or request is None:
        return {}
    needs = [need for stage in request.policy.gates for need in stage.needs]
    taken = [each.to_person for each in request.reassignments]
    people = dict.fromkeys((*(user for need in needs for user in need.users), *taken))
    found = [await directory.person(tenant, person_id) for person_id in list(people)[:NAMED_MAX]]
    return {person.person_id: person.name for person in found if person}
