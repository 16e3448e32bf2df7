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


def index_member(instance: LoopInstance) -> str:
    """
    Return the instance's place in the open indexes: microseconds since year 1, zero-padded, and its id.

    Text order is time order, two instances of one microsecond have an order too, and a cursor stays a place in
    between when the instance it names is closed.
    """
    since = (instance.started_at - _YEAR_ONE) // timedelta(microseconds=1)
    return f"{since:018d}:{keys.part(instance.instance_id)}"


def check_cursor(cursor: str) -> str:
    """Return *cursor*; raise `Rejected` for a text that is none of ours."""
    if not _CURSOR.fullmatch(cursor):
        raise Rejected("this cursor is not one the listing gave; list again from the start, without a cursor")
    return cursor


def page_size(limit: int) -> int:
    """Return how many instances a page asked for with *limit* holds: at least one, at most `LONGEST_PAGE`."""
    return max(1, min(limit, LONGEST_PAGE))
