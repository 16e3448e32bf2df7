"""The timetable: what silence leads to, as `loopgate check` says it."""

from builders import a_change

from gateway.timetable import timetable


def test_the_timetable_says_what_silence_leads_to_in_the_order_of_time() -> None:
    """Reminders, escalation, expiry; what would come after the expiry is left out."""
    loop = a_change(
        remindAfter="90m",
        escalate=[{"after": "2h", "channel": "leads", "groups": ["leads"], "onCall": "primary"}],
        hours={"zone": "Europe/Vienna", "days": ["mon-fri"], "holidays": ["12-25"]},
    )

    assert list(timetable(loop)) == [
        "PENDING_HUMAN_APPROVAL, while nobody decides: after 1h30m reminds, after 2h asks leads, who is on call "
        "(primary) in leads, after 3h reminds, after 4h expire to REJECTED; only hours 09:00-17:00 Europe/Vienna, "
        "mon tue wed thu fri, without 1 holiday, count"
    ]


def test_a_policy_without_times_waits_for_ever_and_says_so() -> None:
    """Nobody should find that out by waiting."""
    assert list(timetable(a_change(expireAfter=None, onExpiry=None))) == ["PENDING_HUMAN_APPROVAL: waits for ever"]
