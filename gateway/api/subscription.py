"""
Subscriptions: who has a tenant's events sent to an address, and what each delivery says. Pure.

It is sent as Standard Webhooks says. An event has one id for each subscription, whatever happens on the way, so that
who receives it twice knows.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from gateway.api.ports import Followed
from gateway.outgoing import HEADERS
from gateway.standard_webhooks import message, signed_headers, signing_key
from loops.events import EventType
from loops.values import Instant, Value

#: How long the former secret goes on signing beside the new one.
ROTATION_GRACE = timedelta(hours=24)

#: Failing for so long, with so many attempts, disables a subscription.
DISABLED_AFTER, DISABLED_ATTEMPTS = timedelta(days=3), 10

#: Subscriptions a tenant may have: each costs a reader of its feed.
SUBSCRIPTIONS_MAX = 50

#: What is sent where events are no longer kept that should have been.
RESYNC = "loopgate.resync"


class Subscription(Value):
    """
    One subscription: `events` of these types, none for all, of one loop or of all.

    The secrets are kept as they are: whoever signs must have them. `made_under` and `rotated_under` are the idempotency
    keys of the calls that did so.
    """

    subscription_id: str
    tenant: str
    url: str
    events: tuple[EventType, ...] = ()
    loop_id: str | None = None
    secret: str
    former_secret: str | None = None
    former_until: Instant | None = None
    created_at: Instant
    made_under: str | None = None
    rotated_under: str | None = None

    def wants(self, followed: Followed) -> bool:
        """Whether this event is to be sent."""
        event = followed.event
        return (not self.events or event.type in self.events) and self.loop_id in {None, event.loop_id}

    def rotated(self, secret: str, now: datetime, under: str | None) -> "Subscription":
        """Return the subscription with *secret*; the one before signs, too, for `ROTATION_GRACE`."""
        return self.changed(
            secret=secret, former_secret=self.secret, former_until=now + ROTATION_GRACE, rotated_under=under
        )


class Progress(Value):
    """
    How far the deliveries of a subscription are.

    `cursor` is the last event that is dealt with. `failures` in a row since `failing_since`; nothing is tried before
    `not_before`. `disabled_at` ends it until somebody enables it again.
    """

    cursor: str
    failures: int = 0
    failing_since: Instant | None = None
    not_before: Instant | None = None
    error: str | None = None
    disabled_at: Instant | None = None

    @property
    def status(self) -> Literal["active", "failing", "disabled"]:
        """How it stands, in a word."""
        return "disabled" if self.disabled_at else "failing" if self.failures else "active"

    def is_due(self, now: datetime) -> bool:
        """Whether something may be sent at *now*."""
        return self.disabled_at is None and (self.not_before is None or now >= self.not_before)

    def delivered(self, cursor: str) -> "Progress":
        """Return it with everything up to *cursor* dealt with."""
        return Progress(cursor=cursor)

    def failed(self, error: str, now: datetime, wait: timedelta, *, is_gone: bool) -> "Progress":
        """Return it after a delivery that failed with *error*: tried again after *wait*, or disabled."""
        since, failures = self.failing_since or now, self.failures + 1
        is_over = is_gone or (now - since >= DISABLED_AFTER and failures >= DISABLED_ATTEMPTS)
        return Progress(
            cursor=self.cursor,
            failures=failures,
            failing_since=since,
            not_before=now + wait,
            error=error,
            disabled_at=now if is_over else None,
        )

    def enabled(self) -> "Progress":
        """Return it as it goes on from where it stopped."""
        return Progress(cursor=self.cursor)


class Delivery(Value):
    """What is sent: a body and its id."""

    delivery_id: str
    body: bytes


def subscription_id_of(tenant: str, key: str) -> str:
    """Return the id of what is made under an idempotency key, so that a repeated call finds it."""
    return "sub_" + hashlib.sha256(f"{tenant}\n{key}".encode()).hexdigest()[:26]


def delivery_of(subscription: Subscription, followed: Followed) -> Delivery:
    """Return what *subscription* is sent of an event."""
    event = followed.event
    said = message(event.type, event.occurred_at, {"cursor": followed.cursor, **event.as_json()})
    return Delivery(delivery_id=f"{subscription.subscription_id}_{event.event_id}", body=said)


def resync_of(subscription: Subscription, cursor: str, now: datetime) -> Delivery:
    """Return what *subscription* is told where events after *cursor* are no longer kept."""
    told = {"cursor": cursor, "reason": "events after this cursor are no longer kept; read the ledgers that count"}
    name = cursor.replace(".", "-")
    return Delivery(delivery_id=f"{subscription.subscription_id}_resync_{name}", body=message(RESYNC, now, told))


def headers_of(subscription: Subscription, delivery: Delivery, now: datetime) -> Mapping[str, str]:
    """Return the headers of one attempt, signed with each secret that counts."""
    counting = [subscription.secret]
    if subscription.former_secret and subscription.former_until and now < subscription.former_until:
        counting.append(subscription.former_secret)
    keys = [signing_key(each) for each in counting]
    return {**HEADERS, **signed_headers(delivery.delivery_id, now, delivery.body, keys)}
