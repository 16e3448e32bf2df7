"""Rules for interactive elements: buttons, menus, pickers and text inputs."""

from collections.abc import Callable
from typing import Any

from channels.slack_sandbox.blockkit import limits
from channels.slack_sandbox.blockkit.report import Report
from channels.slack_sandbox.blockkit.text import lint_confirm, lint_option, lint_options, lint_style, lint_text

Element = dict[str, Any]
Rule = Callable[[Element, str, Report], None]

_COMMON = frozenset({"type", "action_id"})
_BUTTON = _COMMON | {"text", "url", "value", "style", "confirm", "accessibility_label"}
_IMAGE = frozenset({"type", "image_url", "alt_text", "slack_file"})
_CHOICE = _COMMON | {"options", "initial_option", "initial_options", "confirm", "focus_on_load"}
_SELECT = _CHOICE | {
    "option_groups",
    "placeholder",
    "max_selected_items",
    "min_query_length",
    "filter",
    "default_to_current_conversation",
    "response_url_enabled",
    *(f"initial_{what}" for what in ("user", "users", "channel", "channels", "conversation", "conversations")),
}
_PICKER = _COMMON | {
    "placeholder",
    "confirm",
    "focus_on_load",
    "initial_date",
    "initial_time",
    "initial_date_time",
    "timezone",
}
_TEXT_INPUT = _COMMON | {
    "placeholder",
    "initial_value",
    "multiline",
    "min_length",
    "max_length",
    "dispatch_action_config",
    "focus_on_load",
    "is_decimal_allowed",
    "min_value",
    "max_value",
}

_SELECTS = frozenset(
    f"{prefix}{kind}_select"
    for prefix in ("", "multi_")
    for kind in ("static", "external", "users", "conversations", "channels")
)
_PICKERS = frozenset({"datepicker", "timepicker", "datetimepicker"})
_CHOICES = frozenset({"checkboxes", "radio_buttons"})

#: Which elements each block takes. Source: docs.slack.dev, reference/block-kit/block-elements, "Works with".
IN_ACTIONS = frozenset({"button", "overflow", "workflow_button"}) | _SELECTS | _PICKERS | _CHOICES
IN_SECTION = (IN_ACTIONS | {"image"}) - {"datetimepicker"}
IN_INPUT = (
    frozenset({"plain_text_input", "number_input", "email_text_input", "url_text_input"})
    | _SELECTS
    | _PICKERS
    | _CHOICES
)


def lint_element(element: Any, path: str, report: Report, allowed: frozenset[str]) -> None:
    """One element of a kind in *allowed*, by the rule of its kind."""
    if not isinstance(element, dict):
        report.add(path, "must be an object")
        return
    kind = element.get("type")
    if kind is None:
        report.add(path, "missing required field: type")
    elif not isinstance(kind, str) or kind not in allowed or kind not in ELEMENTS:
        report.add(f"{path}/type", f"unsupported type: {kind}")
    else:
        if "action_id" in element:
            report.string(element["action_id"], f"{path}/action_id", limits.ACTION_ID_MAX, minimum=1)
        ELEMENTS[kind](element, path, report)


def _button(element: Element, path: str, report: Report) -> None:
    report.known(element, path, _BUTTON)
    if "text" in element:
        lint_text(element["text"], f"{path}/text", report, limits.BUTTON_TEXT_MAX)
    else:
        report.add(path, "missing required field: text")
    if "value" in element:
        report.string(element["value"], f"{path}/value", limits.BUTTON_VALUE_MAX)
    if "url" in element:
        report.string(element["url"], f"{path}/url", limits.BUTTON_URL_MAX, minimum=1)
    if "accessibility_label" in element:
        report.string(
            element["accessibility_label"], f"{path}/accessibility_label", limits.ACCESSIBILITY_LABEL_MAX, minimum=1
        )
    lint_style(element, path, report)
    _shared(element, path, report)


def lint_image(element: Element, path: str, report: Report) -> None:
    """An image inside a section or a context block."""
    report.known(element, path, _IMAGE)
    if "image_url" not in element and "slack_file" not in element:
        report.add(path, "missing required field: image_url")
    if "image_url" in element:
        report.string(element["image_url"], f"{path}/image_url", limits.IMAGE_URL_MAX, minimum=1)
    if "alt_text" not in element:
        report.add(path, "missing required field: alt_text")
    else:
        report.string(element["alt_text"], f"{path}/alt_text", limits.IMAGE_ALT_MAX)


