"""Rules for blocks, and for a list of them on a surface."""

from collections.abc import Callable, Iterator
from typing import Any

from channels.slack_sandbox.blockkit import limits
from channels.slack_sandbox.blockkit.elements import IN_ACTIONS, IN_INPUT, IN_SECTION, lint_element, lint_image
from channels.slack_sandbox.blockkit.report import Report
from channels.slack_sandbox.blockkit.text import ANY_TEXT, lint_text

Block = dict[str, Any]
Rule = Callable[[Block, str, Report], None]

_COMMON = frozenset({"type", "block_id"})


def lint_blocks(blocks: Any, path: str, report: Report, maximum: int) -> None:
    """Up to *maximum* blocks, each by the rule of its kind, with block ids that differ."""
    seen: set[str] = set()
    for index, block in enumerate(report.items(blocks, path, maximum, minimum=0)):
        here = f"{path}/{index}"
        if not isinstance(block, dict):
            report.add(here, "must be an object")
            continue
        kind = block.get("type")
        if kind is None:
            report.add(here, "missing required field: type")
            continue
        if not isinstance(kind, str) or kind not in BLOCKS:
            report.add(f"{here}/type", f"unsupported type: {kind}")
            continue
        if "block_id" in block and report.string(block["block_id"], f"{here}/block_id", limits.BLOCK_ID_MAX):
            if block["block_id"] and block["block_id"] in seen:
                report.add(f"{here}/block_id", f"`block_id` {block['block_id']!r} already exists; it must be unique")
            seen.add(block["block_id"])
        BLOCKS[kind](block, here, report)


def block_text_length(blocks: Any) -> int:
    """Characters of every text in *blocks*, however deep."""
    return sum(len(text) for text in _texts(blocks))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name == "text" and isinstance(item, str):
                yield item
            else:
                yield from _texts(item)


def _section(block: Block, path: str, report: Report) -> None:
    report.known(block, path, _COMMON | {"text", "fields", "accessory", "expand"})
    if "text" not in block and "fields" not in block:
        report.add(path, "must define either `text` or `fields`")
    if "text" in block:
        lint_text(block["text"], f"{path}/text", report, limits.SECTION_TEXT_MAX, types=ANY_TEXT)
    if "fields" in block:
        for index, field in enumerate(report.items(block["fields"], f"{path}/fields", limits.SECTION_FIELDS_MAX)):
            lint_text(field, f"{path}/fields/{index}", report, limits.SECTION_FIELD_TEXT_MAX, types=ANY_TEXT)
    if "accessory" in block:
        lint_element(block["accessory"], f"{path}/accessory", report, IN_SECTION)


def _header(block: Block, path: str, report: Report) -> None:
    report.known(block, path, _COMMON | {"text", "level"})
    lint_text(block.get("text"), f"{path}/text", report, limits.HEADER_TEXT_MAX)


def _context(block: Block, path: str, report: Report) -> None:
    report.known(block, path, _COMMON | {"elements"})
    elements = report.items(block.get("elements"), f"{path}/elements", limits.CONTEXT_ELEMENTS_MAX)
    for index, element in enumerate(elements):
        here = f"{path}/elements/{index}"
        if isinstance(element, dict) and element.get("type") == "image":
            lint_image(element, here, report)
        elif isinstance(element, dict) and element.get("type") not in tuple(ANY_TEXT):
            report.add(f"{here}/type", f"unsupported type: {element.get('type')}")
        else:
            lint_text(element, here, report, limits.CONTEXT_TEXT_MAX, types=ANY_TEXT)


def _actions(block: Block, path: str, report: Report) -> None:
    report.known(block, path, _COMMON | {"elements"})
    seen: set[str] = set()
    elements = report.items(block.get("elements"), f"{path}/elements", limits.ACTIONS_ELEMENTS_MAX)
    for index, element in enumerate(elements):
        here = f"{path}/elements/{index}"
        lint_element(element, here, report, IN_ACTIONS)
        action_id = element.get("action_id") if isinstance(element, dict) else None
        if isinstance(action_id, str):
            if action_id in seen:
                report.add(f"{here}/action_id", f"`action_id` {action_id!r} already exists; it must be unique")
            seen.add(action_id)


def _divider(block: Block, path: str, report: Report) -> None:
    report.known(block, path, _COMMON)


def _image(block: Block, path: str, report: Report) -> None:
    report.known(block, path, _COMMON | {"image_url", "alt_text", "title", "slack_file"})
    lint_image({name: value for name, value in block.items() if name not in {"block_id", "title"}}, path, report)
    if "title" in block:
        lint_text(block["title"], f"{path}/title", report, limits.IMAGE_TITLE_MAX)


def _input(block: Block, path: str, report: Report) -> None:
    report.known(block, path, _COMMON | {"label", "element", "hint", "optional", "dispatch_action"})
    if "label" in block:
        lint_text(block["label"], f"{path}/label", report, limits.INPUT_LABEL_MAX)
    else:
        report.add(path, "missing required field: label")
    if "hint" in block:
        lint_text(block["hint"], f"{path}/hint", report, limits.INPUT_HINT_MAX)
    if "element" in block:
        lint_element(block["element"], f"{path}/element", report, IN_INPUT)
    else:
        report.add(path, "missing required field: element")


def _rich_text(block: Block, path: str, report: Report) -> None:
    report.known(block, path, _COMMON | {"elements"})
    kinds = ("rich_text_section", "rich_text_list", "rich_text_quote", "rich_text_preformatted")
    for index, element in enumerate(report.items(block.get("elements"), f"{path}/elements", 1_000)):
        kind = element.get("type") if isinstance(element, dict) else None
        if kind not in kinds:
            report.add(f"{path}/elements/{index}/type", f"unsupported type: {kind}")


def _markdown(block: Block, path: str, report: Report) -> None:
    report.known(block, path, _COMMON | {"text"})
    report.string(block.get("text"), f"{path}/text", limits.MARKDOWN_TEXT_MAX, minimum=1)


BLOCKS: dict[str, Rule] = {
    "section": _section,
    "header": _header,
    "context": _context,
    "actions": _actions,
    "divider": _divider,
    "image": _image,
    "input": _input,
    "rich_text": _rich_text,
    "markdown": _markdown,
}
