"""
Evidence of the channel: which click, by which Slack user, on which card, a decision or refusal rests on.

The shape is the Loop Engine's `evidence.channel`. The key makes a repeated delivery of one click count once: Slack
gives clicks no event id, so it is made of what identifies them (source: docs.slack.dev, block_actions, `action_ts`).
"""

import hashlib
import json
from typing import Any

from channels.slack.deliveries import Click, Command, Submission, User
from channels.slack.shown import Asked
from loops.ports import ChannelIdentity

CONNECTION_ID = "channel.slack"
KIND = "slack"
#: How somebody is known of whom the directory has an address, and Slack has not said which user it is.
EMAIL = "email"


def team_of(delivery: Click | Submission) -> str:
    """Return the workspace of the person who acted; empty where Slack did not say."""
    return delivery.user.team_id or (delivery.team.id if delivery.team else "")


def identity_of(delivery: Click | Submission | Command, team_id: str) -> ChannelIdentity | None:
    """Return who acted, as the directory knows them; None for anybody from another workspace than *team_id*."""
    match delivery:
        case Command():
            team, user = delivery.team_id, delivery.user_id
        case Click() | Submission():
            team, user = team_of(delivery), delivery.user.id
            # In a shared channel either id may be foreign; both must be ours.
            if delivery.team is not None and delivery.team.id != team_id:
                return None
    return ChannelIdentity(kind=KIND, team=team, user=user) if team == team_id else None


def click_evidence(click: Click, transition_id: str | None) -> dict[str, Any]:
    """Return the evidence of a button press."""
    place = click.container
    return _evidence(
        team_of(click),
        click.user,
        action_id=click.actions[0].action_id,
        channel=place.channel_id,
        message_ts=place.message_ts,
        thread_ts=place.thread_ts,
        transition_id=transition_id,
    )


def submission_evidence(submission: Submission, asked: Asked) -> dict[str, Any]:
    """Return the evidence of a submitted reason modal: the card it was opened from."""
    return _evidence(
        team_of(submission),
        submission.user,
        action_id=asked.action_id,
        channel=asked.channel,
        message_ts=asked.message_ts,
        thread_ts=asked.thread_ts,
        transition_id=asked.shown.transition_id,
    )


def command_evidence(command: Command) -> dict[str, Any]:
    """Return the evidence of a slash command."""
    return _evidence(
        command.team_id,
        User(id=command.user_id),
        action_id=command.command,
        channel=command.channel_id,
        message_ts=None,
        thread_ts=None,
        transition_id=None,
    )


def click_key(click: Click) -> str:
    """Return what makes this click one: the message or view, the person, the button and Slack's stamp."""
    place, action = click.container, click.actions[0]
    where = f"{place.channel_id}:{place.message_ts}" if place.message_ts else f"view:{place.view_id}"
    return f"slack:{where}:{click.user.id}:{action.action_id}:{action.action_ts or click.trigger_id}"


def submission_key(submission: Submission, *typed: str | None) -> str:
    """Return what makes this submission one; something else typed, after an answer got lost, makes another."""
    view = submission.view
    said = hashlib.sha256(json.dumps(typed).encode()).hexdigest()[:16]
    return f"slack:view:{view.id}:{view.hash}:{submission.user.id}:{said}"


def _evidence(
    team: str,
    user: User,
    *,
    action_id: str,
    channel: str | None,
    message_ts: str | None,
    thread_ts: str | None,
    transition_id: str | None,
) -> dict[str, Any]:
    found = {
        "channelConnectionId": CONNECTION_ID,
        "channelKind": KIND,
        "slackTeamId": team,
        "slackChannelId": channel,
        "slackMessageTs": message_ts,
        "slackUserId": user.id,
        "slackActionId": action_id,
        "slackThreadTs": thread_ts,
        "decisionSignalId": transition_id,
    }
    return {name: value for name, value in found.items() if value}
