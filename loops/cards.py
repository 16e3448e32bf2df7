"""Cards: approval requests as they stand in channel messages. Projections of the ledger, never its source."""

from loops.values import JsonObject, Value


class Card(Value):
    """
    One posted card.

    `address` is the channel's own (Slack: channel and ts). `rendered_version` is the instance version it shows; a
    card whose instance is ahead must be rendered again. `copy_number` tells the cards of one request
    apart: 0 is the first, any other the number of the escalation step that asked again elsewhere, from 1.
    """

    tenant: str
    request_id: str
    channel_kind: str
    address: JsonObject
    rendered_version: int
    copy_number: int = 0


class Notice(Value):
    """
    A private word to one person: what became of their click.

    `address` is the click's channel evidence (see facts/loop-engine-contract.md), `code` and `message` the refusal.
    `after` is the effect of an earlier word to the same person, which they should see first.
    """

    code: str
    message: str
    request_id: str | None = None
    address: JsonObject
    after: str | None = None


class LostCard(Value):
    """A card that cannot be shown, or kept true: which effect was given up, of what kind, and why."""

    request_id: str
    effect_id: str
    kind: str
    error: str
