"""What reading gives: plain data with the line of every place in it, within bounds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loops.problems import Place

#: Levels of nesting, and values in one text after aliases are expanded.
MAX_DEPTH = 32
MAX_VALUES = 20_000

#: Integers with more digits are read as floats: exact ones would take quadratic time and fit nowhere.
_DIGITS_MAX = 300


@dataclass(frozen=True, slots=True)
class Marked:
    """Plain data and the line, from 1, of every place in it."""

    data: Any
    lines: Mapping[Place, int]

    def line_of(self, place: Place) -> int:
        """Return the line of *place* or, where nothing is written there, of the nearest thing around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


class UnreadableText(ValueError):  # noqa: N818 - the state it reports
    """The text is not YAML or JSON within the bounds. `line` counts from 1."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


def integer(digits: str) -> int | float:
    """Return the number that decimal *digits* say."""
    return int(digits) if len(digits) <= _DIGITS_MAX else float(digits)
