"""What the jobs ask of an integration."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from loops.effects import Grant


@dataclass(frozen=True, slots=True)
class Run:
    """
    One action to carry out, once.

    `effect_id` is the idempotency key: two runs with the same one are the same action. `grant` is the approval it
    rests on, None where the loop asked nobody. `created_at` is when the commit asked for it, so that every attempt
    sends the same body.
    """

    effect_id: str
    integration: str
    action: str
    aggregate_id: str
    loop_id: str
    parameters: Mapping[str, Any]
    grant: Grant | None = None
    created_at: datetime | None = None


class Integration(Protocol):
    """Where approved work is carried out."""

    kind: str

    async def run(self, run: Run) -> dict[str, Any]:
        """
        Carry out *run* and return what was done, as JSON that fits a ledger (see `loops.evidence.accept`).

        One attempt. May be called again with the same `effect_id`, also while an earlier call is under way.

        Raises:
            Unavailable: If the other side cannot act now; `retry_after` where it said when.
            Rejected: If it refused for good.
        """
