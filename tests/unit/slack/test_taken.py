"""
The judges themselves: each breach of a limit is seen by those who can see it, and nobody objects to what is sound.

One line for each rule: who objects, of T (Slack's types), M (the SDK's models), L (our table of limits) and S (the
sandbox's lint). The sandbox must see whatever the table sees; where it does not, the line says why.
"""

from typing import Any

import pytest
from unit.slack.limits_table import HOME, MESSAGE, MODAL, Payload
from unit.slack.taken import assert_taken, verdicts

Case = tuple[str, tuple[str, Payload]]


def plain(text: str) -> Payload:
    return {"type": "plain_text", "text": text}


def formatted(text: str, **more: Any) -> Payload:
    return {"type": "mrkdwn", "text": text, **more}


def section(text: str = "a", **more: Any) -> Payload:
    return {"type": "section", "text": formatted(text), **more}


def button(**more: Any) -> Payload:
    return {"type": "button", "text": plain("Go"), "action_id": "a", **more}


def row(*elements: Payload) -> Payload:
    return {"type": "actions", "elements": list(elements)}


def confirmed(**more: Any) -> Payload:
    fields = {"title": "t", "text": "x", "confirm": "y", "deny": "n", **more}
    return row(button(confirm={name: plain(text) for name, text in fields.items()}))


def options(count: int) -> list[Payload]:
    return [{"text": plain("o"), "value": str(number)} for number in range(count)]


def chosen(kind: str, count: int, **more: Any) -> Payload:
    return {"type": kind, "action_id": "c", "options": options(count), **more}


def one_option(**more: Any) -> Payload:
    return row({**chosen("overflow", 0), "options": [{"text": plain("o"), "value": "v", **more}]})


def asked(element: Payload, **more: Any) -> Payload:
    return {"type": "input", "label": plain("L"), "element": element, **more}


def box(**more: Any) -> Payload:
    return {"type": "plain_text_input", "action_id": "x", **more}


def message(*blocks: Payload, text: str = "t") -> tuple[str, Payload]:
    return MESSAGE, {"text": text, "blocks": list(blocks)}


def modal(*blocks: Payload, **more: Any) -> tuple[str, Payload]:
    return MODAL, {"type": "modal", "title": plain("T"), "blocks": list(blocks), **more}


def window(*blocks: Payload) -> tuple[str, Payload]:
    return modal(*blocks, submit=plain("s"))


def home(*blocks: Payload, **more: Any) -> tuple[str, Payload]:
    return HOME, {"type": "home", "blocks": list(blocks), **more}


DIVIDER = {"type": "divider"}

