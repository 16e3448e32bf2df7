"""
Patterns: regular expressions that people write in loop files and configuration, kept from running away.

A pattern is matched against text that others send, so it is accepted only if no text of the allowed length can make
it slow. The notation is what ECMAScript (JSON Schema, browsers) and Python read alike: literals, classes, groups,
alternatives, repetitions, ``^`` and ``$``. Back references, look-around, flags and named groups are not in it.
"""

import re
from dataclasses import dataclass

#: Characters of one pattern, and the steps that matching it once may take: a fraction of a second.
LONGEST_PATTERN = 500
MOST_STEPS = 30_000_000

#: Escapes that mean the same to ECMAScript and Python, beside escaped punctuation.
_ESCAPES = frozenset("dDwWsStnrfv")
_QUANTIFIER = re.compile(r"\{(\d{1,4})(?:(,)(\d{0,4}))?\}", re.ASCII)


class BadPattern(ValueError):  # noqa: N818 - reads as what was written
    """The pattern cannot be used; the message says why and what to write instead."""


def compile_pattern(pattern: str, *, longest: int) -> re.Pattern[str]:
    """
    Return *pattern* compiled, to be searched in texts of up to *longest* characters.

    ``$`` means the very end, as in ECMAScript, and ``\\d``, ``\\w``, ``\\s`` are ASCII.

    Raises:
        BadPattern: If it is not in the notation above, or some text of that length would take too long.
    """
    if len(pattern) > LONGEST_PATTERN:
        raise BadPattern(f"longer than {LONGEST_PATTERN} characters")
    reader = _Reader(pattern, longest)
    ways = reader.alternatives()
    if reader.here < len(pattern):
        raise BadPattern(f"')' at {reader.here} closes nothing")
    starts = 1 if pattern.startswith("^") and not reader.has_top_alternatives else longest
    if ways * starts > MOST_STEPS:
        raise BadPattern(
            f"could take too long on a text of {longest} characters; bound its repetitions, as in [a-z]{{1,20}}, "
            "begin it with ^, or allow shorter texts"
        )
    try:
        return re.compile("".join(reader.written), re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadPattern(f"not a regular expression: {error}") from error


@dataclass(slots=True)
class _Reader:
    """
    Reads a pattern and counts ways: the most paths a backtracking matcher can take from one place in a text.

    A repetition of something that matches in one way adds as many ways as it has lengths; of something that matches
    in several, their power. That is what tells ``(a+)+`` from ``(ab?){3}``.
    """

    text: str
    longest: int
    here: int = 0
    depth: int = 0
    has_top_alternatives: bool = False
    written: list[str] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.written = []

    def alternatives(self) -> int:
        ways = self._sequence()
        while self._next() == "|":
            self.has_top_alternatives |= self.depth == 0
            self._take()
            ways += self._sequence()
        return ways

    def _sequence(self) -> int:
        ways = 1
        while self._next() not in ("", "|", ")"):
            ways = min(ways * self._piece(), MOST_STEPS + 1)
        return ways

    def _piece(self) -> int:
        before = self.here
        ways = self._atom()
        quantifier = self._quantifier()
        if quantifier is None:
            return ways
        if self.text[before] in "^$":
            raise BadPattern(f"'{self.text[before]}' at {before} cannot be repeated")
        least, most = quantifier
        if most is None:
            most = self.longest
        if least > most:
            raise BadPattern(f"the repetition before {self.here} asks for more than it allows")
        if ways == 1:
            return most - least + 1
        total = 0
        for count in range(least, most + 1):
            total += ways**count if count * ways.bit_length() < 64 else MOST_STEPS + 1
            if total > MOST_STEPS:
                return MOST_STEPS + 1
        return total

    def _atom(self) -> int:
        match self._take():
            case "(":
                return self._group()
            case "[":
                self._class()
            case "\\":
                self._escape()
            case "$":
                self.written[-1] = r"\Z"
            case character if character in "*+?{":
                raise BadPattern(f"'{character}' at {self.here - 1} repeats nothing; write \\{character} for itself")
            case _:
                pass
        return 1

    def _group(self) -> int:
        if self.text.startswith("?:", self.here):
            self._take(2)
        elif self._next() == "?":
            raise BadPattern(f"'(?' at {self.here - 1}: only plain groups and (?:...) are allowed")
        self.depth += 1
        if self.depth > 10:
            raise BadPattern("groups are nested too deeply")
        ways = self.alternatives()
        self.depth -= 1
        if self._next() != ")":
            raise BadPattern("a '(' is never closed")
        self._take()
        return ways

    def _class(self) -> None:
        start = self.here - 1
        if self._next() == "^":
            self._take()
        if self._next() == "]":
            raise BadPattern(f"the class at {start} is empty")
        while self._next() != "]":
            match self._take():
                case "":
                    raise BadPattern(f"the class at {start} is never closed")
                case "\\":
                    self._escape()
                case "[":
                    # Python reserves it, and warns; escaped it means the same to everybody.
                    self.written[-1] = r"\["
                case character if character in "&~|" and self._next() == character:
                    self.written[-1] = f"\\{character}"
                case _:
                    pass
        self._take()

    def _escape(self) -> None:
        character = self._next()
        if not character or (character.isalnum() and character not in _ESCAPES):
            raise BadPattern(f"'\\{character}' at {self.here - 1} is not an escape that is allowed here")
        self._take()

    def _quantifier(self) -> tuple[int, int | None] | None:
        found: tuple[int, int | None]
        match self._next():
            case "*":
                found = (0, None)
            case "+":
                found = (1, None)
            case "?":
                found = (0, 1)
            case "{":
                read = _QUANTIFIER.match(self.text, self.here)
                if read is None:
                    raise BadPattern(f"'{{' at {self.here} is no repetition such as {{2,5}}; write \\{{ for itself")
                least = int(read[1])
                found = (least, least if not read[2] else int(read[3]) if read[3] else None)
                self._take(len(read[0]) - 1)
            case _:
                return None
        self._take()
        if self._next() == "?":
            self._take()
        if self._next() in ("*", "+", "?", "{"):
            raise BadPattern(f"a repetition is repeated at {self.here}; put a group around it")
        return found

    def _next(self) -> str:
        return self.text[self.here : self.here + 1]

    def _take(self, count: int = 1) -> str:
        taken = self.text[self.here : self.here + count]
        self.here += count
        self.written.append(taken)
        return taken