def _select(element: Element, path: str, report: Report) -> None:
    report.known(element, path, _SELECT)
    if element["type"] in {"static_select", "multi_static_select"}:
        if ("options" in element) == ("option_groups" in element):
            report.add(path, "must define exactly one of `options` and `option_groups`")
        if "options" in element:
            lint_options(element["options"], f"{path}/options", report, limits.SELECT_OPTIONS_MAX)
        groups = element.get("option_groups", [])
        least = 1 if "option_groups" in element else 0
        path_to = f"{path}/option_groups"
        for index, group in enumerate(report.items(groups, path_to, limits.OPTION_GROUPS_MAX, minimum=least)):
            here = f"{path_to}/{index}"
            if not isinstance(group, dict):
                report.add(here, "must be an object")
                continue
            lint_text(group.get("label"), f"{here}/label", report, limits.OPTION_TEXT_MAX)
            lint_options(group.get("options"), f"{here}/options", report, limits.SELECT_OPTIONS_MAX)
    _initial_options(element, path, report)
    _shared(element, path, report)


def _overflow(element: Element, path: str, report: Report) -> None:
    report.known(element, path, _COMMON | {"options", "confirm"})
    lint_options(element.get("options"), f"{path}/options", report, limits.OVERFLOW_OPTIONS_MAX)
    _shared(element, path, report)


def _choice(element: Element, path: str, report: Report) -> None:
    report.known(element, path, _CHOICE)
    maximum = limits.CHECKBOXES_OPTIONS_MAX if element["type"] == "checkboxes" else limits.RADIO_OPTIONS_MAX
    lint_options(element.get("options"), f"{path}/options", report, maximum, mrkdwn=True)
    _initial_options(element, path, report, mrkdwn=True)
    _shared(element, path, report)


def _picker(element: Element, path: str, report: Report) -> None:
    report.known(element, path, _PICKER)
    _shared(element, path, report)


def _text_input(element: Element, path: str, report: Report) -> None:
    report.known(element, path, _TEXT_INPUT)
    if element["type"] == "number_input" and not isinstance(element.get("is_decimal_allowed"), bool):
        report.add(path, "missing required field: is_decimal_allowed")
    for name in ("min_length", "max_length"):
        length = element.get(name)
        if length is None:
            continue
        least = 0 if name == "min_length" else 1
        if not isinstance(length, int) or not least <= length <= limits.PLAIN_TEXT_INPUT_MAX:
            report.add(f"{path}/{name}", f"must be an integer from {least} to {limits.PLAIN_TEXT_INPUT_MAX}")
    if "initial_value" in element:
        maximum = element.get("max_length")
        report.string(
            element["initial_value"],
            f"{path}/initial_value",
            maximum if isinstance(maximum, int) else limits.PLAIN_TEXT_INPUT_MAX,
        )
    _shared(element, path, report)


def _initial_options(element: Element, path: str, report: Report, *, mrkdwn: bool = False) -> None:
    groups = [group for group in _listed(element, "option_groups") if isinstance(group, dict)]
    lists = [_listed(element, "options"), *(_listed(group, "options") for group in groups)]
    offered = [
        (option.get("value"), _text_of(option)) for options in lists for option in options if isinstance(option, dict)
    ]
    initial = element.get("initial_options", [element["initial_option"]] if "initial_option" in element else [])
    name = "initial_options" if "initial_options" in element else "initial_option"
    for index, option in enumerate(report.items(initial, f"{path}/{name}", limits.SELECT_OPTIONS_MAX, minimum=0)):
        here = f"{path}/{name}/{index}" if name == "initial_options" else f"{path}/{name}"
        lint_option(option, here, report, mrkdwn=mrkdwn)
        if isinstance(option, dict) and offered and (option.get("value"), _text_of(option)) not in offered:
            report.add(here, "must match an option in `options` exactly")


def _listed(value: dict[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    return found if isinstance(found, list) else []


def _text_of(option: dict[str, Any]) -> Any:
    text = option.get("text")
    return text.get("text") if isinstance(text, dict) else None


def _shared(element: Element, path: str, report: Report) -> None:
    if "placeholder" in element:
        lint_text(element["placeholder"], f"{path}/placeholder", report, limits.PLACEHOLDER_MAX)
    if "confirm" in element:
        lint_confirm(element["confirm"], f"{path}/confirm", report)


ELEMENTS: dict[str, Rule] = {
    "button": _button,
    "workflow_button": _button,
    "image": lint_image,
    "overflow": _overflow,
    **dict.fromkeys(_SELECTS, _select),
    **dict.fromkeys(_CHOICES, _choice),
    **dict.fromkeys(_PICKERS, _picker),
    **dict.fromkeys(("plain_text_input", "number_input", "email_text_input", "url_text_input"), _text_input),
}
