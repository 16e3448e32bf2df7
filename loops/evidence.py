"""Evidence: what an actor used. Attached at transition time; bounded and canonical, so that it can be hashed."""

from collections.abc import Mapping
from typing import Any

from loops.canonical import NotCanonical, canonical_json

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


class BadEvidence(ValueError):  # noqa: N818 - reads as what was sent
    """The evidence cannot be accepted; the message names the path and the reason."""


def accept(evidence: Mapping[str, Any], *, where: str = "evidence") -> dict[str, Any]:
    """
    Return *evidence* as a plain dict, checked.

    Raises:
        BadEvidence: If it is nested deeper than `MAX_DEPTH`, larger than `MAX_BYTES`, has no canonical JSON form, or
            uses a reserved key.
    """
    for key in RESERVED_KEYS & evidence.keys():
        raise BadEvidence(f"{where}.{key}: this key is Loopgate's own; name yours differently")
    _check_depth(evidence, where, MAX_DEPTH)
    try:
        size = len(canonical_json(evidence))
    except NotCanonical as error:
        raise BadEvidence(f"{where}{str(error).removeprefix('$')}") from error
    if size > MAX_BYTES:
        raise BadEvidence(f"{where}: {size} bytes of canonical JSON; at most {MAX_BYTES} are accepted")
    return dict(evidence)


def _check_depth(value: Any, path: str, left: int) -> None:
    if left < 0:
        raise BadEvidence(f"{path}: nested deeper than {MAX_DEPTH} levels")
    match value:
        case Mapping():
            for key, item in value.items():
                _check_depth(item, f"{path}.{key}", left - 1)
        case list() | tuple():
            for index, item in enumerate(value):
                _check_depth(item, f"{path}[{index}]", left - 1)
        case _:
            pass
