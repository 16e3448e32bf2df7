"""Reading what was typed after the slash command. Pure; nothing typed is ever refused with an exception."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from html import unescape
from typing import Any

from loops.durations import parse_duration

#: What the command knows, in the order of its help.
VERBS = (
    "pending",
    "show",
    "history",
    "who",
    "definitions",
    "start",
    "cancel",
    "snooze",
    "away",
    "back",
    "retry",
    "help",
)
SHARE, PAGE = "--share", "--page"
#: Pages are counted up to here.
PAGE_MAX = 50

#: Phones write these for plain quotation marks.
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'"})
#: How Slack's clients write two hyphens.
_DASHES = ("—", "–")


@dataclass(frozen=True, slots=True)
class Typed:
    """One command line: what to do, with what, for whom to see, which page."""

    verb: str
    words: tuple[str, ...] = ()
    is_shared: bool = False
    page: int = 1

    @property
    def rest(self) -> str:
        """The words after the verb, as one."""
        return " ".join(self.words)


def parse(text: str) -> Typed:
    """Return what *text* asks. Slack escapes three characters in it; quotation marks keep words together."""
    words = _words(unescape(text).translate(_QUOTES))
    kept: list[str] = []
    is_shared, page = False, 1
    numbers = iter(words)
    for word in numbers:
        name, _, number = _plain_flag(word).partition("=")
        if name == SHARE:
            is_shared = True
        elif name == PAGE:
            page = _page(number or next(numbers, ""))
        else:
            kept.append(word)
    verb = kept[0].lower() if kept else "help"
    return Typed(verb, tuple(kept[1:]), is_shared, page)


def span_of(word: str) -> timedelta | None:
    """Return the span *word* says, such as ``1h30m``, or None."""
    try:
        span = parse_duration(word.lower())
    except ValueError:
        return None
    return span if isinstance(span, timedelta) else None


def nearest(word: str, known: Sequence[str]) -> str | None:
    """Return which of *known* was probably meant, or None."""
    begun = [each for each in known if word and each.casefold().startswith(word.casefold())]
    close = get_close_matches(word.casefold(), [each.casefold() for each in known], n=1, cutoff=0.5)
    found = begun[0] if begun else close[0] if close else None
    return next((each for each in known if found and each.casefold() == found.casefold()), None)


def pairs(words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the values of ``KEY=VALUE`` words by key, and the words that are none."""
    values: dict[str, Any] = {}
    others: list[str] = []
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key:
            values[key] = value_of(value)
        else:
            others.append(word)
    return values, others


def value_of(text: str) -> Any:
    """
    Return what *text* means: JSON where it is exactly that, else the text itself.

    A number stays a text where writing it again would change it, such as a version 1.10 or an id 007.
    """
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return text
    is_exact = not isinstance(value, (int, float)) or json.dumps(value) == text
    return value if is_exact else text


def nested(values: dict[str, Any]) -> dict[str, Any] | None:
    """Return *values* with dotted keys as objects in objects; None where one key is in the way of another."""
    data: dict[str, Any] = {}
    for key, value in values.items():
        *outer, last = key.split(".")
        here = data
        for step in outer:
            inner = here.setdefault(step, {})
            if not isinstance(inner, dict):
                return None
            here = inner
        if last in here:
            return None
        here[last] = value
    return data


def _words(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    lexer.escape = ""
    # JSON keeps its own quotation marks: they begin in the middle of a word.
    if "={" in text or "=[" in text:
        return text.split()
    try:
        return list(lexer)
    except ValueError:
        return text.split()


def _plain_flag(word: str) -> str:
    for dash in _DASHES:
        if word.startswith(dash):
            return f"--{word.removeprefix(dash)}"
    return word


def _page(number: str) -> int:
    return max(1, min(int(number), PAGE_MAX)) if number.isascii() and number.isdigit() and len(number) < 6 else 1


def _no_number(_: str) -> Any:
    raise ValueError("JSON has no such number")
