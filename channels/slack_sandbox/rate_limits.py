"""Slack's rate limits: so many calls a minute per method, about one post a second per channel, and who did not wait."""

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
    # Tier 1, which is one a minute and more. An app may hold ten connections, so ten is ours.
    "apps.connections.open": 10,
    "auth.test": SPECIAL,
    "bots.info": TIER_3,
    "chat.postMessage": 300,
    "chat.postEphemeral": TIER_4,
    "chat.update": TIER_3,
    "chat.delete": TIER_3,
    "chat.getPermalink": SPECIAL,
    "conversations.history": TIER_3,
    "conversations.info": TIER_3,
    "conversations.join": TIER_3,
    "conversations.list": TIER_2,
    "conversations.members": TIER_4,
    "conversations.open": TIER_3,
    "conversations.replies": TIER_3,
    "files.completeUploadExternal": TIER_4,
    "files.getUploadURLExternal": TIER_4,
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
    """
    Token buckets per method, and per channel for posts; `enabled` switches all of them.

    Args:
        factor: Multiplies every rate and every burst: 20 lets a test do in seconds what takes Slack's own minutes.
    """

    def __init__(self, clock: Clock, *, enabled: bool, factor: float = 1.0) -> None:
        self.enabled = enabled
        self.factor = factor
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
        per_minute = CALLS_PER_MINUTE[method] * self.factor
        self._take(method, per_minute / 60, per_minute)
        if method == "chat.postMessage":
            self._take(f"{method}:{channel}", POSTS_PER_CHANNEL_PER_S * self.factor, POST_BURST * self.factor)

    def _take(self, key: str, per_second: float, capacity: float) -> None:
        now = self._clock.now()
        bucket = self._buckets.setdefault(key, _Bucket(capacity, now))
        bucket.tokens = min(capacity, bucket.tokens + (now - bucket.filled_at) * per_second)
        bucket.filled_at = now
        if bucket.tokens < 1:
            wait = math.ceil((1 - bucket.tokens) / per_second)
            raise SlackRefusal("ratelimited", status=429, retry_after_s=max(1, wait))
        bucket.tokens -= 1


class WaitDesk:
    """
    Who was told to wait, and did: Slack's 429 is about a method, whatever the call was about.

    Source: docs.slack.dev, apis/web-api/rate-limits, "Responding to rate limiting conditions".
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[str, tuple[float, float]] = {}

    def tell(self, method: str, seconds: int) -> None:
        """Remember that callers of *method* were told now to wait *seconds*."""
        now = self._clock.now()
        told_at, until = self._told.get(method, (now, 0.0))
        self._told[method] = (told_at if until > now else now, max(until, now + seconds))

    def too_early(self, method: str) -> dict[str, float] | None:
        """
        Return how much too early a call of *method* is that comes now; None where nobody needs to wait.

        ``since_s`` is how long ago the wait was asked for (a call that was on its way could not know of it),
        ``early_s`` how long it still goes on.
        """
        now = self._clock.now()
        told_at, until = self._told.get(method, (now, now))
        if until <= now:
            return None
        return {"since_s": round(now - told_at, 3), "early_s": round(until - now, 3)}
