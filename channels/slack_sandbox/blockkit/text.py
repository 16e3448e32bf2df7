"""Rules for the composition objects: text, option, option group and confirmation dialog."""

from typing import Any

from channels.slack_sandbox.blockkit import limits
from channels.slack_sandbox.blockkit.report import Report

PLAIN = frozenset({"plain_text"})
ANY_TEXT = frozenset({"plain_text", "mrkdwn"})

_TEXT = frozenset({"type", "text", "emoji", "verbatim"})
_OPTION = frozenset({"text", "value", "description", "url"})
_CONFIRM = frozenset({"title", "text", "confirm", "deny", "style"})


def lint_text(value: Any, path: str, report: Report, maximum: int, *, types: frozenset[str] = PLAIN) -> None:
    """A text object of one of *types* with 1 to *maximum* characters."""
    if not isinstance(value, dict):
        report.add(path, "must be an object")
        return
    kind = value.get("type")
    if kind is None:
        report.add(path, "missing required field: type")
    elif not isinstance(kind, str) or kind not in types:
        report.add(f"{path}/type", f"must be a valid enum value: {', '.join(sorted(types))}")
    report.known(value, path, _TEXT)
    if kind == "mrkdwn" and "emoji" in value:
        report.add(f"{path}/emoji", "`emoji` is only usable with plain_text")
    if "text" not in value:
        report.add(path, "missing required field: text")
    else:
        report.string(value["text"], f"{path}/text", maximum, minimum=1)


def lint_options(value: Any, path: str, report: Report, maximum: int, *, mrkdwn: bool = False) -> None:
    """A list of 1 to *maximum* options with values that differ."""
    seen: set[str] = set()
    for index, option in enumerate(report.items(value, path, maximum)):
        here = f"{path}/{index}"
        lint_option(option, here, report, mrkdwn=mrkdwn)
        if isinstance(option, dict) and isinstance(option.get("value"), str):
            if option["value"] in seen:
                report.add(f"{here}/value", "option values must be unique")
            seen.add(option["value"])


def lint_option(option: Any, path: str, report: Report, *, mrkdwn: bool = False) -> None:
    """One option; only radio buttons and checkboxes take *mrkdwn* in it."""
    if not isinstance(option, dict):
        report.add(path, "must be an object")
        return
    types = ANY_TEXT if mrkdwn else PLAIN
    report.known(option, path, _OPTION)
    if "text" not in option:
        report.add(path, "missing required field: text")
    else:
        lint_text(option["text"], f"{path}/text", report, limits.OPTION_TEXT_MAX, types=types)
    if "value" not in option:
        report.add(path, "missing required field: value")
    else:
        report.string(option["value"], f"{path}/value", limits.OPTION_VALUE_MAX, minimum=1)
    if "description" in option:
        lint_text(option["description"], f"{path}/description", report, limits.OPTION_DESCRIPTION_MAX, types=types)
    if "url" in option:
        report.string(option["url"], f"{path}/url", limits.BUTTON_URL_MAX, minimum=1)


def lint_confirm(value: Any, path: str, report: Report) -> None:
    """A confirmation dialog."""
    if not isinstance(value, dict):
        report.add(path, "must be an object")
        return
    report.known(value, path, _CONFIRM)
    for name, maximum, types in (
        ("title", limits.CONFIRM_TITLE_MAX, PLAIN),
        ("text", limits.CONFIRM_TEXT_MAX, ANY_TEXT),
        ("confirm", limits.CONFIRM_BUTTON_MAX, PLAIN),
        ("deny", limits.CONFIRM_BUTTON_MAX, PLAIN),
    ):
        if name in value:
            lint_text(value[name], f"{path}/{name}", report, maximum, types=types)
        else:
            report.add(path, f"missing required field: {name}")
    lint_style(value, path, report)


def lint_style(value: dict[str, Any], path: str, report: Report) -> None:
    """A style is ``primary``, ``danger`` or not there at all."""
    if "style" in value and value["style"] not in ("primary", "danger"):
        report.add(f"{path}/style", "must be a valid enum value: primary, danger")
