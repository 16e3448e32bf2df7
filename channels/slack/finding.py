"""Finding: what an attempt whose answer was lost has posted after all, so that nothing is posted twice."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from channels.slack.client import called
from channels.slack.files import suffix
from channels.slack.installation import SlackInstallation
from channels.slack.outgoing import OutgoingClient

#: How far before the request was made a doubtful post is looked for: Slack's clock and ours need not agree.
LOOK_BACK = timedelta(minutes=10)
#: Messages looked at for a doubtful post, per page and pages. Source: docs.slack.dev, conversations.history, `limit`.
PAGE_SIZE, PAGES_MAX = 200, 10


class Finder:
    """Looks through what the installation's app has posted. Every method may raise Unavailable or Rejected."""

    def __init__(self, client: OutgoingClient, installation: SlackInstallation) -> None:
        self._client = client
        self._installation = installation

    async def post(self, channel: str, kind: str, effect_id: str, made_at: datetime) -> dict[str, Any] | None:
        """Return where the post of this *kind* for an effect is in *channel*, as ``{channel, ts}``, or None."""
        async for message in self._posted(channel, made_at):
            if _effect_of(message, kind) == effect_id:
                return {"channel": channel, "ts": message["ts"]}
        return None

    async def reply(self, channel: str, ts: str, kind: str, effect_id: str) -> bool:
        """Return whether the reply of this *kind* for an effect is in the thread of a message."""
        what = f"look for the reply in {channel}"
        async for message in self._ours(what, self._client.conversations_replies, channel=channel, ts=ts):
            if _effect_of(message, kind) == effect_id:
                return True
        return False

    async def file(self, channel: str, effect_id: str, made_at: datetime) -> bool:
        """Return whether the file of an effect is shared in *channel*."""
        async for message in self._posted(channel, made_at):
            if any(str(file.get("name", "")).endswith(suffix(effect_id)) for file in message.get("files") or ()):
                return True
        return False

    def _posted(self, channel: str, made_at: datetime) -> AsyncIterator[Mapping[str, Any]]:
        oldest = f"{(made_at - LOOK_BACK).timestamp():.6f}"
        what = f"look for what was posted in {channel}"
        return self._ours(what, self._client.conversations_history, channel=channel, oldest=oldest)

    async def _ours(
        self, what: str, ask: Callable[..., Awaitable[Any]], **where: str
    ) -> AsyncIterator[Mapping[str, Any]]:
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            page = await called(what, ask(**where, include_all_metadata=True, limit=PAGE_SIZE, cursor=cursor))
            for message in page.get("messages") or []:
                if self._is_ours(message):
                    yield message
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or None
            if cursor is None:
                return

    def _is_ours(self, message: Mapping[str, Any]) -> bool:
        # Any app in the channel may put our effect id into its metadata; only our own message is our card.
        return message.get("app_id") == self._installation.app_id or (
            self._installation.bot_user_id is not None and message.get("user") == self._installation.bot_user_id
        )


def _effect_of(message: Mapping[str, Any], kind: str) -> object:
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") != kind:
        return None
    return (metadata.get("event_payload") or {}).get("effect_id")
