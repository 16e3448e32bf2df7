"""
Feeds: what was committed in a tenant, in order, for those who follow. Entries point at ledgers; they hold no data.

A cursor names one event: the feed's own position of its commit, and its sequence there, as ``1795341600000-0.7``.
Positions never go back within one store, whatever its clock does.
"""

import re

from loops.errors import Rejected

#: Commits a tenant's feed keeps, about: who is further behind is told that there is a gap.
FEED_KEPT = 100_000

#: The cursor before the first event.
START = "0-0.0"

_CURSOR = re.compile(r"(\d{1,16}-\d{1,16})\.(\d{1,12})")


def read_cursor(cursor: str) -> tuple[str, int]:
    """
    Return the position and the sequence *cursor* names.

    Raises:
        Rejected: If it is not a cursor.
    """
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise Rejected("the cursor is not one that events gave")
    return found[1], int(found[2])


def cursor_of(position: str, sequence: int) -> str:
    """Return the cursor of the event *sequence* in the commit at *position*."""
    return f"{position}.{sequence}"


def order_of(position: str) -> tuple[int, int]:
    """Return what positions are ordered by."""
    first, _, second = position.partition("-")
    return int(first), int(second)
