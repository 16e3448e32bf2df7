"""JSON as plain data. The library judges it; its tokens are walked once more for what that does not tell."""

import json
import re
from typing import Any

from gateway.marked.marked import MAX_DEPTH, Marked, UnreadableText, integer
from loops.problems import Place

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def read_json(text: str) -> Marked:
    """
    Read one JSON document.

    Raises:
        UnreadableText: For bad syntax, duplicate keys, and nesting deeper than the bound.
    """
    try:
        data = json.loads(text, parse_int=integer)
    except json.JSONDecodeError as error:
        raise UnreadableText(error.msg, error.lineno) from error
    except RecursionError as error:
        raise UnreadableText(f"nested deeper than {MAX_DEPTH} levels", 1) from error
    return Marked(data, _lines(text))


def _lines(text: str) -> dict[Place, int]:
    """Walk the tokens of *text*, which json.loads judges, and note lines, duplicate keys and depth on the way."""
    lines: dict[Place, int] = {}
    stack: list[list[Any]] = []  # the place of each open container, then its key or index, then whether a key is next
    line, read_to = 1, 0
    for token in _TOKEN.finditer(text):
        line += text.count("\n", read_to, token.start())
        read_to = token.start()
        match token[0]:
            case "," if stack:
                stack[-1][2] = isinstance(stack[-1][1], str) or stack[-1][1] is None
                if isinstance(stack[-1][1], int):
                    stack[-1][1] += 1
            case ":" if stack:
                stack[-1][2] = False
            case "}" | "]" if stack:
                stack.pop()
            case word if stack and stack[-1][2] and word.startswith('"'):
                key = _key(word)
                if (*stack[-1][0], key) in lines:
                    raise UnreadableText(f"duplicate key '{key}'", line)
                stack[-1][1] = key
                lines[(*stack[-1][0], key)] = line
            case word:
                place: Place = (*stack[-1][0], stack[-1][1]) if stack and stack[-1][1] is not None else ()
                lines.setdefault(place, line)
                if word in "{[":
                    if len(stack) >= MAX_DEPTH:
                        raise UnreadableText(f"nested deeper than {MAX_DEPTH} levels", line)
                    stack.append([place, None if word == "{" else 0, word == "{"])
    return lines


def _key(token: str) -> str:
    try:
        return str(json.loads(token))
    except ValueError:
        return token
