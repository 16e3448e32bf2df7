"""
Frozen values: what a store in memory keeps and gives out without a copy, because nobody can change it.

Values of `loops` are frozen at their surface; the JSON inside them, an instance's data and evidence, is plain dicts and
lists. Here those become ones that refuse to be changed. They are equal to plain ones and are written like them; a copy
of one is plain again.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import NoneType
from typing import Any, NoReturn, TypeVar

from loops.values import Value

V = TypeVar("V", bound=Value)

_UNCHANGING = frozenset({str, int, float, bool, NoneType, datetime, timedelta})


def _refuse(*_: object, **__: object) -> NoReturn:
    raise TypeError("what a store keeps cannot be changed; make a copy of it")


class FrozenDict(dict[Any, Any]):
    """A JSON object that stays as it is."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[dict[Any, Any]], tuple[dict[Any, Any]]]:
        """Let copies and pickles be plain."""
        return dict, (dict(self),)


class FrozenList(list[Any]):
    """A JSON array that stays as it is."""

    __slots__ = ()
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __reduce__(self) -> tuple[type[list[Any]], tuple[list[Any]]]:
        """Let copies and pickles be plain."""
        return list, (list(self),)


def frozen(value: V) -> V:
    """
    Return *value* with everything in it frozen; *value* itself where it is.

    Tuples in the JSON become the lists they are written as.
    """
    changed: dict[str, Any] = {}
    for name, item in vars(value).items():
        if type(item) not in _UNCHANGING and (inside := _frozen_field(item)) is not item:
            changed[name] = inside
    return type(value).trusting({**vars(value), **changed}) if changed else value


def _frozen_field(item: Any) -> Any:
    if isinstance(item, Value):
        return frozen(item)
    if type(item) is tuple:
        return tuple(map(_frozen_field, item)) if item else item
    return _frozen_json(item)


def _frozen_json(item: Any) -> Any:
    kind = type(item)
    if kind in _UNCHANGING or kind is FrozenDict or kind is FrozenList:
        return item
    if isinstance(item, Mapping):
        return FrozenDict({key: _frozen_json(inside) for key, inside in item.items()})
    if isinstance(item, (list, tuple)):
        return FrozenList(map(_frozen_json, item))
    return item
