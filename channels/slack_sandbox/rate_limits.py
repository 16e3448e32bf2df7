"""Slack's rate limits: so many calls a minute per method, and about one post a second per channel."""

import math
from dataclasses import dataclass

from channels.slack_sandbox.clock import Clock
from channels.slack_sandbox.refusal import SlackRefusal

#: Calls a minute per tier. Source: docs.slack.dev, apis/web-api/rate-limits.
TIER_2 = 20
TIER_3 = 50
TIER_4 = 100
#: "Hundreds per minute" for methods with a special tier. Source: the same page; the number is ours.
SPECIAL = 600

#: Each method's calls a minute. Source: docs.slack.dev, reference/methods, "Rate limits" of each.
CALLS_PER_MINUTE = {
    "auth.test": SPECIAL,
    "chat.postMessage": 300,
    "chat.postEphemeral": TIER_4,
    "chat.update": TIER_3,
    "chat.delete": TIER_3,
    "conversations.history": TIER_3,
    "conversations.info": TIER_3,
    "conversations.join": TIER_3,
    "conversations.list": TIER_2,
    "conversations.members": TIER_4,
    "conversations.open": TIER_3,
    "conversations.replies": TIER_3,
    "usergroups.list": TIER_2,
    "usergroups.users.list": TIER_2,
    "users.info": TIER_4,
    "users.list": TIER_2,
    "users.lookupByEmail": TIER_3,
    "views.open": TIER_4,
    "views.publish": TIER_4,
    "views.push": TIER_4,
    "views.update": TIER_4,
}

#: Posts in one channel: one a second, with short bursts let through. Source: docs.slack.dev, apis/web-api/rate-limits,
#: "Posting messages"; how long a burst may be is not documented, five is ours.
POSTS_PER_CHANNEL_PER_S = 1.0
POST_BURST = 5


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class RateLimiter:
    """Token buckets per method, and per channel for posts; `enabled` switches all of them."""

    def __init__(self, clock: Clock, *, enabled: bool) -> None:
        self.enabled = enabled
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def check(self, method: str, channel: str = "") -> None:
        """
        Count one call.

        Raises:
            SlackRefusal: ``ratelimited`` with HTTP 429 and the seconds to wait.
        """
        if not self.enabled:
            return
        per_minute = CALLS_PER_MINUTE[method]
        self._take(method, per_minute / 60, per_minute)
        if method == "chat.postMessage":
            self._take(f"{method}:{channel}", POSTS_PER_CHANNEL_PER_S, POST_BURST)

    def _take(self, key: str, per_second: float, capacity: int) -> None:
        now = self._clock.now()
        bucket = self._buckets.setdefault(key, _Bucket(capacity, now))
        bucket.tokens = min(capacity, bucket.tokens + (now - bucket.filled_at) * per_second)
        bucket.filled_at = now
        if bucket.tokens < 1:
            wait = math.ceil((1 - bucket.tokens) / per_second)
            raise SlackRefusal("ratelimited", status=429, retry_after_s=max(1, wait))
        bucket.tokens -= 1
