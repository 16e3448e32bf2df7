"""How often Slack lets itself be called, and who goes first."""

import pytest

from channels.slack.pace import CALLS_PER_MINUTE, CARD, THREAD, URGENT, plan

POST = {"channel": "C1", "text": "x", "metadata": {"event_type": "t", "event_payload": {"effect_id": "ef_1"}}}


@pytest.mark.parametrize("method", [*CALLS_PER_MINUTE, "usergroups.list"])
@pytest.mark.parametrize("factor", [1.0, 20.0])
def test_no_minute_holds_more_calls_than_the_tier(method: str, factor: float) -> None:
    """A burst and a minute of calls at the pace after it stay within what Slack publishes."""
    limit = plan(method, {}, factor).limits[0]

    assert limit.burst + 60 / limit.interval_s <= CALLS_PER_MINUTE.get(method, 20) * factor + 1e-6


def test_posts_to_a_channel_are_one_a_second() -> None:
    """chat.postMessage has a limit per channel beside its own; a factor widens both."""
    method, channel = plan("chat.postMessage", POST).limits
    wide = plan("chat.postMessage", POST, 20).limits[1]

    assert (method.name, channel.name) == ("chat.postMessage", "chat.postMessage:C1")
    assert channel.interval_s == 1
    assert wide.interval_s == 0.05


def test_what_somebody_waits_for_goes_first() -> None:
    """Private answers and modals, then cards, then threads."""
    ranks = [
        plan("chat.postEphemeral", {}).rank,
        plan("views.open", {}).rank,
        plan("chat.postMessage", POST).rank,
        plan("chat.update", {}).rank,
        plan("chat.postMessage", POST | {"thread_ts": "1.1"}).rank,
    ]

    assert ranks == [URGENT, URGENT, CARD, CARD, THREAD]


def test_all_changes_of_a_card_have_one_place() -> None:
    """However the card has changed meanwhile, its next rendering is the one that waited; other calls are others."""
    card = {"channel": "C1", "ts": "1.1"}
    places = [plan("chat.update", card | {"text": text}).place for text in ("waiting", "approved")]
    other = plan("chat.update", {"channel": "C1", "ts": "1.2"}).place

    assert places[0] == places[1] != other
    assert plan("chat.postMessage", POST).place == plan("chat.postMessage", POST | {"text": "y"}).place
    assert plan("users.info", {"user": "U1"}).place == plan("users.info", {"user": "U1"}).place
    assert plan("users.info", {"user": "U1"}).place != plan("users.info", {"user": "U2"}).place
