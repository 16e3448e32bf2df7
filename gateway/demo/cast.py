"""The cast: who is in the demo's workspace, and what each of them may do."""

from dataclasses import dataclass
from typing import Literal

TEAM, TEAM_NAME = "T0LOOPGATE", "Harbour Shop"
APP, BOT_USER = "A0LOOPGATE", "U0LOOPGATE"

#: The group each channel belongs to, as the shipped loops name them.
Group = Literal["sre", "finance"]


@dataclass(frozen=True, slots=True)
class Member:
    """
    Somebody in the workspace. `note` is what the page says of them in three words.

    `person` is who the configuration maps them to, None for a stranger to Loopgate.
    """

    slack: str
    name: str
    title: str
    note: str
    color: str
    person: str | None = None
    groups: tuple[Group, ...] = ()


@dataclass(frozen=True, slots=True)
class Room:
    """A channel and who is in it."""

    slack: str
    name: str
    topic: str
    members: tuple[str, ...]


DANA = Member("U0DANA", "Dana Ops", "Site reliability", "SRE approver", "1264a3", "dana", ("sre",))
SAM = Member("U0SAM", "Sam Lee", "Site reliability", "SRE approver", "2b8a3e", "sam", ("sre",))
KIM = Member("U0KIM", "Kim Novak", "Finance", "finance", "9c36b5", "kim", ("finance",))
ROBIN = Member(
    "U0ROBIN",
    "Robin Park",
    "Engineer, owns an agent that proposes changes",
    "owns an agent",
    "c2410c",
    "robin",
    ("sre",),
)
ALEX = Member("U0ALEX", "Alex Guest", "Contractor, unknown to Loopgate", "unknown here", "5c677d")

MEMBERS = (DANA, SAM, KIM, ROBIN, ALEX)

_EVERYBODY = tuple(member.slack for member in MEMBERS)

SRE_APPROVALS = Room("C0SREAPPR", "sre-approvals", "Changes to production wait here for a human", _EVERYBODY)
FINANCE_APPROVALS = Room(
    "C0FINAPPR", "finance-approvals", "Purchases wait here for a human", (KIM.slack, DANA.slack, ALEX.slack)
)
GENERAL = Room("C0GENERAL", "general", "Company-wide talk", _EVERYBODY)

ROOMS = (SRE_APPROVALS, FINANCE_APPROVALS, GENERAL)
