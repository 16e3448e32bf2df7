"""What a refused clicker is told: why, who decided what and when, and what to do."""

from datetime import timedelta
from typing import Any

import pytest
from builders import MORNING
from unit.slack.subjects import an_approval, decided, waiting, with_request

from channels.slack.notices import notice_text
from loops.approvals import Progress
from loops.cards import Notice
from loops.ports import Loaded

ADDRESS = {"slackUserId": "U123", "slackTeamId": "T1", "slackChannelId": "C1"}


def told(code: str, subject: Loaded | None, message: str = "because", **address: Any) -> str:
    """Return what the person at the address is told."""
    return notice_text(Notice(code=code, message=message, address=ADDRESS | address), subject, team_id="T1")


def test_an_unmapped_person_is_told_what_to_ask_for() -> None:
    """The ids to map stand in the message."""
    assert told("unmapped_identity", waiting()) == (
        "⛔ Your answer does not count: Slack user U123 (team T1) is not mapped to a person. "
        "Ask the platform team to map Slack user U123 (team T1) to a person in loopgate.yaml. "
        "Nothing was changed by your click."
    )


def test_somebody_from_another_workspace_is_told_so() -> None:
    """Mapping would not help them."""
    assert told("unmapped_identity", waiting(), slackTeamId="T9") == (
        "⛔ Your answer does not count: only members of workspace T1 may decide here. "
        "Nothing was changed by your click."
    )


def test_a_late_clicker_is_told_who_decided_what_and_when() -> None:
    """The request's own record is what they are told."""
    when = "<!date^1795338000^{date_short_pretty} at {time}|2026-11-22 09:00 UTC>"

    assert told("already_decided", decided("approve")) == (
        f"Already approved (it is executing now) by Dana, {when}. Nothing was changed by your click."
    )
    assert told("already_decided", decided("reject", "no")) == (
        f"Already rejected by Dana, {when}. Nothing was changed by your click."
    )
    assert told("request_closed", with_request(waiting(), status="cancelled", closed_at=MORNING)) == (
        f"Already cancelled, {when}. Nothing was changed by your click."
    )


def test_other_refusals_say_what_stands_in_the_way() -> None:
    """Each refusal of the policy has words of its own."""
    half = with_request(waiting(2), decisions=(an_approval("Dana", 5),), progress=Progress(stage=0, filled=(1,)))

    assert told("not_an_approver", waiting()) == (
        "⛔ You may not decide this; these may: sre. Nothing was changed by your click."
    )
    assert told("self_approval", waiting()).startswith("⛔ You asked for this, proposed it or stand behind the agent")
    assert told("already_answered", half) == (
        "Your answer is counted already; each person counts once (1 of 2 approvals). Nothing was changed by your click."
    )
    assert told("not_needed", half) == (
        "Your part is approved already; this waits for others (1 of 2 approvals). Nothing was changed by your click."
    )
    assert told("stale_request", waiting()).startswith("↪️ The proposal is no longer the one this card showed.")
    assert "2026-11-22 13:00 UTC" in told("request_expired", waiting())
    assert "needs a reason" in told("reason_required", waiting())
    assert told("unknown_request", None).startswith("This request is not known here any more.")


def test_the_engines_words_stand_in_for_ours() -> None:
    """A refusal without words of its own, or without its request, is told as the engine put it, made harmless."""
    expected = "⛔ Your answer was not accepted: *no*. Nothing was changed by your click.".replace(
        "*no*", "∗no∗ &lt;!here&gt;"
    )

    assert told("guard_failed", waiting(), "*no* <!here>.") == expected
    assert told("already_decided", None, "*no* <!here>") == expected


@pytest.mark.parametrize("code", ["already_decided", "request_closed"])
def test_a_request_that_is_open_is_never_called_decided(code: str) -> None:
    """What the card shows now outweighs the code; nobody is told something is decided that is not."""
    assert told(code, with_request(waiting(), created_at=MORNING - timedelta(days=1))).startswith("⛔ Your answer was")
