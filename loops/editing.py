"""Editing: changing a proposal within what its policy lets approvers change, typed and bounded."""

from collections.abc import Iterator, Mapping
from typing import Any

from loops.patterns import BadPattern, compile_pattern
from loops.values import JsonObject, Value, dotted

#: Characters a text may have where its rule names no `maxLength`.
TEXT_MAX = 2_000


class Change(Value):
    """One edited value. `path` is dotted, into the instance's data."""

    path: str
    old: Any = None
    new: Any = None


class Edited(Value):
    """The data after the edit, and what is different; no changes mean that every value was the same already."""

    data: JsonObject
    changes: tuple[Change, ...]


def edit(
    data: Mapping[str, Any], edits: Mapping[str, Any], editable: Mapping[str, Mapping[str, Any]]
) -> Edited | list[str]:
    """
    Return *data* with *edits* applied, or what is wrong with them, one sentence each.

    Args:
        data: The instance's data.
        edits: New values by dotted path.
        editable: The policy's rules by the same paths: `type` (integer, number, string, boolean), `minimum`,
            `maximum`, `enum`, `minLength`, `maxLength`, `pattern`, with JSON Schema's meanings.
    """
    problems = [problem for path, value in edits.items() for problem in _problems(path, value, editable.get(path))]
    if problems:
        return problems
    changes = tuple(
        Change(path=path, old=dotted(data, path), new=value)
        for path, value in edits.items()
        if not _same(dotted(data, path), value)
    )
    edited: Any = data
    for change in changes:
        edited = _with(edited, change.path.split("."), change.new)
    return Edited(data=dict(edited), changes=changes)


def _problems(path: str, value: Any, rule: Mapping[str, Any] | None) -> Iterator[str]:
    if rule is None:
        yield f"{path} is not among what may be edited"
        return
    wanted = rule.get("type", "string")
    if not _has_type(value, wanted):
        yield f"{path} must be {'an' if wanted == 'integer' else 'a'} {wanted}, not {type(value).__name__}"
        return
    if "enum" in rule and not any(_same(value, choice) for choice in rule["enum"]):
        yield f"{path} must be one of {', '.join(str(choice) for choice in rule['enum'])}"
    if "minimum" in rule and value < rule["minimum"]:
        yield f"{path} must be at least {rule['minimum']}"
    if "maximum" in rule and value > rule["maximum"]:
        yield f"{path} must be at most {rule['maximum']}"
    if isinstance(value, str):
        yield from _text_problems(path, value, rule)


def _text_problems(path: str, value: str, rule: Mapping[str, Any]) -> Iterator[str]:
    longest = rule.get("maxLength", TEXT_MAX)
    if len(value) > longest:
        yield f"{path} must have at most {longest} characters"
    elif len(value) < rule.get("minLength", 0):
        yield f"{path} must have at least {rule['minLength']} characters"
    elif "pattern" in rule and not _matches(rule["pattern"], value, longest):
        yield f"{path} must match {rule['pattern']}"


def _matches(pattern: str, value: str, longest: int) -> bool:
    try:
        return compile_pattern(pattern, longest=longest).search(value) is not None
    except BadPattern:
        # Checked definitions have none; from elsewhere, what cannot be judged is refused.
        return False


def _has_type(value: Any, wanted: str) -> bool:
    match wanted:
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case _:
            return isinstance(value, str)


def _same(one: Any, other: Any) -> bool:
    # True == 1 in Python, not in JSON.
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _with(data: Any, path: list[str], value: Any) -> Any:
    inner = data if isinstance(data, Mapping) else {}
    head, *rest = path
    return {**inner, head: _with(inner.get(head), rest, value) if rest else value}
