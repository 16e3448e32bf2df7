"""The ledger in a terminal: every kind of event told, and nothing anybody wrote takes the terminal over."""

import io
from typing import Any, get_args

import pytest
from contract.storage.builders import an_event, an_instance
from rich.console import Console

from gateway.ledger_table import ledger_table, shown
from loops.events import EventType


def _printed(*events: Any) -> str:
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    console.print(ledger_table(events))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("kind", get_args(EventType))
def test_an_event_without_its_fields_is_shown_all_the_same(kind: EventType) -> None:
    """A ledger somebody tampered with is the one that must be readable."""
    printed = _printed(an_event(an_instance(), type=kind, data={}))

    assert kind in printed


@pytest.mark.parametrize("data", [{"actor": "nobody"}, {"decision": 7}, {"guardFailures": "x"}, {"by": []}])
def test_an_event_with_other_fields_is_shown_all_the_same(data: dict[str, Any]) -> None:
    """Fields of another type than ours are no reason to break."""
    for kind in get_args(EventType):
        assert kind in _printed(an_event(an_instance(), type=kind, data=data))


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("[red]PAID[/red]", "[red]PAID[/red]"),
        ("[/nothing]", "[/nothing]"),
        ("[link=http://evil]x[/link]", "[link=http://evil]x[/link]"),
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("over\rwritten\nline", "over\\rwritten\\nline"),
        ("\u202egnihsif", "\\u202egnihsif"),
        ("Größe 大 ok", "Größe 大 ok"),
    ],
)
def test_what_others_wrote_is_printed_as_it_is(written: str, printed: str) -> None:
    """No markup counts, no control character reaches the terminal, and letters stay letters."""
    assert shown(written).plain == printed
    assert shown(written).spans == []
    assert printed in _printed(an_event(an_instance(), type="loop.cancelled", data={"reason": written}))
