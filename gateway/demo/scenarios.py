"""The scenarios: what the demo's agents propose, as the webhook that their systems send."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from gateway.demo.cast import DANA, FINANCE_APPROVALS, KIM, ROBIN, SRE_APPROVALS, Member, Room

#: The type of a webhook, by which the configuration of source `ci` tells the loops apart.
Kind = Literal["change.proposed", "purchase.proposed"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    One thing an agent may propose.

    `prefix` begins the business object's id, which is fresh each time. `behind` is the id of the person whose agent
    asks; they may not decide. `seat` is whose place the page gives you,
    `decider` somebody who may answer.
    """

    id: str
    kind: Kind
    prefix: str
    button: str
    hint: str
    agent: str
    behind: str
    data: Mapping[str, Any]
    room: Room
    seat: Member
    decider: Member

    def body(self, number: int, proposed_at: str) -> tuple[str, dict[str, Any]]:
        """Return the business object's id and the webhook's body, in the shape the Standard Webhooks specify."""
        aggregate_id = f"{self.prefix}-{number}"
        data = {"id": aggregate_id, "agent": {"name": self.agent, "onBehalfOf": self.behind}, **self.data}
        return aggregate_id, {"type": self.kind, "timestamp": proposed_at, "data": data}


SCALE = Scenario(
    id="scale",
    kind="change.proposed",
    prefix="CHG",
    button="Checkout to 12 replicas",
    hint="Capacity agent asks SRE",
    agent="Capacity agent",
    behind="priya",
    data={
        "service": "checkout",
        "summary": "Scale checkout from 8 to 12 replicas",
        "environment": "production",
        "parameters": {"max_replicas": 12, "min_replicas": 8},
    },
    room=SRE_APPROVALS,
    seat=DANA,
    decider=DANA,
)

ROLLOUT = Scenario(
    id="rollout",
    kind="change.proposed",
    prefix="CHG",
    button="Roll out payments v2.14",
    hint="Delivery agent asks SRE",
    agent="Delivery agent",
    behind="priya",
    data={
        "service": "payments",
        "summary": "Roll out payments v2.14",
        "environment": "production",
        "parameters": {"image": "payments:2.14.0", "strategy": "canary", "canary_share": 0.1},
    },
    room=SRE_APPROVALS,
    seat=DANA,
    decider=DANA,
)

PURCHASE = Scenario(
    id="purchase",
    kind="purchase.proposed",
    prefix="PO",
    button="Buy 25 laptops",
    hint="Buying agent asks finance",
    agent="Buying agent",
    behind="tom",
    data={
        "amount": 41_250,
        "currency": "EUR",
        "vendor": "Nordwind Computers",
        "costCentre": "CC-310 Engineering",
        "description": "25 laptops for new engineers",
    },
    room=FINANCE_APPROVALS,
    seat=KIM,
    decider=KIM,
)

OWN_CHANGE = Scenario(
    id="own-change",
    kind="change.proposed",
    prefix="CHG",
    button="Rebuild the search index",
    hint="Robin's agent; Robin is refused",
    agent="Robin's agent",
    behind="robin",
    data={
        "service": "search",
        "summary": "Rebuild the search index with the new ranking",
        "environment": "production",
        "parameters": {"index": "catalogue-v7", "workers": 4},
    },
    room=SRE_APPROVALS,
    seat=ROBIN,
    decider=DANA,
)

SCENARIOS: Mapping[str, Scenario] = MappingProxyType({s.id: s for s in (SCALE, ROLLOUT, PURCHASE, OWN_CHANGE)})
