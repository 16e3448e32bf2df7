"""Time goes on whatever happens to whoever watches it: workers are killed, and what is due takes effect."""

from collections.abc import Iterator
from datetime import datetime
from importlib.resources import files
from typing import Any

import pytest
from stack import Stack

pytestmark = pytest.mark.e2e

#: For how long a worker holds what is due (3 s), and the pause of a sweep (0.5 s), with what a loaded machine adds; far
#: below a worker's lease of RQ's.
TAKEN_OVER_S = 20.0


@pytest.fixture
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose changes are reminded of every two seconds."""
    shipped = (files("loops") / "library" / "infrastructure_change.yaml").read_text()
    often = shipped.replace("remindAfter: 1h\n      reminders: 2\n", "remindAfter: 2s\n      reminders: 20\n")
    assert often != shipped
    with Stack(tmp_path_factory.mktemp("impatient"), loops={"change.yaml": often}) as running:
        yield running


def test_reminders_go_on_within_seconds_of_the_death_of_whoever_sends_them(impatient: Stack) -> None:
    """Each of two workers is killed in turn: the other one reminds, none twice and none in a burst."""
    stack = impatient
    stack.start_worker()
    stack.propose("TIME-1")
    seen = _reminders_past(stack, 0)
    for number in (0, 1):
        stack.workers[number].kill()
        seen = _reminders_past(stack, len(seen))
        stack.start_worker()
    late = [(_at(each["occurredAt"]) - _at(each["data"]["dueAt"])).total_seconds() for each in seen]
    numbers = [each["data"]["number"] for each in seen]

    assert numbers == sorted(set(numbers))
    assert max(late) < TAKEN_OVER_S


def _reminders_past(stack: Stack, number: int) -> list[dict[str, Any]]:
    """Wait until there are more than *number* reminders on the ledger, and return them."""

    def more() -> list[dict[str, Any]] | None:
        found = [event for event in stack.audited("TIME-1") if event["type"] == "approval.reminded"]
        return found if len(found) > number else None

    return stack.until(more, f"reminder {number + 1}")


def _at(written: object) -> datetime:
    return datetime.fromisoformat(str(written))
