"""The route Slack posts to: guard, then Bolt."""

from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from channels.slack.asgi_guard import DELIVERY, SlackGuard
from channels.slack.deliveries import UrlVerification
from channels.slack.installation import SlackInstallation
from channels.slack.listening import log
from channels.slack.ports import SeenOnce
from loops.ports import Clock

PATH = "/slack/events"


def slack_routes(
    app: AsyncApp, installation: SlackInstallation, *, seen: SeenOnce, clock: Clock, path: str = PATH
) -> list[Route]:
    """Return the routes that serve *app*, the Bolt app of *installation*, behind its guard."""
    return [Route(path, SlackGuard(Endpoint(app, installation), installation, seen=seen, clock=clock, path=path))]


class Endpoint:
    """
    Hands a delivery the guard admitted to Bolt.

    Bolt gets the body already read, as in Socket Mode: its own reader takes any form body with the letters ``payload``
    in it for an interaction and loses the rest.
    """

    def __init__(self, app: AsyncApp, installation: SlackInstallation) -> None:
        self._app = app
        self._installation = installation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one delivery."""
        response = await self._answer(scope)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response:
        delivery = scope[DELIVERY]
        if isinstance(delivery, UrlVerification):
            return JSONResponse({"challenge": delivery.challenge})
        if delivery.api_app_id != self._installation.app_id:
            return JSONResponse({"error": "another_app"}, 403)
        request = AsyncBoltRequest(
            body=delivery.model_dump(exclude_none=True), mode="socket_mode", context={"delivery": delivery}
        )
        try:
            answer = await self._app.async_dispatch(request)
        except Exception as error:
            # Bolt's own error handling can break on a body it did not expect; a traceback is for our log only.
            log.error("slack.dispatch.broken", error=type(error).__name__, exc_info=error)
            return JSONResponse({"error": "internal_error"}, 500)
        headers = answer.first_headers_without_set_cookie()
        return Response(answer.body, answer.status, headers)
