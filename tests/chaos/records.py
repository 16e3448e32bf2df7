"""What is written down while a seed runs, and what is found when it is over: the checker's only input."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """
    Something the gateway answered with 2xx *at* a moment: a webhook (`person` is empty), or a person's answer.

    `what` is ``proposed``, ``dropped``, ``approve`` or ``reject``.
    """

    change: str
    what: str
    at: float
    person: str = ""


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault as it was: began and ended at these moments."""

    kind: str
    target: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Call:
    """A call that the system of record got; `acted` where it then did something, and had not by this id before."""

    effect_id: str
    change: str
    request_id: str
    digest: str
    at: float
    acted: bool


@dataclass(frozen=True, slots=True)
class CardSeen:
    """A card as people see it; `words` are its notification, `buttons` the labels of its buttons."""

    change: str
    request_id: str
    ts: str
    words: str
    buttons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ledger:
    """A ledger as exported from the store: its events, and what is wrong with its chain, if anything."""

    change: str
    instance_id: str
    status: str
    events: tuple[Mapping[str, Any], ...]
    broken: str = ""

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        """Return the data of the events of one type, in order."""
        return [event["data"] for event in self.events if event["type"] == kind]


@dataclass(frozen=True, slots=True)
class EffectSeen:
    """An effect as the store has it; `attempts` counts claims."""

    effect_id: str
    change: str
    kind: str
    state: str
    request_id: str = ""
    error: str = ""
    attempts: int = 1


@dataclass
class Found:
    """
    Everything about one seed that the checker may know.

    `leftovers` counts what the store still holds of work not done, by what it is. `surprises` are answers and ends
    that nothing injected explains.
    """

    acknowledged: list[Acknowledged] = field(default_factory=list)
    injected: list[Injected] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    cards: list[CardSeen] = field(default_factory=list)
    ledgers: list[Ledger] = field(default_factory=list)
    effects: list[EffectSeen] = field(default_factory=list)
    leftovers: dict[str, int] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)
