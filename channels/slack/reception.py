"""Reception: where a delivery that is known to be Slack's comes in, over HTTP or Socket Mode, and goes to Bolt."""

from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest

from channels.slack.deliveries import Delivery, UrlVerification
from channels.slack.installation import SlackInstallation
from channels.slack.listening import failed, log


class Reception:
    """
    Hands deliveries for *installation* to its Bolt app.

    Bolt gets the body already read, as in Socket Mode: its own reader takes any form body with the letters ``payload``
    in it for an interaction and loses the rest.
    """

    def __init__(self, app: AsyncApp, installation: SlackInstallation) -> None:
        self._app = app
        self._installation = installation

    async def answer(self, delivery: Delivery) -> BoltResponse:
        """Return what the listener answers: 200 once it is committed, anything else where it is not. Never raises."""
        if isinstance(delivery, UrlVerification):
            return BoltResponse(status=200, body={"challenge": delivery.challenge})
        if delivery.api_app_id != self._installation.app_id:
            return BoltResponse(status=403, body={"error": "another_app"})
        request = AsyncBoltRequest(
            body=delivery.model_dump(exclude_none=True), mode="socket_mode", context={"delivery": delivery}
        )
        try:
            return await self._app.async_dispatch(request)
        except Exception as error:
            # Bolt's own error handling can break on a body it did not expect; a traceback is for our log only.
            log.error("slack.dispatch.broken", error=type(error).__name__, exc_info=error)
            return failed("internal_error")
