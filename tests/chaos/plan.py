"""The plan of one seed: what is asked for and decided when, and what goes wrong when. Equal seeds, equal plans."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

#: What becomes of a change: one approval; one rejection; several people at once; one person clicking twice at once; an
#: answer and a withdrawal by who asked, whichever comes first; nobody answers.
Kind = Literal["approve", "reject", "race", "double", "withdraw", "silence"]

#: How often each comes.
_KINDS: dict[Kind, int] = {"approve": 8, "reject": 3, "race": 4, "double": 2, "withdraw": 2, "silence": 2}

#: Moments at which processes are killed, all of a kind at once, so that whoever is in the middle of it is among them.
#: The first two kill the gateways, the others the workers.
Point = Literal[
    "webhook acknowledged",
    "click acknowledged",
    "effect claimed",
    "card posted, answer on its way",
    "integration acted, answer on its way",
]

FaultKind = Literal[
    "kill gateway",
    "kill worker",
    "kill every worker",
    "kill store",
    "restart store",
    "store away",
    "freeze gateway",
    "freeze worker",
    "freeze store",
    "slack fails",
    "slack loses an answer",
    "slack delivers badly",
    "integration fails",
    "integration loses an answer",
    "clock jumps",
    "kill at a point",
]

#: The fault that comes this often in a deck; the others come once.
_IN_DECK: dict[FaultKind, int] = {"kill gateway": 2, "kill worker": 3, "kill at a point": len(get_args(Point))}

GATEWAYS, WORKERS = ("gateway0", "gateway1"), ("worker0", "worker1", "worker2")

PEOPLE = ("dana", "sam", "robin", *(f"sre{number}" for number in range(1, 9)))

#: The last part of the time, in which less and less goes wrong.
_FADING = 0.25


@dataclass(frozen=True, slots=True)
class Story:
    """
    One change: proposed *at* seconds, through *gateway* first, and answered by *people*, *pause_s* after its card.

    `rejects` are those of *people* who reject instead; `late` is who clicks Approve when all is over, on what their
    client still shows; `withdrawn_after_s` counts from the proposal.
    """

    change: str
    at: float
    kind: Kind
    gateway: int
    people: tuple[str, ...]
    rejects: tuple[str, ...] = ()
    pause_s: float = 0.0
    late: str | None = None
    withdrawn_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong *at* seconds, for *lasts* seconds; *again_s* is how long what was killed stays dead."""

    at: float
    kind: FaultKind
    target: str = ""
    lasts: float = 0.0
    again_s: float = 0.0
    many: int = 1
    how: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that happens in *seconds*."""

    seed: int
    seconds: float
    stories: tuple[Story, ...]
    faults: tuple[Fault, ...]


def plan(seed: int, seconds: float, *, rate: float, every_s: float) -> Plan:
    """Return the plan of *seed*: *rate* changes a second, and a fault about every *every_s* seconds."""
    chance = random.Random(f"loopgate chaos {seed}")
    return Plan(seed, seconds, tuple(_stories(chance, seconds, rate)), tuple(_faults(chance, seconds, every_s)))


def _stories(chance: random.Random, seconds: float, rate: float) -> Iterator[Story]:
    kinds, weights = zip(*_KINDS.items(), strict=True)
    at, number = 0.0, 0
    while (at := at + chance.expovariate(rate)) < seconds:
        kind: Kind = chance.choices(kinds, weights)[0]
        people = tuple(chance.sample(PEOPLE, chance.randint(2, 4) if kind == "race" else 1))
        rejects = people if kind == "reject" else people[:: chance.choice((2, 3))] if kind == "race" else ()
        others = [person for person in PEOPLE if person not in people]
        yield Story(
            change=f"CHAOS-{number:05}",
            at=round(at, 3),
            kind=kind,
            gateway=chance.randrange(len(GATEWAYS)),
            people=() if kind == "silence" else people,
            rejects=rejects,
            pause_s=round(chance.uniform(0, 3), 3),
            late=chance.choice(others) if chance.random() < 0.25 else None,
            withdrawn_after_s=round(chance.uniform(0.2, 5), 3) if kind == "withdraw" else 0.0,
        )
        number += 1


def _faults(chance: random.Random, seconds: float, every_s: float) -> Iterator[Fault]:
    at, deck, points = min(2.0, seconds / 10), list[FaultKind](), list[Point]()
    while at < seconds:
        if not deck:
            deck = [kind for kind in get_args(FaultKind) for _ in range(_IN_DECK.get(kind, 1))]
            chance.shuffle(deck)
        if not points:
            points = chance.sample(get_args(Point), len(get_args(Point)))
        kind = deck.pop()
        yield _fault(chance, round(at, 3), kind, points.pop() if kind == "kill at a point" else "", seconds)
        # Towards the end, pauses grow to three times as long.
        left = (seconds - at) / seconds
        at += chance.uniform(0.5, 1.5) * every_s * (1 + 2 * max(0.0, 1 - left / _FADING))


def _fault(chance: random.Random, at: float, kind: FaultKind, point: str, seconds: float) -> Fault:
    # What lasts long for five minutes would be all there is of half a minute.
    longest = min(1.0, seconds / 120)
    again_s = round(chance.uniform(0.1, 2.5), 3)
    gateway, worker = chance.choice(GATEWAYS), chance.choice(WORKERS)
    lasts = {
        "store away": chance.uniform(5, 20) * longest,
        "freeze gateway": chance.uniform(1, 10) * longest,
        "freeze worker": chance.uniform(1, 10),
        "freeze store": chance.uniform(0.5, 6) * longest,
        "clock jumps": chance.uniform(2, 20) * longest,
    }.get(kind, 0.0)
    return Fault(
        at=at,
        kind=kind,
        target=_target(chance, kind, gateway, worker),
        lasts=round(lasts, 3),
        again_s=again_s,
        many=chance.randint(1, 6) if kind.startswith(("slack", "integration")) else 1,
        how=point or _how(chance, kind),
    )


def _target(chance: random.Random, kind: FaultKind, gateway: str, worker: str) -> str:
    if kind == "clock jumps":
        return chance.choice((gateway, worker))
    return gateway if kind.endswith("gateway") else worker if kind.endswith(" worker") else ""


def _how(chance: random.Random, kind: FaultKind) -> str:
    ways: dict[FaultKind, Sequence[str]] = {
        "slack fails": [
            f"{method} {way}"
            for method in ("chat.postMessage", "chat.update", "conversations.history", "views.open", "*")
            for way in ("429", "5xx", "slow", "drop")
        ],
        "slack loses an answer": [
            f"{method} {way}"
            for method in ("chat.postMessage", "chat.update")
            for way in ("reset_after_accept", "hang_after_accept")
        ],
        "slack delivers badly": [
            f"{delivery} {way}"
            for delivery in ("block_actions", "view_submission")
            for way in ("duplicate", "lost_ack", "drop")
        ],
        "integration fails": ("500", "503", "429"),
        "clock jumps": ("-90", "-5", "5", "30", "120"),
    }
    return chance.choice(ways.get(kind, ("",)))
