"""Subscriptions over HTTP: made, looked at, given a new secret, enabled again, removed."""

from dataclasses import dataclass

from gateway.api.endpoint import Answer, Call
from gateway.api.models import Subscribe, SubscriptionMade, SubscriptionPage, SubscriptionView
from gateway.api.ports import Feed
from gateway.api.problems import Problem
from gateway.api.subscription import SUBSCRIPTIONS_MAX, Subscription, subscription_id_of
from gateway.api.subscription import Progress as Far
from gateway.api.subscription_ports import Subscribed
from gateway.api.subscription_ports import Subscriptions as Kept
from gateway.destinations import Destinations
from gateway.outgoing import checked_url
from gateway.standard_webhooks import new_secret
from loops.ports import Clock, IdSource


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """The handlers of ``/subscriptions``."""

    kept: Kept
    feed: Feed
    clock: Clock
    ids: IdSource
    destinations: Destinations

    async def subscribe(self, call: Call) -> Answer:
        """
        Have the tenant's events POSTed to an address of yours, from now on, signed by Standard Webhooks.

        The secret is in this answer only. 200 where the same request was made before.
        """
        asked: Subscribe = call.body
        try:
            host = checked_url(asked.url, "the url").host
            if objection := self.destinations.objection(host):
                raise ValueError(objection)
        except ValueError as error:
            raise Problem(422, "bad_request", str(error), {"url": str(error)}) from error
        subscription_id = subscription_id_of(call.tenant, call.key) if call.key else self.ids.new("sub_")
        made = Subscription(
            subscription_id=subscription_id,
            tenant=call.tenant,
            url=asked.url,
            events=asked.events,
            loop_id=asked.loop_id,
            secret=new_secret(),
            created_at=self.clock.now(),
            made_under=call.key,
        )
        if earlier := await self.kept.find(call.tenant, subscription_id):
            if not _is_same(earlier.subscription, made):
                told = "this key was used before, with another body; use a new key"
                raise Problem(422, "idempotency_key_reused", told, {"Idempotency-Key": told})
            return Answer(_made(earlier))
        if len(await self.kept.of_tenant(call.tenant)) >= SUBSCRIPTIONS_MAX:
            told = f"a tenant may have {SUBSCRIPTIONS_MAX} subscriptions; remove one first"
            raise Problem(409, "too_many_subscriptions", told)
        subscribed = Subscribed(made, Far(cursor=await self.feed.last(call.tenant)))
        await self.kept.add(subscribed)
        return Answer(_made(subscribed), 201)

    async def list_subscriptions(self, call: Call) -> Answer:
        """List the tenant's subscriptions and how their deliveries stand, the oldest first."""
        found = await self.kept.of_tenant(call.tenant)
        return Answer(SubscriptionPage(subscriptions=tuple(map(subscription_view, found))))

    async def get_subscription(self, call: Call) -> Answer:
        """Show one subscription and how its deliveries stand."""
        return Answer(subscription_view(await self._found(call)))

    async def rotate_subscription(self, call: Call) -> Answer:
        """Give a subscription a new secret, shown in this answer only; for 24 hours the former one signs, too."""
        found = await self._found(call)
        if call.key is None or found.subscription.rotated_under != call.key:
            rotated = found.subscription.rotated(new_secret(), self.clock.now(), call.key)
            await self.kept.change(rotated)
            found = Subscribed(rotated, found.progress)
        return Answer(_made(found))

    async def enable_subscription(self, call: Call) -> Answer:
        """Have a subscription that was disabled, or waits after failures, go on at once from where it stopped."""
        found = await self._found(call)
        enabled = Subscribed(found.subscription, found.progress.enabled())
        await self.kept.note(call.tenant, found.subscription.subscription_id, enabled.progress)
        return Answer(subscription_view(enabled))

    async def unsubscribe(self, call: Call) -> Answer:
        """Remove a subscription; what is being sent may still arrive."""
        found = await self._found(call)
        await self.kept.remove(call.tenant, found.subscription.subscription_id)
        return Answer(subscription_view(found))

    async def _found(self, call: Call) -> Subscribed:
        name = call.path["subscription_id"]
        found = await self.kept.find(call.tenant, name)
        if found is None:
            raise Problem(404, "unknown_subscription", f"there is no subscription {name}")
        return found


def subscription_view(subscribed: Subscribed) -> SubscriptionView:
    """Return a subscription without its secret."""
    return SubscriptionView.model_validate(_fields(subscribed))


def _made(subscribed: Subscribed) -> SubscriptionMade:
    return SubscriptionMade.model_validate(_fields(subscribed) | {"secret": subscribed.subscription.secret})


def _fields(subscribed: Subscribed) -> dict[str, object]:
    subscription, far = subscribed.subscription, subscribed.progress
    return {
        "subscription_id": subscription.subscription_id,
        "url": subscription.url,
        "events": subscription.events,
        "loop_id": subscription.loop_id,
        "created_at": subscription.created_at,
        "status": far.status,
        "cursor": far.cursor,
        "failures": far.failures,
        "failing_since": far.failing_since,
        "next_attempt_at": None if far.disabled_at else far.not_before,
        "disabled_at": far.disabled_at,
        "error": far.error,
    }


def _is_same(one: Subscription, other: Subscription) -> bool:
    return (one.url, one.events, one.loop_id) == (other.url, other.events, other.loop_id)
