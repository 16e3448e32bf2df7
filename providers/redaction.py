"""
Redaction: what looks like a secret does not leave for a vendor.

Two nets: values under key names that say secret, and texts in which a known form of credential stands. Both err on the
side of hiding: a model can assess a change without the password in it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

#: A key with one of these words in it hides its value.
_SECRET_WORDS = frozenset(
    {
        "password",
        "passwd",
        "passphrase",
        "pwd",
        "secret",
        "secrets",
        "token",
        "apikey",
        "authorization",
        "cookie",
        "cvv",
    }
    | {"cvc", "credential", "credentials", "privatekey", "connectionstring", "pin"}
)

#: A key with one of these pairs of neighbouring words in it does, too.
_SECRET_PAIRS = frozenset(
    {
        ("api", "key"),
        ("private", "key"),
        ("access", "key"),
        ("signing", "key"),
        ("encryption", "key"),
        ("master", "key"),
    }
    | {("connection", "string"), ("card", "number"), ("session", "id")}
)

#: After ``token`` these words say that the value is about tokens, not one of them.
_ABOUT_TOKENS = frozenset({"count", "limit", "budget", "usage", "type"})

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True, slots=True)
class Redacted:
    """A value without its secrets, and the dotted paths at which something was taken out."""

    value: Any
    paths: tuple[str, ...]


def redact(value: Any, *, extra_keys: Iterable[str] = ()) -> Redacted:
    """
    Return a copy of the JSON *value* in which secrets are replaced by ``[redacted:<what>]``.

    Pure. True, False and None are never secrets, so ``passwordRequired: true`` stays.

    Args:
        extra_keys: More key names whose values are hidden; case and separators do not matter.
    """
    pass_over = _Pass(frozenset(_plain(key) for key in extra_keys))
    return Redacted(pass_over.clean(value, "$"), tuple(pass_over.paths))


class _Pass:
    def __init__(self, extra: frozenset[str]) -> None:
        self._extra = extra
        self.paths: list[str] = []

    def clean(self, value: Any, path: str) -> Any:
        match value:
            case str():
                return self._noted(value, redact_text(value), path)
            case bool() | None:
                return value
            case int() if _is_card(str(value)):
                return self._noted(value, "[redacted:card-number]", path)
            case Mapping():
                return self._clean_object(value, path)
            case list() | tuple():
                return [self.clean(item, f"{path}[{index}]") for index, item in enumerate(value)]
            case _:
                return value

    def _clean_object(self, source: Mapping[Any, Any], path: str) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, item in source.items():
            shown = _unused(self._noted(key, redact_text(str(key)), path), out)
            what = self._secret_key(str(key))
            if what and item is not None and not isinstance(item, bool):
                self.paths.append(f"{path}.{shown}")
                out[shown] = f"[redacted:{what}]"
            else:
                out[shown] = self.clean(item, f"{path}.{shown}")
        return out

    def _secret_key(self, key: str) -> str | None:
        if _plain(key) in self._extra:
            return "configured"
        words: list[str] = [word.lower() for word in _WORD.findall(key)]
        for here, following in pairwise([*words, ""]):
            if here in _SECRET_WORDS and not (here == "token" and following in _ABOUT_TOKENS):
                return here
            if (here, following) in _SECRET_PAIRS:
                return f"{here}-{following}"
        return None

    def _noted(self, before: Any, after: str, path: str) -> str:
        if after != before:
            self.paths.append(path)
        return after


def redact_text(text: str) -> str:
    """Return *text* with every known form of credential in it replaced."""
    for pattern, replace in _FORMS:
        text = pattern.sub(replace, text)
    return text


def _as(what: str) -> str:
    return f"[redacted:{what}]"


def _card(found: re.Match[str]) -> str:
    return _as("card-number") if _is_card(re.sub(r"[ -]", "", found[0])) else found[0]


def _is_card(digits: str) -> bool:
    """Whether *digits* is a payment card number: a card prefix, 13 to 19 digits, the Luhn sum (ISO/IEC 7812-1)."""
    if not digits.isdecimal() or not 13 <= len(digits) <= 19 or digits[0] not in "23456":
        return False
    doubled = [int(d) * (1 + place % 2) for place, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _plain(key: str) -> str:
    return re.sub(r"[^a-z0-9]", "", key.lower())


def _unused(key: str, taken: Mapping[str, Any]) -> str:
    # Two keys that differ only in their secrets must not become one: nothing else may get lost here.
    number, candidate = 1, key
    while candidate in taken:
        number += 1
        candidate = f"{key}#{number}"
    return candidate


# Every repetition is bounded or starts at a token's beginning only: a hostile text costs linear time.
_FORMS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (
        re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}-----|\Z)", re.DOTALL),
        _as("private-key"),
    ),
    (re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"), _as("aws-access-key")),
    (re.compile(r"(?<![A-Za-z0-9])(?:xox[a-z]|xapp)-[A-Za-z0-9-]{10,}"), _as("slack-token")),
    (re.compile(r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})"), _as("github-token")),
    (re.compile(r"(?<![A-Za-z0-9])(?:sk|rk|pk)[-_](?:[A-Za-z]{2,8}[-_])?[A-Za-z0-9_-]{20,}"), _as("api-key")),
    (re.compile(r"(?<![A-Za-z0-9])whsec_[A-Za-z0-9+/=]{16,}"), _as("webhook-secret")),
    (re.compile(r"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}"), _as("google-api-key")),
    (re.compile(r"(?<![A-Za-z0-9])le_[0-9a-f]{32}(?![A-Za-z0-9])"), _as("api-key")),
    (
        re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*"),
        _as("jwt"),
    ),
    (
        re.compile(r"(?i)(?<![a-z0-9])(bearer|basic)[ \t]{1,4}(?=[^\s]{0,200}[0-9=])[a-z0-9._~+/=-]{12,}"),
        lambda found: f"{found[1]} {_as('authorization')}",
    ),
    (
        re.compile(r"(?i)(?<![a-z0-9+.-])([a-z][a-z0-9+.-]{0,20}://)[^\s/:@]{0,256}:[^\s/@]{1,256}@"),
        lambda found: f"{found[1]}{_as('url-credentials')}@",
    ),
    (
        re.compile(
            r"(?i)(?<![a-z0-9])((?:[a-z0-9]{1,20}_){0,3}(?:password|passwd|passphrase|secret|token|api[_-]?key)"
            r"[ \t]{0,4}[=:][ \t]{0,4})(?!\[redacted:)[^\s,;&\"']{4,}"
        ),
        lambda found: f"{found[1]}{_as('assignment')}",
    ),
    (re.compile(r"(?<![0-9])[2-6](?:[ -]?[0-9]){12,18}(?![0-9])"), _card),
)
