"""The installation: one Slack app in one workspace, as the wiring hands it down."""

from dataclasses import dataclass

from pydantic import SecretStr

#: Source: docs.slack.dev, apis/web-api.
API_URL = "https://slack.com/api/"


@dataclass(frozen=True, slots=True)
class SlackInstallation:
    """
    One Slack app installed in one workspace. Nothing else is read from the environment.

    Args:
        team_id: The workspace (``T...``); people of another one do not decide here.
        app_id: The app (``A...``); deliveries for another one are refused.
        bot_token: ``xoxb-...``.
        signing_secret: What Slack signs its requests with; None where it delivers over Socket Mode.
        bot_user_id: The app's bot user (``U...``), so that its own events are ignored.
        api_url: Slack's Web API, or the sandbox's.
        app_token: ``xapp-...``, which opens Socket Mode connections; None where Slack posts to the request URL.
    """

    team_id: str
    app_id: str
    bot_token: SecretStr
    signing_secret: SecretStr | None = None
    bot_user_id: str | None = None
    api_url: str = API_URL
    app_token: SecretStr | None = None
