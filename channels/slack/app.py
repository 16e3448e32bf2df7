"""The Bolt app: which listener gets which delivery. All it needs is passed in; the environment changes nothing."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.web.async_client import AsyncWebClient

from channels.slack.answering import Answering
from channels.slack.bulk import BULK, BULK_VIEW, Bulk
from channels.slack.client import LOGGER
from channels.slack.commands.run import Commands
from channels.slack.commands.windows import CANCEL_VIEW, START_VIEW
from channels.slack.consulting import Consulting
from channels.slack.home import Home
from channels.slack.installation import SlackInstallation
from channels.slack.listening import Desk, done, failed, log
from channels.slack.members import Members
from channels.slack.news import News
from channels.slack.ports import Gate, Openers
from channels.slack.retrying import Retrying
from channels.slack.shown import (
    ANSWER,
    ASK,
    DETAILS,
    EDIT,
    EDIT_VIEW,
    FILE,
    HAND_OVER_VIEW,
    HOME_PAGE,
    INFORM,
    MORE,
    PAGE,
    QUESTION_VIEW,
    REASON_VIEW,
    REPLY_VIEW,
    RETRY,
    WITHDRAW_VIEW,
)
from channels.slack.usergroups import UserGroups
from channels.slack.viewing import Viewing
from loops.ports import Directory

COMMAND = "/loops"

#: The tenant of a gateway that knows only one.
DEFAULT_TENANT = "default"

_ANYTHING = re.compile(".*", re.DOTALL)


def create_bolt_app(
    installation: SlackInstallation,
    client: AsyncWebClient,
    *,
    gate: Gate,
    directory: Directory,
    tenant: str = DEFAULT_TENANT,
    command: str = COMMAND,
    members: Members | None = None,
    openers: Openers | None = None,
    user_groups: UserGroups | None = None,
) -> AsyncApp:
    """
    Return the Bolt app of *installation*, to be served through `asgi.slack_routes` or `socket_mode`.

    Whether a delivery is Slack's is known before it comes here, by the guard or by the connection, so Bolt's own
    verification is off. Listeners run before the response: the ack leaves when they return, never earlier.

    Args:
        client: From `slack_client`, of the event loop that serves the app.
        gate: Where answers go.
        directory: Who people are.
        tenant: Whose requests this installation shows.
        command: The slash command as the app's manifest has it.
        openers: Remembers whose Home tabs to draw anew when requests change.
        members: Who of the workspace may decide: nobody deleted, no bot, no guest. None leaves that to the directory.
        user_groups: Those that give rights, to be asked for anew when Slack says that they changed.
    """
    app = AsyncApp(
        name="loopgate",
        logger=LOGGER,
        client=AsyncWebClient(
            token=None, base_url=client.base_url, session=client.session, logger=LOGGER, retry_handlers=[]
        ),
        signing_secret="",
        authorize=_authorize(installation),
        request_verification_enabled=False,
        ssl_check_enabled=False,
        attaching_function_token_enabled=False,
        process_before_response=True,
    )
    desk = Desk(
        installation=installation,
        client=client,
        gate=gate,
        directory=directory,
        tenant=tenant,
        members=members,
        user_groups=user_groups,
    )
    answering, consulting = Answering(desk), Consulting(desk)
    viewing, commands = Viewing(desk), Commands(desk, command)
    home, bulk = Home(desk, openers), Bulk(desk)

    app.action(_begins(ANSWER))(_listener(home.then_anew(answering.decide)))
    app.action(_begins(ASK))(_listener(answering.ask))
    app.view_submission(REASON_VIEW)(_listener(home.then_anew(answering.submit)))
    app.action(EDIT)(_listener(answering.edit))
    app.view_submission(EDIT_VIEW)(_listener(home.then_anew(answering.submit_edit)))
    app.action(MORE)(_listener(consulting.choose))
    app.action(INFORM)(_listener(consulting.choose))
    app.view_submission(QUESTION_VIEW)(_listener(home.then_anew(consulting.ask)))
    app.view_submission(REPLY_VIEW)(_listener(home.then_anew(consulting.reply)))
    app.view_submission(HAND_OVER_VIEW)(_listener(home.then_anew(consulting.hand_over)))
    app.view_submission(WITHDRAW_VIEW)(_listener(home.then_anew(consulting.withdraw)))
    app.action(DETAILS)(_listener(viewing.details))
    app.action(_begins(PAGE))(_listener(viewing.turn))
    app.action(FILE)(_listener(viewing.file))
    app.event("app_home_opened")(_listener(home.open))
    app.action(_begins(RETRY))(_listener(Retrying(desk).retry))
    app.action(_begins(HOME_PAGE))(_listener(home.turn))
    app.action(_begins(BULK))(_listener(bulk.open))
    app.view_submission(BULK_VIEW)(_listener(home.then_anew(bulk.submit)))
    app.command(command)(_listener(commands.run))
    app.view_submission(START_VIEW)(_listener(commands.submit_start))
    app.view_submission(CANCEL_VIEW)(_listener(commands.submit_cancel))
    news = News(desk)
    for changed in ("user_change", "team_join"):
        app.event(changed)(_listener(news.member_changed))
    for changed in ("subteam_members_changed", "subteam_updated", "subteam_created"):
        app.event(changed)(_listener(news.group_changed))
    # Buttons with links, closed modals and events nobody asked for want an ack all the same.
    app.action(_ANYTHING)(_listener(_acknowledge))
    app.view_submission(_ANYTHING)(_listener(_acknowledge))
    app.view_closed(_ANYTHING)(_listener(_acknowledge))
    app.command(_ANYTHING)(_listener(commands.run))
    app.event(_ANYTHING)(_listener(_acknowledge))
    app.error(_broken)
    return app


def _begins(prefix: str) -> re.Pattern[str]:
    return re.compile(f"^{re.escape(prefix)}")


def _listener(listen: Callable[[Any], Awaitable[BoltResponse]]) -> Callable[..., Awaitable[BoltResponse]]:
    # Bolt passes arguments by name; our listeners take the delivery, already read and checked.
    async def listener(context: AsyncBoltContext) -> BoltResponse:
        return await listen(context["delivery"])

    return listener


async def _acknowledge(_: object) -> BoltResponse:
    return done()


async def _broken(error: Exception) -> BoltResponse:
    log.error("slack.listener.broken", error=type(error).__name__, exc_info=error)
    return failed("internal_error")


def _authorize(installation: SlackInstallation) -> Callable[..., Awaitable[AuthorizeResult]]:
    """Answer from configuration: asking Slack's auth.test would lose every click while Slack is away."""

    async def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=enterprise_id,
            team_id=team_id,
            bot_user_id=installation.bot_user_id,
            bot_token=installation.bot_token.get_secret_value(),
        )

    return authorize
