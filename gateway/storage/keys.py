"""
Every Redis key, in one place.

A key is a prefix below and one or two *parts*, separated by colons. Parts are percent-quoted, so that no tenant, id or
state chosen by somebody can run into its neighbour: tenant ``a:b`` with id ``c`` is not tenant ``a`` with id ``b:c``.
The scripts build keys from the same prefixes (`LUA`), so Redis Cluster, which wants keys declared, is not supported;
RQ does not support it either.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from urllib.parse import quote, unquote

#: Hash: v version, s state, o open, k index member, d definition digest, r latest request, b body. tenant, instance.
INSTANCE = "lg:instance:"
#: List of event lines; the place in the list is the sequence. tenant, instance.
LEDGER = "lg:ledger:"
#: Hash: i instance, b body. tenant, request.
REQUEST = "lg:request:"
#: Sorted set of open approval requests, all scores 0, ordered by their index member (`request_member`). tenant.
REQUESTS_OPEN = "lg:requests-open:"
#: The newest requests a person asked for, by the same members. tenant, person.
REQUESTS_ASKED = "lg:requests-asked:"
#: The newest requests a person decided, by when they did. tenant, person.
REQUESTS_DECIDED = "lg:requests-decided:"
#: List of the instances run on one business object; the last one is the current one. tenant, aggregate.
RUNS = "lg:runs:"
#: Body of a pinned definition, the same for all tenants as it is named by its content. digest.
DEFINITION = "lg:definition:"
#: Sorted set of open instances, all scores 0, ordered by their index member (`index_member`). tenant.
OPEN = "lg:open:"
#: The same, per state. tenant, state.
OPEN_IN = "lg:open-in:"
#: Sorted set of closed instances, all scores 0, ordered by their index member. tenant.
CLOSED = "lg:closed:"
#: The same, per state. tenant, state.
CLOSED_IN = "lg:closed-in:"
#: Set of instances with events that no checkpoint has sealed. tenant.
MOVED = "lg:moved:"
#: List of checkpoints, oldest first; the place in the list is the sequence. tenant.
CHECKPOINTS = "lg:checkpoints:"
#: Body of an idempotency record, with a time to live. tenant, key.
IDEMPOTENCY = "lg:idempotency:"
#: Hash: s state, f fence, n attempts, u not before (ms), k kind, m member in its listings, o owner
#: (``tenant:instance``), q stands in the outbox, e error, d detail, b body; x claims in a row whose holder never came
#: back; where it was put back to work, z when (ms) and a its attempts until then. id.
EFFECT = "lg:effect:"
#: Sorted set of effects that are not done with, all scores 0, ordered by their member: when they were asked for (ms,
#: zero-padded) and their id. state, kind. What succeeded or was cancelled is listed by its instance only.
EFFECTS_IN = "lg:effects-in:"
#: List of the effects of one instance, oldest first. tenant, instance.
EFFECTS = "lg:effects:"
#: Sorted set of effects not finished, by the time (ms) the sweep looks at them again.
EFFECTS_OPEN = "lg:effects-open"
#: List of outbox entries, ``kind effect``, oldest first.
OUTBOX = "lg:outbox"
#: Hash of a lane: f failures in a row, u let be until (ms), p the effect that finds out. lane.
LANE = "lg:lane:"
#: Sorted set of the effects in a lane, by the end of their lease (ms). lane.
LANE_INSIDE = "lg:lane-inside:"
#: Sorted set of the effects that wait for a lane, by when they came (ms). lane.
LANE_WAITING = "lg:lane-waiting:"
#: Sorted set of deadlines by due time (us); members are ``tenant:deadline``.
DEADLINES = "lg:deadlines"
#: Hash of deadline bodies by the same members.
DEADLINE_BODIES = "lg:deadline-bodies"
#: Hash: v rendered version, b body, w wanted version, t times it was brought up since. tenant, request, and the number
#: of the copy where it is not the first card.
CARD = "lg:card:"
#: Sorted set of the cards that show less than was asked for, ``tenant:request``, by when (ms) they are brought up.
CARDS_BEHIND = "lg:cards-behind"
#: The holder of a lease. name.
LEASE = "lg:lease:"
#: Something seen before. key.
SEEN = "lg:seen:"
#: Sorted set of Slack users who opened their Home tab lately, by when each is forgotten (ms). team.
OPENERS = "lg:openers:"
#: Hash: f free at (ms), h held until (ms). whose, limit.
LIMIT = "lg:limit:"
#: Sorted set of the places in a limit's line, by the time (ms) their turn comes. whose, limit, rank.
LIMIT_LINE = "lg:limit-line:"
#: The API key (``tenant:key``) that a token belongs to. digest of the token.
API_TOKEN = "lg:api-token:"  # noqa: S105 - the name of a key
#: Hash: b body, u last used (ms). tenant, key.
API_KEY = "lg:api-key:"
#: Sorted set of a tenant's API keys, all scores 0. tenant.
API_KEYS = "lg:api-keys:"
#: Requests within one minute, with a time to live. ``key:tenant:key`` or ``tenant:tenant``, minute.
RATE = "lg:rate:"
#: Stream of what was committed, for those who follow: i instance, n sequence of its last event, c how many. tenant.
FEED = "lg:feed:"
#: Sorted set of the subscriptions of all tenants, ``tenant:subscription``, all scores 0.
SUBSCRIPTIONS = "lg:subscriptions"
#: Hash: b body, p how far its deliveries are. tenant, subscription.
SUBSCRIPTION = "lg:subscription:"
#: What a channel said, after the turn it was asked in. team:name.
KNOWN = "lg:known:"
#: How often a channel said that it changed. team:name.
TURN = "lg:turn:"
#: What is kept of an archived instance, JSON. tenant, instance.
ARCHIVED = "lg:archived:"
#: Sorted set of archived instances, all scores 0, ordered by the index member they had when closed. tenant.
ARCHIVE = "lg:archive:"
#: The version of the schema, a number (`gateway.storage.schema`).
SCHEMA = "lg:schema"
#: Written where what was written before must be known to be kept; says nothing by itself.
CONFIRMED = "lg:confirmed"

#: What the scripts know the prefixes as.
LUA: Mapping[str, str] = MappingProxyType(
    {
        "INSTANCE": INSTANCE,
        "LEDGER": LEDGER,
        "REQUEST": REQUEST,
        "REQUESTS_OPEN": REQUESTS_OPEN,
        "REQUESTS_ASKED": REQUESTS_ASKED,
        "REQUESTS_DECIDED": REQUESTS_DECIDED,
        "RUNS": RUNS,
        "DEFINITION": DEFINITION,
        "OPEN": OPEN,
        "OPEN_IN": OPEN_IN,
        "CLOSED": CLOSED,
        "CLOSED_IN": CLOSED_IN,
        "MOVED": MOVED,
        "CHECKPOINTS": CHECKPOINTS,
        "IDEMPOTENCY": IDEMPOTENCY,
        "EFFECT": EFFECT,
        "EFFECTS": EFFECTS,
        "EFFECTS_IN": EFFECTS_IN,
        "EFFECTS_OPEN": EFFECTS_OPEN,
        "OUTBOX": OUTBOX,
        "DEADLINES": DEADLINES,
        "DEADLINE_BODIES": DEADLINE_BODIES,
        "CARD": CARD,
        "CARDS_BEHIND": CARDS_BEHIND,
        "LANE": LANE,
        "LANE_INSIDE": LANE_INSIDE,
        "LANE_WAITING": LANE_WAITING,
        "LEASE": LEASE,
        "API_TOKEN": API_TOKEN,
        "API_KEY": API_KEY,
        "RATE": RATE,
        "FEED": FEED,
        "SUBSCRIPTION": SUBSCRIPTION,
        "LIMIT": LIMIT,
        "LIMIT_LINE": LIMIT_LINE,
        "SCHEMA": SCHEMA,
        "ARCHIVED": ARCHIVED,
        "ARCHIVE": ARCHIVE,
    }
)

#: What stays as it is when quoted: most ids, and a commit has many.
_PLAIN = re.compile(r"[\w.~-]*", re.ASCII)

#: Longer texts from outside are named by their digest, so that nobody fills memory with keys.
_LONGEST_READABLE = 128


def part(text: str) -> str:
    """Return *text* as one part of a key; `unpart` gives it back."""
    return text if _PLAIN.fullmatch(text) else quote(text, safe="", errors="surrogatepass")


def unpart(part: str) -> str:
    """Return the text a part was made of."""
    return unquote(part, errors="surrogatepass")


def bounded_part(text: str) -> str:
    """Return *text* as one part of bounded length, for texts that callers choose and nobody reads back."""
    quoted = part(text)
    return quoted if len(quoted) <= _LONGEST_READABLE else f"sha256:{sha256(quoted.encode()).hexdigest()}"


def pair(first: str, second: str) -> str:
    """Return two parts, as they follow a prefix."""
    return f"{part(first)}:{part(second)}"
