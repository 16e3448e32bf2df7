"""What the store keeps of an instance whose ledger is in the archive."""

from loops.ledger import LedgerHead
from loops.values import Instant, Value


class Archived(Value):
    """
    One archived instance.

    `file` is the bundle's path below the archive's directory, `digest` its manifest's, `checkpoint` the one that sealed
    `head`, which is where the ledger ended.
    """

    tenant: str
    instance_id: str
    aggregate_id: str
    loop_id: str
    state: str
    status: str
    version: int
    head: LedgerHead
    file: str
    digest: str
    checkpoint: int
    closed_at: Instant
    archived_at: Instant

    def __str__(self) -> str:
        """Say where it is, and what proves that it is this one."""
        return (
            f"{self.aggregate_id} ({self.instance_id}), {self.status} in {self.state}, was archived on "
            f"{self.archived_at:%Y-%m-%d} in {self.file}: {self.head.sequence} events, head {self.head.hash}"
        )
