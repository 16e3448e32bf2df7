"""
Redaction: what looks like a secret is neither stored nor shown nor sent.

Two nets: values under key names that say secret, and texts in which a known form of credential stands. Both err on the
side of hiding: a change can be assessed and approved without the password in it. What was taken out is named by its
path, so that the ledger can say so.

Almost every value has no secret in it, and is told apart in one walk and one look at all its texts together. Nothing
here costs more than time linear in the size of a hostile text.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

from pydantic import Field, field_validator

from loops.frozen import ARRAYS, OBJECTS
from loops.patterns import compile_pattern
from loops.values import Identifier, Value

#: A key with one of these words in it hides its value.
SECRET_WORDS: Final = frozenset(
    [
        "password",
        "passwords",
        "passwd",
        "passphrase",
        "pwd",
        "secret",
        "secrets",
        "token",
        "apikey",
        "authorization",
        "cookie",
        "cookies",
        "cvv",
        "cvc",
        "credential",
        "credentials",
        "privatekey",
        "connectionstring",
        "pin",
    ]
)

#: A key with one of these pairs of neighbouring words in it does, too.
SECRET_PAIRS: Final = frozenset(
    {
        ("api", "key"),
        ("private", "key"),
        ("access", "key"),
        ("signing", "key"),
        ("encryption", "key"),
        ("master", "key"),
        ("connection", "string"),
        ("card", "number"),
        ("session", "id"),
    }
)

#: After ``token`` these words say that the value is about tokens, not one of them.
_ABOUT_TOKENS = frozenset({"count", "limit", "budget", "usage", "type"})

#: The longest text that patterns of an installation are made safe for: evidence, which is larger, is not one text.
_LONGEST_TEXT = 256 * 1024

#: Keys found innocent that are remembered, and how long each may be: so many, then they are looked at anew.
_KEYS_KEPT = 4_096
_KEY_LENGTH_KEPT = 100

#: The shortest text in which any form below can stand.
_SHORTEST = 7

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
TAKEN_OUT = re.compile(r"\[redacted:[a-z0-9-]{1,200}\]")
_DIGITS_ONLY = bytes.maketrans(bytes(range(256)), bytes(48 if chr(code).isdecimal() else 120 for code in range(256)))


class RedactionRules(Value):
    """
    What an installation adds to the forms known here, or takes from them.

    `keys` are more key names whose values are hidden, `keep` those whose values stay although their name says secret
    (credentials in their texts still go); case and separators do not matter in either. `patterns` are more forms of
    secrets in texts, by the name they are replaced with: regular expressions as `loops.patterns` reads them.
    """

    keys: tuple[Identifier, ...] = ()
    keep: tuple[Identifier, ...] = ()
    patterns: Mapping[Identifier, str] = Field(default_factory=dict)

    @field_validator("patterns")
    @classmethod
    def _patterns_are_safe(cls, patterns: Mapping[str, str]) -> Mapping[str, str]:
        for name, pattern in patterns.items():
            if not re.fullmatch(r"[a-z0-9-]{1,200}", name):
                raise ValueError(f"'{name}' is no name for a form; use small letters, digits and hyphens")
            if compile_pattern(pattern, longest=_LONGEST_TEXT).search(""):
                raise ValueError(f"the pattern of '{name}' matches nothing at all, so it would match everywhere")
        return patterns

    @cached_property
    def net(self) -> "Net":
        """These rules, ready to use."""
        return Net(self)


@dataclass(frozen=True, slots=True)
class Redacted:
    """A value without its secrets, and the dotted paths where something was taken out. No paths: the value itself."""

    value: Any
    paths: tuple[str, ...] = ()


def redact(value: Any, rules: RedactionRules | None = None, *, where: str = "$") -> Redacted:
    """
    Return the JSON *value* with secrets replaced by ``[redacted:<what>]``; *value* itself where it has none.

    Pure: *value* is left alone. True, False and None are never secrets, so ``passwordRequired: true`` stays. Redacting
    again changes nothing and names no path.

    Args:
        rules: What this installation hides besides what is known here.
        where: What paths begin with, such as ``evidence``.

    Raises:
        RecursionError: If *value* is nested bottomlessly; `loops.evidence.accept` refuses that first.
    """
    net = (rules or _PLAIN).net
    if net.is_clean(value):
        return Redacted(value)
    paths: list[str] = []
    cleaned = net.clean(value, where, paths)
    return Redacted(cleaned, tuple(paths)) if paths else Redacted(value)


def redact_text(text: str) -> str:
    """Return *text* with every known form of credential in it replaced."""
    return _PLAIN.net.text(text)


@dataclass(frozen=True, slots=True)
class _Form:
    """
    A form of credential.

    `hints` are there for speed: one of them must stand in the text (in small letters, where the form ignores case), or
    the pattern is not asked. A `dense` form has at least `_DENSE` characters without white space.
    """

    pattern: re.Pattern[str]
    replace: str | Callable[[re.Match[str]], str]
    hints: tuple[str, ...]
    dense: bool


class Net:
    """Rules made ready: see `redact`."""

    def __init__(self, rules: RedactionRules) -> None:
        self._hide = frozenset(map(_plain, rules.keys))
        self._keep = frozenset(map(_plain, rules.keep))
        self._own = tuple(
            _Form(compile_pattern(pattern, longest=_LONGEST_TEXT), _as(name), (), dense=False)
            for name, pattern in rules.patterns.items()
        )
        self._shortest = 1 if self._own else _SHORTEST
        self._innocent: set[str] = set()

    def is_clean(self, value: Any) -> bool:
        """Return whether nothing in *value* is taken for a secret; False may be an error on the safe side."""
        texts: list[str] = []
        waiting = [value]
        innocent, shortest = self._innocent, self._shortest
        while waiting:
            here = waiting.pop()
            kind = type(here)
            if kind is str:
                if len(here) >= shortest:
                    texts.append(here)
            elif kind in OBJECTS:
                for key in here:
                    if key not in innocent and not self._is_innocent(key):
                        return False
                waiting += here.values()
            elif kind in ARRAYS:
                waiting += here
            elif here is None or kind is bool:
                pass
            elif kind is int or kind is float:
                if here >= _CARD_LEAST and _is_card_number(here):
                    return False
            else:
                return False
        text = "\n".join(texts)
        return not any(form.pattern.search(text) for form in self._near(text))

    def clean(self, value: Any, path: str, paths: list[str]) -> Any:
        """Return *value* without its secrets, and add where they were to *paths*."""
        match value:
            case str():
                return _noted(value, self.text(value), path, paths)
            case bool() | None:
                return value
            case int() | float() if _is_card_number(value):
                return _noted(value, _as("card-number"), path, paths)
            case Mapping():
                return self._clean_object(value, path, paths)
            case list() | tuple():
                return [self.clean(item, f"{path}[{index}]", paths) for index, item in enumerate(value)]
            case _:
                return value

    def text(self, text: str) -> str:
        """Return *text* with every form of credential in it replaced."""
        if len(text) < self._shortest:
            return text
        for form in self._near(text):
            text = form.pattern.sub(form.replace, text)
        return text

    def _near(self, text: str) -> list[_Form]:
        """Return the forms that may stand in *text*, in the order they are replaced."""
        near: list[_Form] = []
        # Most texts are prose, and most credentials are long words: these few are looked through, not the whole.
        if dense := " ".join([word for word in text.split() if len(word) >= _DENSE]):
            near += [form for hint, form in _DENSE_HINTS if hint in dense]
        small = text.lower()
        near += [form for hint, form in _LOOSE_HINTS if hint in small]
        if _has_long_number(text):
            near.append(_CARD)
        return near + list(self._own) if self._own else near

    def _clean_object(self, source: Mapping[Any, Any], path: str, paths: list[str]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, item in source.items():
            shown = _unused(_noted(key, self.text(str(key)), path, paths), out)
            what = self._secret_key(str(key))
            if not what or item is None or isinstance(item, bool):
                out[shown] = self.clean(item, f"{path}.{shown}", paths)
            elif isinstance(item, str) and TAKEN_OUT.fullmatch(item):
                out[shown] = item
            else:
                paths.append(f"{path}.{shown}")
                out[shown] = _as(what)
        return out

    def _is_innocent(self, key: Any) -> bool:
        if not isinstance(key, str) or self._secret_key(key) or self.text(key) != key:
            return False
        if len(key) <= _KEY_LENGTH_KEPT:
            if len(self._innocent) >= _KEYS_KEPT:
                self._innocent.clear()
            self._innocent.add(key)
        return True

    def _secret_key(self, key: str) -> str | None:
        plain = _plain(key)
        if plain in self._hide:
            return "configured"
        if plain in self._keep:
            return None
        words: list[str] = [word.lower() for word in _WORD.findall(key)]
        for here, following in pairwise([*words, ""]):
            if here in SECRET_WORDS and not (here == "token" and following in _ABOUT_TOKENS):
                return here
            if (here, following) in SECRET_PAIRS:
                return f"{here}-{following}"
        return None


def _noted(before: Any, after: str, path: str, paths: list[str]) -> str:
    if after != before:
        paths.append(path)
    return after


def _as(what: str) -> str:
    return f"[redacted:{what}]"


def _card(found: re.Match[str]) -> str:
    return _as("card-number") if _is_card(re.sub(r"[ -]", "", found[0])) else found[0]


#: The least number with 13 digits, and the first with more than 19.
_CARD_LEAST, _CARD_BEYOND = 10**12, 10**19


def _is_card_number(value: float) -> bool:
    return _CARD_LEAST <= value < _CARD_BEYOND and int(value) == value and _is_card(str(int(value)))


def _is_card(digits: str) -> bool:
    """Whether *digits* is a payment card number: a card prefix, 13 to 19 digits, the Luhn sum (ISO/IEC 7812-1)."""
    if not digits.isdecimal() or not 13 <= len(digits) <= 19 or digits[0] not in "23456":
        return False
    doubled = [int(d) * (1 + place % 2) for place, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _has_long_number(text: str) -> bool:
    """Whether *text* has thirteen digits with nothing but spaces and hyphens between them."""
    return b"0" * 13 in text.encode("utf-8", "surrogatepass").translate(_DIGITS_ONLY, b" -")


def _plain(key: str) -> str:
    return re.sub(r"[^a-z0-9]", "", key.lower())


def _unused(key: str, taken: Mapping[str, Any]) -> str:
    # Two keys that differ only in their secrets must not become one: nothing else may get lost here.
    number, candidate = 1, key
    while candidate in taken:
        number += 1
        candidate = f"{key}#{number}"
    return candidate


def _dense(pattern: str, what: str, *hints: str) -> _Form:
    return _Form(re.compile(pattern, re.ASCII), _as(what), hints, dense=True)


def _loose(pattern: str, replace: str | Callable[[re.Match[str]], str], *hints: str) -> _Form:
    return _Form(re.compile(pattern, re.ASCII | re.IGNORECASE | re.DOTALL), replace, hints, dense=False)


#: Characters without white space that every dense form has at least.
_DENSE = 15

# Every repetition is bounded or starts at a token's beginning only: a hostile text costs linear time.
_FORMS: tuple[_Form, ...] = (
    _loose(
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}-----|\Z)",
        _as("private-key"),
        "private key-----",
    ),
    _dense(
        r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])",
        "aws-access-key",
        *("AKIA", "ASIA", "ABIA", "ACCA"),
    ),
    _dense(r"(?<![A-Za-z0-9])(?:xox[a-z]|xapp)-[A-Za-z0-9-]{10,}", "slack-token", "xox", "xapp-"),
    _dense(
        r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})",
        "github-token",
        *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    ),
    _dense(
        r"(?<![A-Za-z0-9])(?:sk|rk|pk)[-_](?:[A-Za-z]{2,8}[-_])?[A-Za-z0-9_-]{20,}",
        "api-key",
        *("sk-", "sk_", "rk-", "rk_", "pk-", "pk_"),
    ),
    _dense(r"(?<![A-Za-z0-9])whsec_[A-Za-z0-9+/=]{16,}", "webhook-secret", "whsec_"),
    _dense(r"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}", "google-api-key", "AIza"),
    _dense(r"(?<![A-Za-z0-9])le_[0-9a-f]{32}(?![A-Za-z0-9])", "api-key", "le_"),
    _dense(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*", "jwt", "eyJ"),
    _loose(
        r"(?<![a-z0-9])(bearer|basic)[ \t]{1,4}(?=[^\s]{0,200}[0-9=])[a-z0-9._~+/=-]{12,}",
        lambda found: f"{found[1]} {_as('authorization')}",
        *("bearer", "basic"),
    ),
    _loose(
        r"(?<![a-z0-9+.-])([a-z][a-z0-9+.-]{0,20}://)[^\s/:@]{0,256}:[^\s/@]{1,256}@",
        lambda found: f"{found[1]}{_as('url-credentials')}@",
        "@",
    ),
    _loose(
        r"(?<![a-z0-9])((?:[a-z0-9]{1,20}_){0,3}(?:password|passwd|passphrase|secret|token|api[_-]?key)"
        r"[ \t]{0,4}[=:][ \t]{0,4})(?!\[redacted:)[^\s,;&\"']{4,}",
        lambda found: f"{found[1]}{_as('assignment')}",
        *("passw", "passphrase", "secret", "token", "apikey", "api_key", "api-key"),
    ),
)
_DENSE_HINTS = tuple((hint, form) for form in _FORMS if form.dense for hint in form.hints)
_LOOSE_HINTS = tuple((hint, form) for form in _FORMS if not form.dense for hint in form.hints)

_CARD = _loose(r"(?<![0-9])[2-6](?:[ -]?[0-9]){12,18}(?![0-9])", _card)

_PLAIN = RedactionRules()
