"""YAML 1.2 as plain data: no tag builds anything, and scalars are those of the core schema and nothing else."""

import re
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from gateway.marked.marked import MAX_DEPTH, MAX_VALUES, Marked, UnreadableText, integer
from loops.problems import Place

# Source: yaml.org/spec/1.2.2, 10.3.2 (core schema: tag resolution).
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+", re.ASCII)
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_CORE_TAGS = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})


def read_yaml(text: str) -> Marked:
    """
    Read one YAML 1.2 document.

    Raises:
        UnreadableText: For bad syntax, duplicate keys, more than one document, tags, merge keys, recursive aliases,
            and anything deeper or larger than the bounds above.
    """
    builder = _Builder()
    line = 1
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            line = event.start_mark.line + 1
            builder.take(event, line)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        says = getattr(error, "problem", None) or getattr(error, "context", None) or str(error).splitlines()[0]
        raise UnreadableText(str(says), mark.line + 1 if mark else line) from error
    except UnreadableText:
        raise
    except (ValueError, OverflowError, RecursionError) as error:
        # ruamel lets some of these through, for escapes beyond Unicode for example.
        raise UnreadableText("something here that cannot be read", line) from error
    return builder.result()


@dataclass(slots=True)
class _Open:
    """A mapping or list being filled, the place it stands at, and the key that waits for its value."""

    value: dict[str, Any] | list[Any]
    place: Place
    anchor: str | None
    line: int
    values_before: int
    key: str | None = None


class _Builder:
    """Builds plain data from parser events on a stack of its own, so that no input can exhaust Python's."""

    def __init__(self) -> None:
        self.lines: dict[Place, int] = {}
        self._stack: list[_Open] = []
        self._anchored: dict[str, tuple[Any, int]] = {}
        self._values = 0
        self._documents = 0
        self._root: Any = None

    def take(self, event: Any, line: int) -> None:
        match event:
            case DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise UnreadableText("a loop file holds one document; split it at '---'", line)
            case ScalarEvent():
                self._scalar(event, line)
            case MappingStartEvent() | SequenceStartEvent():
                self._begin(event, line)
            case MappingEndEvent() | SequenceEndEvent():
                done = self._stack.pop()
                if done.anchor:
                    self._anchored[done.anchor] = (done.value, self._values - done.values_before)
            case AliasEvent():
                self._alias(event.anchor, line)
            case _:
                pass

    def result(self) -> Marked:
        if self._root is None:
            raise UnreadableText("the file is empty", 1)
        return Marked(self._root, self.lines)

    def _scalar(self, event: Any, line: int) -> None:
        _check_tag(event.tag, line)
        top = self._stack[-1] if self._stack else None
        if top and isinstance(top.value, dict) and top.key is None:
            if event.value == "<<" and event.implicit[0]:
                raise UnreadableText("merge keys (<<) are not YAML 1.2; write the keys out", line)
            if event.value in top.value:
                raise UnreadableText(f"duplicate key '{event.value}'", line)
            top.key = event.value
            self.lines[(*top.place, event.value)] = line
            return
        # implicit[0]: a plain scalar without a tag. Everything else is text.
        value = plain(event.value) if event.implicit[0] else event.value
        self._count(1, line)
        self._put(value, line)
        if event.anchor:
            self._anchored[event.anchor] = (value, 1)

    def _begin(self, event: Any, line: int) -> None:
        _check_tag(event.tag, line)
        if len(self._stack) >= MAX_DEPTH:
            raise UnreadableText(f"nested deeper than {MAX_DEPTH} levels", line)
        value: dict[str, Any] | list[Any] = {} if isinstance(event, MappingStartEvent) else []
        before = self._values
        self._count(1, line)
        place = self._put(value, line)
        self._stack.append(_Open(value, place, event.anchor, line, before))

    def _alias(self, anchor: str, line: int) -> None:
        if any(open_.anchor == anchor for open_ in self._stack):
            raise UnreadableText(f"alias '*{anchor}' contains itself", line)
        if anchor not in self._anchored:
            raise UnreadableText(f"alias '*{anchor}' names no anchor before it", line)
        value, size = self._anchored[anchor]
        self._count(size, line)
        if len(self._stack) + _depth(value) > MAX_DEPTH:
            raise UnreadableText(f"nested deeper than {MAX_DEPTH} levels", line)
        self._put(value, line)

    def _count(self, values: int, line: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise UnreadableText(f"more than {MAX_VALUES} values, aliases expanded", line)

    def _put(self, value: Any, line: int) -> Place:
        if not self._stack:
            self._root = value
            self.lines[()] = line
            return ()
        top = self._stack[-1]
        if isinstance(top.value, list):
            place: Place = (*top.place, len(top.value))
            top.value.append(value)
        elif top.key is None:
            raise UnreadableText("a key must be text", line)
        else:
            place = (*top.place, top.key)
            top.value[top.key] = value
            top.key = None
        self.lines.setdefault(place, line)
        return place


def _check_tag(tag: str | None, line: int) -> None:
    if tag is not None and tag not in _CORE_TAGS:
        raise UnreadableText(f"tag '{tag}' is not supported; loop files are plain data", line)


def plain(text: str) -> Any:
    """
    Return what an unquoted YAML scalar says.

    Infinities and NaN come out as floats: whoever checks the data refuses them, with their path.
    """
    if text in _NULL:
        return None
    if text in _TRUTH:
        return _TRUTH[text]
    if _INTEGER.fullmatch(text):
        return integer(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return float(text) if _FLOAT.fullmatch(text) else text


def _depth(value: Any) -> int:
    match value:
        case dict():
            return 1 + max((_depth(item) for item in value.values()), default=0)
        case list():
            return 1 + max((_depth(item) for item in value), default=0)
        case _:
            return 0
