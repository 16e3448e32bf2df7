"""Response URLs: the short-lived address an interaction hands the app to answer in its place."""

import secrets
from dataclasses import dataclass

from channels.slack_sandbox.clock import Clock
from channels.slack_sandbox.refusal import SlackRefusal

#: Posts one response URL takes, and for how long.
#: Source: docs.slack.dev, interactivity/handling-user-interaction, "Message responses".
RESPONSE_URL_USES_MAX = 5
RESPONSE_URL_LIFE_S = 30 * 60
#: Response URLs remembered.
RESPONSE_URLS_MAX = 5_000


@dataclass(slots=True)
class ResponseUrl:
    """Where an answer goes: to *user* in *channel*; *message_ts* is the message acted on, empty for commands."""

    user: str
    channel: str
    message_ts: str
    thread_ts: str
    issued_at: float
    uses: int = 0


class ResponseUrlDesk:
    """Issues response URLs and counts their use."""

    def __init__(self, clock: Clock, team_id: str) -> None:
        self._clock = clock
        self._team_id = team_id
        self._issued: dict[str, ResponseUrl] = {}

    def issue(
        self,
        base_url: str,
        family: str,
        *,
        user: str,
        channel: str,
        message_ts: str = "",
        thread_ts: str = "",
    ) -> str:
        """A new URL below *base_url*; *family* is ``actions`` or ``commands``, as in Slack's own."""
        secret = secrets.token_urlsafe(18)
        self._issued[secret] = ResponseUrl(user, channel, message_ts, thread_ts, self._clock.now())
        if len(self._issued) > RESPONSE_URLS_MAX:
            del self._issued[next(iter(self._issued))]
        return f"{base_url.rstrip('/')}/{family}/{self._team_id}/{secrets.randbelow(10**12)}/{secret}"

    def use(self, secret: str) -> ResponseUrl:
        """
        Count one post to the URL.

        Raises:
            SlackRefusal: ``used_url`` after five posts, ``expired_url`` after 30 minutes or when never issued (404).
        """
        found = self._issued.get(secret)
        if found is None or self._clock.now() - found.issued_at > RESPONSE_URL_LIFE_S:
            raise SlackRefusal("expired_url", status=404)
        if found.uses >= RESPONSE_URL_USES_MAX:
            raise SlackRefusal("used_url", status=404)
        found.uses += 1
        return found
