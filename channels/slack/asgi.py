"""The route Slack posts to: guard, then Bolt."""

from slack_bolt.async_app import AsyncApp
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from channels.slack.asgi_guard import DELIVERY, SlackGuard
from channels.slack.installation import SlackInstallation
from channels.slack.ports import SeenOnce
from channels.slack.reception import Reception
from loops.ports import Clock

PATH = "/slack/events"


def slack_routes(
    app: AsyncApp, installation: SlackInstallation, *, seen: SeenOnce, clock: Clock, path: str = PATH
) -> list[Route]:
    """Return the routes that serve *app*, the Bolt app of *installation*, behind its guard."""
    endpoint = Endpoint(Reception(app, installation))
    return [Route(path, SlackGuard(endpoint, installation, seen=seen, clock=clock, path=path))]


class Endpoint:
    """Answers a delivery the guard admitted; serves nothing that did not come through it."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one delivery."""
        answer = await self._reception.answer(scope[DELIVERY])
        response = Response(answer.body, answer.status, answer.first_headers_without_set_cookie())
        await response(scope, receive, send)
