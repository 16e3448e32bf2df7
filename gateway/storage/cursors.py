"""Cursors of listings: where an instance or a request stands in its index, and so where the next page begins."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

from gateway.storage import keys
from loops.actors import folded, people_behind
from loops.approvals import ApprovalRequest
from loops.errors import Rejected
from loops.instance import LoopInstance

#: Things one page holds at most.
LONGEST_PAGE = 500
#: Requests kept in the list of those one person asked for, or decided: the newest ones. Older ones are on the ledgers.
KEPT_OF_PERSON = 200

#: What a person has to do with a request that is listed under their name.
Part = Literal["asked", "decided"]

_YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)
_CURSOR = re.compile(r"\d{18}:[\w.~%-]{1,1000}", re.ASCII)


def is_listed_open(instance: LoopInstance) -> bool:
    """Return whether the instance stands in the open indexes: one that rests is not over, and keeps its aggregate."""
    return not instance.is_over


def index_member(instance: LoopInstance) -> str:
    """
    Return the instance's place in the indexes: when it was started, or closed, in microseconds, and its id.

    The number counts from year 1 and is zero-padded.

    Text order is time order, two instances of one microsecond have an order too, and a cursor stays a place in
    between when the instance it names is closed.
    """
    at = instance.started_at if is_listed_open(instance) else instance.closed_at or instance.started_at
    return _member(at, instance.instance_id)


def place_of(at: datetime) -> str:
    """Return the place before all that were closed at *at* or later."""
    return f"{(at - _YEAR_ONE) // timedelta(microseconds=1):018d}:"


def instance_at(place: str) -> str:
    """Return the id of the instance that stands at *place* in an index."""
    return keys.unpart(place.partition(":")[2])


def request_member(request: ApprovalRequest) -> str:
    """Return the request's place among the open ones: when it was made, and its id."""
    return _member(request.created_at, request.request_id)


def person_members(request: ApprovalRequest) -> Iterator[tuple[Part, str, str]]:
    """
    Yield who has to do with the request, and how: the part they have, the person (folded), the place in their list.

    Who asked is whoever started the loop, submitted the proposal, or stands behind an agent or service that did.
    """
    proposal = request.proposal
    askers = {*people_behind(proposal.requester), *proposal.contributors}
    if proposal.submitter:
        askers |= people_behind(proposal.submitter)
    for person in sorted({folded(asker) for asker in askers}):
        yield "asked", person, request_member(request)
    for decision in (*request.voided, *request.decisions):
        yield "decided", folded(decision.by.user_id), _member(decision.at, request.request_id)


def _member(at: datetime, name: str) -> str:
    since = (at - _YEAR_ONE) // timedelta(microseconds=1)
    return f"{since:018d}:{keys.part(name)}"


def check_cursor(cursor: str) -> str:
    """Return *cursor*; raise `Rejected` for a text that is none of ours."""
    if not _CURSOR.fullmatch(cursor):
        raise Rejected("this cursor is not one the listing gave; list again from the start, without a cursor")
    return cursor


def page_size(limit: int) -> int:
    """Return how many things a page asked for with *limit* holds: at least one, at most `LONGEST_PAGE`."""
    return max(1, min(limit, LONGEST_PAGE))
