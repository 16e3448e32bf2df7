"""Pace: how often Slack lets each method be called; which limits a call is under, and where in line it waits. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from channels.slack.turns import Limit

#: Calls a minute of Slack's tiers. Source: docs.slack.dev, apis/web-api/rate-limits.
TIER_2, TIER_3, TIER_4 = 20, 50, 100
#: "Several hundred a minute" for posts in one workspace, as the same page says; the number is ours.
POSTS_PER_MINUTE = 300

#: Each method's calls a minute. Source: docs.slack.dev, reference/methods, "Rate limits" of each.
CALLS_PER_MINUTE: Mapping[str, int] = {
    # Tier 1, one a minute and more; an app may hold ten connections, so ten is ours.
    "apps.connections.open": 10,
    "auth.test": POSTS_PER_MINUTE,
    "chat.getPermalink": POSTS_PER_MINUTE,
    "chat.postMessage": POSTS_PER_MINUTE,
    "chat.postEphemeral": TIER_4,
    "chat.update": TIER_3,
    "chat.delete": TIER_3,
    "conversations.history": TIER_3,
    "conversations.info": TIER_3,
    "conversations.open": TIER_3,
    "conversations.replies": TIER_3,
    "files.completeUploadExternal": TIER_4,
    "files.getUploadURLExternal": TIER_4,
    "users.info": TIER_4,
    "users.lookupByEmail": TIER_3,
    "views.open": TIER_4,
    "views.publish": TIER_4,
    "views.push": TIER_4,
    "views.update": TIER_4,
}
#: For a method that is not listed: the slowest tier that any method we use has.
OTHERWISE = TIER_2

#: The part of a minute's calls that may be made at once. The rest is spread over the minute, so that no minute ever
#: holds more than the tier.
AT_ONCE = 1 / 5

#: Posts to one channel: one a second; "short bursts" may be more, how many is not said and three is ours.
#: Source: docs.slack.dev, apis/web-api/rate-limits, "Posting messages".
POST_INTERVAL_S, POST_BURST = 1.0, 3

#: What somebody waits for with the mouse in their hand, and what can be told later.
URGENT, CARD, THREAD = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Planned:
    """How a call waits: the limits it is under (its method's first), the place it keeps there, and its rank."""

    limits: tuple[Limit, ...]
    place: str
    rank: int


def plan(method: str, arguments: Mapping[str, Any], factor: float = 1.0) -> Planned:
    """
    Return how a call of *method* waits.

    Args:
        factor: Multiplies Slack's limits: more than 1 for a workspace whose limits were raised, or a sandbox.
    """
    limits = [_of_method(method, factor)]
    if method == "chat.postMessage":
        name = f"{method}:{arguments.get('channel')}"
        limits.append(Limit(name, POST_INTERVAL_S / factor, max(1, round(POST_BURST * factor))))
    return Planned(tuple(limits), f"{method}:{_identity(method, arguments)}", _rank(method, arguments))


def _of_method(method: str, factor: float) -> Limit:
    per_minute = CALLS_PER_MINUTE.get(method, OTHERWISE) * factor
    burst = max(1, round(per_minute * AT_ONCE))
    return Limit(method, 60 / max(per_minute - burst, per_minute / 2), burst)


def _identity(method: str, arguments: Mapping[str, Any]) -> str:
    """Name what the call is about: a card has one place, however many changes wait for it."""
    if method == "chat.update":
        return f"{arguments.get('channel')}:{arguments.get('ts')}"
    metadata = arguments.get("metadata")
    payload = metadata.get("event_payload") if isinstance(metadata, Mapping) else None
    if isinstance(payload, Mapping) and "effect_id" in payload:
        return str(payload["effect_id"])
    said = json.dumps(dict(arguments), sort_keys=True, default=str)
    return sha256(said.encode(errors="replace")).hexdigest()[:16]


def _rank(method: str, arguments: Mapping[str, Any]) -> int:
    if method.startswith(("apps.", "views.", "users.")) or method == "chat.postEphemeral":
        return URGENT
    return THREAD if method == "chat.postMessage" and arguments.get("thread_ts") else CARD
