"""
The rules that no type carries, one for each line of the table of Slack's limits: what holds across a whole payload.

Written from the documentation alone (docs.slack.dev, reference/block-kit and reference/views; the 13,200 characters are
measured), sharing no code and no number with the renderers or with the sandbox's lint: where two of them disagree, one
is wrong. Lengths are counted in UTF-16 units, the largest of the ways Slack may count.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

Payload = dict[str, Any]

MESSAGE, MODAL, HOME = "Message", "Modal", "Home"

BLOCKS = {MESSAGE: 50, MODAL: 100, HOME: 100}
#: By what an object is, then the longest text of each of its fields.
TEXTS: dict[str, dict[str, int]] = {
    "section": {"text": 3_000},
    "header": {"text": 150},
    "input": {"label": 2_000, "hint": 2_000},
    "button": {"text": 75, "value": 2_000, "url": 3_000},
    "modal": {"title": 24, "submit": 24, "close": 24},
}
CONFIRM = {"title": 100, "text": 300, "confirm": 30, "deny": 30}
OPTION = {"text": 75, "value": 150, "description": 75}
OPTIONS = {"overflow": 5, "checkboxes": 10, "radio_buttons": 10}
IDS = ("block_id", "action_id", "callback_id", "external_id")


def broken(surface: str, payload: Payload) -> list[str]:
    """Return what in *payload* breaks a rule of *surface*, one sentence each."""
    found = [*_ids(payload["blocks"]), *_totals(surface, payload)]
    for place, thing in _objects(payload, surface):
        found += [f"{place}: {wrong}" for wrong in _object(thing)]
    return found


def _objects(value: Any, place: str) -> Iterator[tuple[str, Payload]]:
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _objects(item, f"{place}/{number}")
    elif isinstance(value, dict):
        yield place, value
        for name, item in value.items():
            yield from _objects(item, f"{place}/{name}")


def _object(thing: Payload) -> Iterator[str]:
    kind = thing.get("type", "")
    for name in IDS:
        if name in thing and not 0 < _size(thing[name]) <= 255:
            yield f"{name} is empty or longer than 255"
    limits = TEXTS.get(kind, {})
    if {"confirm", "deny"} <= thing.keys():
        limits = CONFIRM
    elif "value" in thing and "text" in thing and not kind:
        limits = OPTION
    for name, most in limits.items():
        if name in thing and not 0 < _size(_text(thing[name])) <= most:
            yield f"{name} has {_size(_text(thing[name]))} characters, not 1 to {most}"
    if "placeholder" in thing and _size(_text(thing["placeholder"])) > 150:
        yield "a placeholder longer than 150"
    if kind in {"mrkdwn", "plain_text"} and not 0 < _size(thing["text"]) <= 3_000:
        yield "a text is empty or longer than 3,000"
    if "style" in thing and thing["style"] not in {"primary", "danger"}:
        yield f"there is no style {thing['style']!r}"
    yield from _lists(kind, thing)
    if kind == "plain_text_input":
        yield from _input(thing)
    if kind == "number_input" and not isinstance(thing.get("is_decimal_allowed"), bool):
        yield "is_decimal_allowed is missing"


def _lists(kind: str, thing: Payload) -> Iterator[str]:
    if kind == "section":
        if ("text" in thing) + bool(thing.get("fields")) == 0:
            yield "a section has neither text nor fields"
        if not len(thing.get("fields", ())) <= 10:
            yield "more than 10 fields"
        if any(_size(_text(each)) > 2_000 for each in thing.get("fields", ())):
            yield "a field longer than 2,000"
    if kind == "context" and not 1 <= len(thing["elements"]) <= 10:
        yield f"{len(thing['elements'])} elements in a context"
    if kind == "actions":
        if not 1 <= len(thing["elements"]) <= 25:
            yield f"{len(thing['elements'])} elements in a row of buttons"
        yield from _twice("action_id", [each["action_id"] for each in thing["elements"] if "action_id" in each])
    if "options" in thing:
        if not 1 <= len(thing["options"]) <= OPTIONS.get(kind, 100):
            yield f"{len(thing['options'])} options"
        yield from _twice("option value", [each["value"] for each in thing["options"]])
        chosen = thing.get("initial_options", [thing["initial_option"]] if "initial_option" in thing else [])
        if any(each not in thing["options"] for each in chosen):
            yield "begins with an option that it does not offer"


def _input(thing: Payload) -> Iterator[str]:
    least, most = thing.get("min_length", 0), thing.get("max_length", 3_000)
    if not (0 <= least <= most and 1 <= most <= 3_000):
        yield f"takes {least} to {most} characters"
    if not _size(thing.get("initial_value", "")) <= most:
        yield "begins with more than it takes"


def _ids(blocks: list[Payload]) -> Iterator[str]:
    yield from _twice("block_id", [block["block_id"] for block in blocks if "block_id" in block])


def _totals(surface: str, payload: Payload) -> Iterator[str]:
    count = len(payload["blocks"])
    if not 1 <= count <= BLOCKS[surface]:
        yield f"{count} blocks"
    if surface == MESSAGE:
        total = sum(
            _size(text["text"]) for _, text in _objects(payload["blocks"], "") if isinstance(text.get("text"), str)
        )
        if total > 13_200:
            yield f"{total} characters in all blocks"
        if not 0 < _size(payload["text"]) <= 4_000:
            yield f"a notification of {_size(payload['text'])} characters"
    else:
        # As a body may carry it: everything beyond ASCII as an escape.
        size = len(json.dumps(payload))
        if size > 250_000:
            yield f"a view of {size} bytes"
        if _size(payload.get("private_metadata", "")) > 3_000:
            yield "more than 3,000 characters of private_metadata"
    if surface == MODAL and "submit" not in payload and any(block["type"] == "input" for block in payload["blocks"]):
        yield "an input that nobody can submit"


def _twice(what: str, values: list[str]) -> Iterator[str]:
    for value, count in Counter(values).items():
        if count > 1:
            yield f"{what} {value!r} stands there {count} times"


def _text(value: Any) -> str:
    return str(value["text"]) if isinstance(value, dict) else str(value)


def _size(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
