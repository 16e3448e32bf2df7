"""A storm of requests and decisions in one channel, while Slack limits, breaks and hangs."""

from pathlib import Path

import pytest
from stack import Stack
from storm import PACE, storm

REQUESTS = 300


@pytest.mark.timeout(300)
def test_no_card_is_lost_doubled_or_wrong_in_a_storm(tmp_path: Path) -> None:
    """
    300 requests, 300 decisions, 429s and broken connections: every card is there once and shows how it ended.

    Retry-After is obeyed: no call comes while its method is to rest, but those that were on their way.
    """
    with Stack(tmp_path, pace=PACE) as stack:
        stack.start_worker()
        found = storm(stack, REQUESTS, patience_s=240)

    limited = [call["method"] for call in found.calls if call["status"] == 429]
    assert found.wrong() == {}, found.figures()
    assert {"chat.postMessage", "chat.update"} <= set(limited)
    assert found.too_early() == []
    assert found.acted == sum(1 for kind in found.decided.values() if kind == "approve")
