"""What a person has chosen or typed: the `state.values` Slack keeps for a message or a view."""

import re
from collections.abc import Iterator
from typing import Any

from channels.slack_sandbox.blockkit.surfaces import elements_of
from channels.slack_sandbox.workspace import Blocks, JsonObject

State = dict[str, JsonObject]

REQUIRED_TEXT = "Please complete all required fields."

_PICKED = {"datepicker": "selected_date", "timepicker": "selected_time", "datetimepicker": "selected_date_time"}
_INITIAL = {"datepicker": "initial_date", "timepicker": "initial_time", "datetimepicker": "initial_date_time"}
_TEXT_INPUTS = frozenset({"plain_text_input", "number_input", "email_text_input", "url_text_input"})
_STATELESS = frozenset({"button", "overflow", "workflow_button"})
_DIRECTORY = re.compile(r"^(multi_)?(user|channel|conversation)s_select$")


class NoSuchElementError(ValueError):
    """An act names an element or an option that is not in what is shown."""


def find_element(blocks: Blocks, action_id: str, block_id: str | None = None) -> tuple[JsonObject, JsonObject]:
    """
    The (block, element) a person acts on.

    Raises:
        NoSuchElementError: Nothing there has this action id; the message names those that are.
    """
    for block, element in _elements(blocks):
        if element["action_id"] == action_id and block_id in {None, block["block_id"]}:
            return block, element
    offered = ", ".join(element["action_id"] for _, element in _elements(blocks)) or "none"
    raise NoSuchElementError(f"no element {action_id!r} (block {block_id or 'any'}) is shown; there are: {offered}")


def has_element(blocks: Blocks, action_id: str, block_id: str | None = None) -> bool:
    """Whether there is such an element to act on."""
    return any(
        element["action_id"] == action_id and block_id in {None, block["block_id"]}
        for block, element in _elements(blocks)
    )


def initial_state(blocks: Blocks, previous: State | None = None) -> State:
    """The state of *blocks* as first shown; values a person gave in *previous* stay where block and element do."""
    state: State = {}
    for block, element in _elements(blocks):
        if element["type"] in _STATELESS:
            continue
        kept = (previous or {}).get(block["block_id"], {}).get(element["action_id"])
        same_kind = kept is not None and kept["type"] == element["type"]
        value = kept if same_kind else chosen(element, _initial_value(element))
        state.setdefault(block["block_id"], {})[element["action_id"]] = value
    return state


def merged_state(blocks: Blocks, state: State, values: dict[str, dict[str, Any]]) -> State:
    """
    *state* with plain *values* (``{block_id: {action_id: value}}``) put in as the elements want them.

    Raises:
        NoSuchElementError: A value for an element that is not there, or an option it does not offer.
    """
    merged: State = {block_id: dict(actions) for block_id, actions in state.items()}
    for block_id, actions in values.items():
        for action_id, value in actions.items():
            _, element = find_element(blocks, action_id, block_id)
            merged.setdefault(block_id, {})[action_id] = chosen(element, value)
    return merged


def chosen(element: JsonObject, value: Any) -> JsonObject:
    """The state object of *element* when a person picked or typed *value* (None: nothing)."""
    kind = element["type"]
    if kind in _PICKED:
        return {"type": kind, _PICKED[kind]: value}
    if kind in _TEXT_INPUTS:
        return {"type": kind, "value": None if value in {None, ""} else str(value)}
    if kind in {"checkboxes", "multi_static_select", "multi_external_select"}:
        return {"type": kind, "selected_options": [_option(element, item) for item in value or []]}
    if found := _DIRECTORY.match(kind):
        many, what = found.groups()
        return {"type": kind, f"selected_{what}{'s' if many else ''}": (value or []) if many else value}
    return {"type": kind, "selected_option": None if value is None else _option(element, value)}


def missing_inputs(blocks: Blocks, state: State) -> dict[str, str]:
    """What Slack's own client refuses before it asks the app: required inputs left empty, lengths out of bounds."""
    errors: dict[str, str] = {}
    for block in blocks:
        if block["type"] != "input":
            continue
        element = block["element"]
        given = state.get(block["block_id"], {}).get(element["action_id"], {})
        values = [value for name, value in given.items() if name != "type"]
        filled = any(value not in (None, "", []) for value in values)
        if not filled and not block.get("optional", False):
            errors[block["block_id"]] = REQUIRED_TEXT
        elif filled and element["type"] in _TEXT_INPUTS and (wrong := _wrong_text(element, given["value"])):
            errors[block["block_id"]] = wrong
    return errors


def _wrong_text(element: JsonObject, text: str) -> str:
    if element["type"] == "number_input":
        return _wrong_number(element, text)
    least, most = element.get("min_length", 0), element.get("max_length", 3_000)
    if len(text) < least:
        return f"Please enter at least {least} characters."
    if len(text) > most:
        return f"Please enter at most {most} characters."
    return ""


def _wrong_number(element: JsonObject, text: str) -> str:
    try:
        number = float(text)
    except ValueError:
        return "Please enter a number."
    if not element.get("is_decimal_allowed") and not number.is_integer():
        return "Please enter a whole number."
    if "min_value" in element and number < float(element["min_value"]):
        return f"Please enter a number of at least {element['min_value']}."
    if "max_value" in element and number > float(element["max_value"]):
        return f"Please enter a number of at most {element['max_value']}."
    return ""


def _elements(blocks: Blocks) -> Iterator[tuple[JsonObject, JsonObject]]:
    for block in blocks:
        for element in elements_of(block):
            yield block, element


def _initial_value(element: JsonObject) -> Any:
    kind = element["type"]
    if kind in _PICKED:
        return element.get(_INITIAL[kind])
    if kind in _TEXT_INPUTS:
        return element.get("initial_value")
    if "initial_options" in element:
        return [option["value"] for option in element["initial_options"]]
    if "initial_option" in element:
        return element["initial_option"]["value"]
    if found := _DIRECTORY.match(kind):
        many, what = found.groups()
        return element.get(f"initial_{what}{'s' if many else ''}")
    return None


def _option(element: JsonObject, value: Any) -> JsonObject:
    wanted = value.get("value") if isinstance(value, dict) else value
    groups = element.get("option_groups") or [{"options": element.get("options", [])}]
    offered: list[JsonObject] = [option for group in groups for option in group["options"]]
    for option in offered:
        if option["value"] == wanted:
            return option
    raise NoSuchElementError(
        f"{element['action_id']!r} has no option {wanted!r}; it offers {[option['value'] for option in offered]}"
    )
