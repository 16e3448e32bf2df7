"""News: what Slack's events tell about people. Kept before the ack; what cannot be kept is delivered again."""

from pydantic import ValidationError
from slack_bolt import BoltResponse

from channels.slack.deliveries import EventCallback
from channels.slack.listening import LOAD_S, Desk, done, failed, soon
from channels.slack.roster import Member
from loops.errors import Unavailable


class News:
    """The listeners of `user_change` and `team_join`, and of the `subteam` events."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def member_changed(self, happened: EventCallback) -> BoltResponse:
        """Keep what Slack says about somebody who joined or changed."""
        told, members = happened.event.member, self._desk.members
        if told is None or members is None:
            return done()
        try:
            await soon(members.changed(Member.model_validate(told)), LOAD_S)
        except ValidationError:
            return done()
        except Unavailable:
            return failed("store_unavailable")
        return done()

    async def group_changed(self, happened: EventCallback) -> BoltResponse:
        """Have a user group asked for anew: lists in events may come late, and in another order."""
        group, groups = happened.event.group, self._desk.user_groups
        if group is None or groups is None:
            return done()
        try:
            await soon(groups.changed(group), LOAD_S)
        except Unavailable:
            return failed("store_unavailable")
        return done()
