"""
Templates in loop files: ``{{ data.changeId }}`` in titles, facts and integration parameters.

Only dotted paths into a few named roots: nothing is called, nothing is computed, so a template can be shown to an
approver and evaluated anywhere with the same result.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from loops.values import dotted

#: What a template may read.
ROOTS = ("data", "evidence", "instance", "requester")

#: Shown where a template names something that is not there: a gap must be seen, not guessed.
MISSING = "—"

_BRACES = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_HOLE = re.compile(r"\{\{\s*([A-Za-z_][\w-]*(?:\.[\w-]+)*)\s*\}\}")


def render(template: str, scope: Mapping[str, Any]) -> str:
    """Return *template* as text, each hole filled from *scope*."""
    return _HOLE.sub(lambda hole: as_text(dotted(scope, hole[1])), template)


def fill(value: Any, scope: Mapping[str, Any]) -> Any:
    """Return the JSON *value* with its templates filled; a text that is one hole becomes the value itself, typed."""
    match value:
        case str():
            whole = _HOLE.fullmatch(value.strip())
            return dotted(scope, whole[1]) if whole else render(value, scope)
        case Mapping():
            return {key: fill(item, scope) for key, item in value.items()}
        case list() | tuple():
            return [fill(item, scope) for item in value]
        case _:
            return value


def as_text(value: Any) -> str:
    """Return a JSON value as people read it in a fact: lists joined, booleans as yes and no."""
    match value:
        case None | "":
            return MISSING
        case bool():
            return "yes" if value else "no"
        case str():
            return value
        case list() | tuple() if all(isinstance(item, (str, int, float)) for item in value):
            return ", ".join(as_text(item) for item in value) or MISSING
        case _:
            return json.dumps(value, ensure_ascii=False, sort_keys=True)


def problems(template: str) -> Iterator[str]:
    """Yield what is wrong with *template*: a hole that is not a path, or a root there is not."""
    for hole in _BRACES.findall(template):
        path = hole.strip()
        if not _HOLE.fullmatch(f"{{{{{path}}}}}"):
            yield f"'{{{{{hole}}}}}' is not a dotted path such as data.service"
        elif path.split(".")[0] not in ROOTS:
            yield f"'{path}' starts at none of {', '.join(ROOTS)}"
    left = _BRACES.sub("", template)
    if "{{" in left or "}}" in left:
        yield "a '{{' without its '}}', or the other way round"