BREACHES: dict[str, Case] = {
    "51 blocks in a message": ("TLS", message(*[DIVIDER] * 51)),
    "101 blocks in a modal": ("TMLS", modal(*[DIVIDER] * 101)),
    "101 blocks on a Home tab": ("TMLS", home(*[DIVIDER] * 101)),
    # Slack takes an empty list; there is nothing to see then, so ours never are.
    "no blocks in a message": ("L", message()),
    "no blocks on a Home tab": ("ML", home()),
    "one block_id twice": ("LS", message(section(block_id="b"), section(block_id="b"))),
    "a block_id of 256": ("TMLS", message(section(block_id="b" * 256))),
    # Slack makes one up for an empty id; ours must come back as they are.
    "an empty block_id": ("ML", message(section(block_id=""))),
    "one action_id twice in a row": ("LS", message(row(button(), button()))),
    "an action_id of 256": ("TMLS", message(row(button(action_id="a" * 256)))),
    "an empty action_id": ("MLS", message(row(button(action_id="")))),
    "a callback_id of 256": ("TMLS", modal(section(), callback_id="c" * 256)),
    "an external_id of 256": ("LS", modal(section(), external_id="c" * 256)),
    "13,500 characters in all blocks": ("LS", message(*[section("x" * 2_700)] * 5)),
    # The sandbox looks at `text` where the method is called.
    "a notification of 4,001": ("TL", message(section(), text="x" * 4_001)),
    "an empty notification": ("L", message(section(), text="")),
    "a section of 3,001": ("TMLS", message(section("a" * 3_001))),
    # Counted by code points it fits, by UTF-16 units it does not; nobody documents which Slack counts.
    "a section of 2,000 characters beyond the BMP": (
        "L",
        message(section("\N{MATHEMATICAL FRAKTUR CAPITAL U}" * 2_000)),
    ),
    "an empty section": ("TMLS", message(section(""))),
    "a section without anything": ("MLS", message({"type": "section"})),
    "11 fields": ("TMLS", message(section(fields=[formatted("a")] * 11))),
    "a field of 2,001": ("TLS", message(section(fields=[formatted("a" * 2_001)]))),
    "a header of 151": ("TMLS", message({"type": "header", "text": plain("h" * 151)})),
    "a formatted header": ("TS", message({"type": "header", "text": formatted("h")})),
    "11 things in a context": ("TMLS", message({"type": "context", "elements": [formatted("a")] * 11})),
    "an empty context": ("MLS", message({"type": "context", "elements": []})),
    "26 buttons in a row": ("TMLS", message(row(*[button(action_id=str(number)) for number in range(26)]))),
    "an empty row": ("MLS", message(row())),
    "a button text of 76": ("TMLS", message(row(button(text=plain("x" * 76))))),
    "a button without a word": ("TMLS", message(row(button(text=plain(""))))),
    "a formatted button": ("TS", message(row(button(text=formatted("x"))))),
    "a button value of 2,001": ("TMLS", message(row(button(value="x" * 2_001)))),
    "a button url of 3,001": ("TMLS", message(row(button(url="x" * 3_001)))),
    "a button style there is not": ("TMLS", message(row(button(style="default")))),
    "a confirm title of 101": ("TMLS", message(confirmed(title="x" * 101))),
    "a confirm text of 301": ("TMLS", message(confirmed(text="x" * 301))),
    "a confirm yes of 31": ("TMLS", message(confirmed(confirm="x" * 31))),
    "a confirm no of 31": ("TMLS", message(confirmed(deny="x" * 31))),
    "an option text of 76": ("TLS", message(one_option(text=plain("x" * 76)))),
    "an option value of 151": ("TLS", message(one_option(value="x" * 151))),
    # The comments in the types say 75, the documentation 150; ours stay below the smaller.
    "an option value of 76": ("T", message(one_option(value="x" * 76))),
    "an option description of 76": ("TLS", message(one_option(description=plain("x" * 76)))),
    "one option value twice": ("LS", message(row({**chosen("overflow", 0), "options": options(1) * 2}))),
    "an overflow of 6": ("TMLS", message(row(chosen("overflow", 6)))),
    "an empty overflow": ("MLS", message(row(chosen("overflow", 0)))),
    "a select of 101": ("TMLS", window(asked(chosen("static_select", 101)))),
    "11 checkboxes": ("TLS", window(asked(chosen("checkboxes", 11)))),
    "11 radio buttons": ("TLS", window(asked(chosen("radio_buttons", 11)))),
    "a choice that is not offered": ("LS", window(asked(chosen("static_select", 2, initial_option=options(3)[2])))),
    "a label of 2,001": ("TMLS", window(asked(box(), label=plain("x" * 2_001)))),
    "a hint of 2,001": ("TMLS", window(asked(box(), hint=plain("x" * 2_001)))),
    "a placeholder of 151": ("TMLS", window(asked(box(placeholder=plain("x" * 151))))),
    "a box for 3,001": ("LS", window(asked(box(max_length=3_001)))),
    # Not documented as refused; nobody could type into it.
    "a box for 5 to 2": ("L", window(asked(box(min_length=5, max_length=2)))),
    "a box that begins too long": ("LS", window(asked(box(max_length=2, initial_value="abc")))),
    "a number box without decimals said": ("TMLS", window(asked({"type": "number_input", "action_id": "n"}))),
    "a title of 25": ("TMLS", modal(section(), title=plain("x" * 25))),
    "a formatted title": ("TS", modal(section(), title=formatted("x"))),
    "a submit of 25": ("TMLS", modal(section(), submit=plain("x" * 25))),
    "a close of 25": ("TMLS", modal(section(), close=plain("x" * 25))),
    "an input nobody can submit": ("LS", modal(asked(box()))),
    "a Home tab with a title": ("TS", home(section(), title=plain("t"))),
    "private_metadata of 3,001": ("TMLS", modal(section(), private_metadata="x" * 3_001)),
    "a view of 300 kB": (
        "LS",
        modal(*[row(*[button(action_id=str(number), value="x" * 1_990) for number in range(25)])] * 6),
    ),
    "a block there is not": ("TMS", message({"type": "banner", "text": formatted("a")})),
    "a property there is not": ("TMS", message(section(colour="red"))),
    "a button to type into": ("TMS", window(asked(button()))),
    "emoji codes in formatted text": ("TMS", message({"type": "section", "text": formatted("a", emoji=True)})),
}

SOUND: dict[str, tuple[str, Payload]] = {
    "a message at its limits": message(
        {"type": "header", "text": plain("h" * 150)},
        section("x" * 3_000, fields=[formatted("f")] * 10),
        {"type": "context", "elements": [formatted("c")] * 10},
        row(*[button(action_id=str(number), text=plain("x" * 75), value="v" * 2_000) for number in range(25)]),
        text="x" * 4_000,
    ),
    "a modal at its limits": modal(
        asked(box(max_length=3_000, initial_value="x" * 3_000), label=plain("l" * 2_000), hint=plain("h" * 2_000)),
        asked(chosen("static_select", 100, initial_option=options(1)[0])),
        asked(chosen("checkboxes", 10, initial_options=options(10))),
        title=plain("t" * 24),
        submit=plain("s" * 24),
        close=plain("c" * 24),
        callback_id="c" * 255,
        private_metadata="p" * 3_000,
    ),
    "a Home tab at its limits": home(*[section()] * 100),
}


@pytest.mark.parametrize("name", BREACHES)
def test_each_breach_is_seen_by_who_can_see_it(name: str) -> None:
    """A payload with one thing wrong is refused by exactly those the table names, and never by nobody."""
    who, (surface, payload) = BREACHES[name]
    seen = "".join(judge[0].upper() for judge, said in verdicts(surface, payload).items() if said)

    assert seen == who


@pytest.mark.parametrize("name", SOUND)
def test_what_is_within_the_limits_is_taken(name: str) -> None:
    """At every limit and not beyond it, all four take it."""
    assert_taken(*SOUND[name])
