"""Ledgers as stored: lists of lines, read back for showing."""

from collections.abc import Iterable

from loops.errors import Rejected
from loops.events import Event
from loops.ledger import BadLine, event_in


def stored_events(lines: Iterable[bytes]) -> list[Event]:
    """
    Return the events that stored *lines* read as.

    Raises:
        Rejected: If one is not an event: somebody wrote into the store.
    """
    try:
        return [event_in(line) for line in lines]
    except BadLine as error:
        raise Rejected(
            f"an entry of this ledger cannot be read ({error}); `loopgate audit verify` says which"
        ) from error
