"""Evidence: what an actor used. Attached at transition time; bounded and canonical, so that it can be hashed."""

from collections.abc import Collection, Iterator, Mapping
from types import NoneType
from typing import Any

from loops.canonical import NotCanonical, canonical_text, encoded
from loops.frozen import FrozenDict, SpelledDict, frozen_object

#: Levels of nesting evidence may have, and bytes its canonical form may take.
MAX_DEPTH = 32
MAX_BYTES = 256 * 1024

#: Keys the engine writes itself; evidence that brings one is refused, or it could fake our own findings.
RESERVED_KEYS = frozenset({"_softGuardWarnings"})

#: Keys that only a channel or an integration adapter may attach, never the caller's own evidence.
ADAPTER_KEYS = frozenset({"channel", "integration"})

#: Keys under which a human's decision stands in evidence. A model's data points never stand under them, nor under any
#: of those above: guards, cards and readers of the record would take its word for ours.
DECISION_KEYS = frozenset({"approved", "decisionId", "digest", "requestId"})


#: Types with nothing inside.
_FLAT = frozenset({str, int, float, bool, NoneType})

#: Characters of a path that a refusal repeats.
_PATH_SHOWN = 200

#: How `loops.canonical` begins what it says of text that is no Unicode; only we know in which text it was.
_SURROGATE = "text with a lone surrogate"


class BadEvidence(ValueError):  # noqa: N818 - reads as what was sent
    """The evidence cannot be accepted; the message names the path and the reason, and can be printed anywhere."""


def accept(evidence: Mapping[str, Any], *, where: str = "evidence") -> SpelledDict:
    """
    Return *evidence* checked, frozen, and with its canonical form, which is made here once for every event it enters.

    Raises:
        BadEvidence: If it is nested deeper than `MAX_DEPTH`, larger than `MAX_BYTES`, has no canonical JSON form, or
            uses a reserved key.
    """
    for key in RESERVED_KEYS.intersection(evidence):
        raise _bad(f"{where}.{key}", "this key is Loopgate's own; name yours differently")
    if _is_too_deep(evidence):
        raise _bad(_deepest(evidence, where), f"nested deeper than {MAX_DEPTH} levels")
    text, size = _spelled(evidence, where)
    return SpelledDict(frozen_object(evidence), text, size)


def gathered(earlier: Mapping[str, Any], brought: Mapping[str, Any], *, where: str) -> FrozenDict:
    """
    Return evidence *earlier* with what was *brought*, the later value of each key.

    Both were accepted, so only the size is looked at; and spelled out only where the parts together might be too large.

    Raises:
        BadEvidence: If it is larger than `MAX_BYTES`.
    """
    if not earlier or not brought:
        return frozen_object(earlier or brought)
    whole = FrozenDict({**frozen_object(earlier), **frozen_object(brought)})
    whole.at_most = _at_most(earlier, where) + _at_most(brought, where)
    if whole.at_most > MAX_BYTES:
        whole.at_most = _spelled(whole, where)[1]
    return whole


def _at_most(evidence: Mapping[str, Any], where: str) -> int:
    known = getattr(evidence, "at_most", None)
    return _spelled(evidence, where)[1] if known is None else known


def _spelled(evidence: Mapping[str, Any], where: str) -> tuple[str, int]:
    """Return the canonical form of *evidence*, and how many bytes it has. Raises BadEvidence."""
    try:
        text = canonical_text(evidence)
        size = len(encoded(text))
    except NotCanonical as error:
        path, _, reason = str(error).rpartition(": ")
        if reason.startswith(_SURROGATE):
            raise _bad(_surrogate_in(evidence, where), _SURROGATE) from error
        raise _bad(f"{where}{path.removeprefix('$')}", reason) from error
    if size > MAX_BYTES:
        raise _bad(where, f"{size} bytes of canonical JSON; at most {MAX_BYTES} are accepted")
    return text, size


def _bad(path: str, reason: str) -> BadEvidence:
    # Keys are the sender's: what is repeated of them must neither be endless nor break whoever prints it.
    if len(path) > _PATH_SHOWN:
        path = f"{path[: _PATH_SHOWN // 2]}…{path[-_PATH_SHOWN // 2 :]}"
    shown = "".join(character if character.isprintable() else _escaped(character) for character in path)
    return BadEvidence(f"{shown}: {reason}")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [item for here in level for item in _inside(here) if type(item) not in _FLAT]
        if not level:
            return False
    return any(map(_inside, level))


def _inside(value: Any) -> Collection[Any]:
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, (list, tuple)):
        return value
    return value.values() if isinstance(value, Mapping) else ()


def _deepest(value: Any, path: str, left: int = MAX_DEPTH) -> str:
    """Return the path to the first thing that is too deep in *value*, or nothing."""
    if left < 0:
        return path
    return next(filter(None, (_deepest(item, inner, left - 1) for inner, item in _steps(value, path))), "")


def _surrogate_in(value: Any, path: str) -> str:
    """Return the path to the first text or key with a lone surrogate in *value*, or nothing."""
    if isinstance(value, str):
        return "" if _is_encodable(value) else path
    for inner, item in _steps(value, path):
        if not _is_encodable(inner):
            return inner
        if found := _surrogate_in(item, inner):
            return found
    return ""


def _steps(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f"{path}.{key}", item) for key, item in value.items())
    elif isinstance(value, (list, tuple)):
        yield from ((f"{path}[{index}]", item) for index, item in enumerate(value))


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
