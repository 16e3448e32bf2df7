"""Frozen values: what a store in memory keeps and gives out without a copy, because nobody can change it."""

from functools import cache
from operator import is_
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import AwareDatetime

from loops.frozen import UNCHANGING, frozen_json
from loops.values import Value

V = TypeVar("V", bound=Value)

#: Types with nothing inside, and what ends the type of a tuple of any length.
_FLAT = UNCHANGING | {AwareDatetime, Ellipsis}


def frozen(value: V, kept: Value | None = None) -> V:
    """
    Return *value* with everything in it frozen; *value* itself where it is.

    Values of `loops` are frozen at their surface; what this sees to is the JSON inside them. What *kept*, a value that
    is frozen already, has in the same fields is not looked at again.
    """
    fields, before = vars(value), vars(kept) if kept else {}
    changed: dict[str, Any] = {}
    for name in _with_insides(type(value)):
        item = fields[name]
        if item is not before.get(name) and (inside := _frozen_field(item)) is not item:
            changed[name] = inside
    return type(value).trusting({**fields, **changed}) if changed else value


def _frozen_field(item: Any) -> Any:
    if isinstance(item, Value):
        return frozen(item)
    if type(item) is tuple:
        inside = tuple(map(_frozen_field, item))
        return item if all(map(is_, inside, item)) else inside
    return frozen_json(item)


@cache
def _with_insides(kind: type[Value]) -> tuple[str, ...]:
    """Return the fields of *kind* in which there may be something to freeze."""
    return tuple(name for name, field in kind.model_fields.items() if not _is_flat(field.annotation))


def _is_flat(annotation: Any) -> bool:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _is_flat(inner[0])
    if origin in {Union, UnionType, tuple}:
        return all(map(_is_flat, inner))
    if isinstance(annotation, type) and issubclass(annotation, Value):
        return not _with_insides(annotation)
    return origin is Literal or annotation in _FLAT
