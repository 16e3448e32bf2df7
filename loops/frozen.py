"""
Frozen JSON: objects and arrays that nobody can change, so that they are shared instead of copied.

They are equal to plain ones and are written like them; a copy of one is plain again.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import NoneType
from typing import Any, NoReturn

from loops.canonical import Canonical

#: Types whose values never change.
UNCHANGING = frozenset({str, int, float, bool, NoneType, datetime, timedelta})


def _refuse(*_: object, **__: object) -> NoReturn:
    raise TypeError("what is frozen cannot be changed; make a copy of it")


class FrozenDict(dict[Any, Any]):
    """A JSON object that stays as it is. `at_most`, where somebody looked, is how many bytes its canonical form has."""

    __slots__ = ("at_most",)
    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    at_most: int

    def __reduce__(self) -> tuple[type[dict[Any, Any]], tuple[dict[Any, Any]]]:
        """Let copies and pickles be plain."""
        return dict, (dict(self),)


class SpelledDict(FrozenDict, Canonical):
    """One that knows its canonical form, which was made when it came in."""

    __slots__ = ("_text",)

    def __init__(self, items: Mapping[Any, Any], text: str, size: int) -> None:
        super().__init__(items)
        self._text = text
        self.at_most = size

    @property
    def canonical(self) -> str:
        """RFC 8785 text."""
        return self._text


class FrozenList(list[Any]):
    """A JSON array that stays as it is."""

    __slots__ = ()
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __reduce__(self) -> tuple[type[list[Any]], tuple[list[Any]]]:
        """Let copies and pickles be plain."""
        return list, (list(self),)


#: The types of JSON objects and arrays, plain and frozen.
OBJECTS = frozenset({dict, FrozenDict, SpelledDict})
ARRAYS = frozenset({list, tuple, FrozenList})

_FROZEN = frozenset({*UNCHANGING, FrozenDict, SpelledDict, FrozenList})


def frozen_json(item: Any) -> Any:
    """Return the JSON *item* with everything in it frozen, *item* itself where it is; tuples become lists."""
    if type(item) in _FROZEN:
        return item
    if isinstance(item, Mapping):
        return frozen_object(item)
    if isinstance(item, (list, tuple)):
        return FrozenList(map(frozen_json, item))
    return item


def frozen_object(source: Mapping[str, Any]) -> FrozenDict:
    """Return the JSON object *source* with everything in it frozen; *source* itself where it is."""
    if isinstance(source, FrozenDict):
        return source
    return FrozenDict({key: frozen_json(item) for key, item in source.items()})
