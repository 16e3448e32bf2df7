"""Cursors of listings: where an open instance stands in the index, and so where the next page begins."""

import re
from datetime import UTC, datetime, timedelta

from gateway.storage import keys
from loops.errors import Rejected
from loops.instance import LoopInstance

#: Instances one page holds at most.
LONGEST_PAGE = 500

_YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)
_CURSOR = re.compile(r"\d{18}:[\w.~%-]{1,1000}", re.ASCII)


def is_listed_open(instance: LoopInstance) -> bool:
    """Return whether the instance stands in the open indexes: one that rests is not over, and keeps its aggregate."""
    return instance.status in {"active", "suspended"}


def index_member(instance: LoopInstance) -> str:
    """
    Return the instance's place in the indexes: when it was started, or closed, in microseconds, and its id.

    The number counts from year 1 and is zero-padded.

    Text order is time order, two instances of one microsecond have an order too, and a cursor stays a place in
    between when the instance it names is closed.
    """
    at = instance.started_at if is_listed_open(instance) else instance.closed_at or instance.started_at
    since = (at - _YEAR_ONE) // timedelta(microseconds=1)
    return f"{since:018d}:{keys.part(instance.instance_id)}"


def check_cursor(cursor: str) -> str:
    """Return *cursor*; raise `Rejected` for a text that is none of ours."""
    if not _CURSOR.fullmatch(cursor):
        raise Rejected("this cursor is not one the listing gave; list again from the start, without a cursor")
    return cursor


def page_size(limit: int) -> int:
    """Return how many instances a page asked for with *limit* holds: at least one, at most `LONGEST_PAGE`."""
    return max(1, min(limit, LONGEST_PAGE))
