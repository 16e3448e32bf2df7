"""Messages: what chat.* and conversations.* accept, keep and refuse."""

import pytest
from unit.slack_sandbox.sandbox_driver import ADA, BOT, CHANNEL, LIN, Slack, a_card, mrkdwn


async def test_posted_message_is_in_history_with_its_metadata(slack: Slack) -> None:
    """Metadata comes back from history only when asked for with include_all_metadata."""
    metadata = {"event_type": "effect", "event_payload": {"id": "e1"}}
    ts = await slack.post(metadata=metadata)

    with_it = await slack.api("conversations.history", channel=CHANNEL, include_all_metadata=True)
    without = await slack.api("conversations.history", channel=CHANNEL)

    assert with_it["messages"][0]["ts"] == ts
    assert with_it["messages"][0]["metadata"] == metadata
    assert with_it["messages"][0]["user"] == BOT
    assert "metadata" not in without["messages"][0]


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({"channel": "C0NOPE", "text": "x"}, "channel_not_found"),
        ({"channel": "C0ELSE", "text": "x"}, "not_in_channel"),
        ({"channel": "G0SECRET", "text": "x"}, "channel_not_found"),
        ({"channel": CHANNEL}, "no_text"),
        ({"channel": CHANNEL, "text": "x" * 40_001}, "msg_too_long"),
        ({"channel": CHANNEL, "blocks": "{not json"}, "invalid_blocks_format"),
        ({"channel": CHANNEL, "blocks": "{}"}, "invalid_blocks_format"),
        ({"channel": CHANNEL, "text": "x", "thread_ts": "1.1"}, "thread_not_found"),
        ({"channel": CHANNEL, "text": "x", "metadata": "nope"}, "invalid_metadata_format"),
        ({"channel": CHANNEL, "text": "x", "metadata": {"event_type": "t"}}, "invalid_metadata_schema"),
    ],
)
async def test_post_refuses_what_slack_refuses(slack: Slack, args: dict[str, object], error: str) -> None:
    """Each bad post gets Slack's own error code with HTTP 200, and nothing is posted."""
    answer = await slack.call("chat.postMessage", **args)

    assert answer.status_code == 200
    assert answer.json()["ok"] is False
    assert answer.json()["error"] == error
    assert (await slack.read(f"messages?channel={CHANNEL}"))["messages"] == []


async def test_wrong_token_is_told_from_no_token(slack: Slack) -> None:
    """No token is not_authed, a wrong one invalid_auth."""
    bare = await slack.http.post("/api/auth.test")

    assert bare.json()["error"] == "not_authed"
    assert (await slack.api("auth.test", token="xoxb-wrong"))["error"] == "invalid_auth"


async def test_form_with_token_field_works_like_a_header(slack: Slack) -> None:
    """The token may be a form field; forms and JSON bodies are both read."""
    answer = await slack.http.post("/api/users.info", data={"token": "xoxb-test", "user": ADA})

    assert answer.json()["user"]["profile"]["email"] == "ada@acme.test"


async def test_unknown_method_says_so(slack: Slack) -> None:
    """A method this Slack does not know answers unknown_method and names it."""
    answer = await slack.api("admin.users.list")

    assert (answer["error"], answer["req_method"]) == ("unknown_method", "admin.users.list")


async def test_update_with_text_alone_deletes_the_blocks(slack: Slack) -> None:
    """chat.update with text and no blocks leaves a message without blocks; omitted metadata stays."""
    ts = await slack.post(metadata={"event_type": "effect", "event_payload": {}})

    answer = await slack.api("chat.update", channel=CHANNEL, ts=ts, text="decided")

    [message] = (await slack.read(f"messages?channel={CHANNEL}"))["messages"]
    assert answer["ok"]
    assert message["text"] == "decided"
    assert "blocks" not in message
    assert message["metadata"]["event_type"] == "effect"
    assert message["edited"]["user"] == BOT


async def test_update_refuses_other_authors_and_absent_messages(slack: Slack) -> None:
    """Only the bot's own, existing, not ephemeral messages can be changed; text beyond 4,000 is too long."""
    theirs = (await slack.act("message", user=ADA, channel=CHANNEL, text="hello"))["ts"]
    ephemeral = (await slack.api("chat.postEphemeral", channel=CHANNEL, user=ADA, text="psst"))["message_ts"]
    mine = await slack.post()

    async def update(ts: str, text: str = "x") -> str:
        error: str = (await slack.api("chat.update", channel=CHANNEL, ts=ts, text=text))["error"]
        return error

    assert await update(theirs) == "cant_update_message"
    assert await update(ephemeral) == "message_not_found"
    assert await update("1.000001") == "message_not_found"
    assert await update(mine, "x" * 4_001) == "msg_too_long"
    assert (await slack.api("chat.delete", channel=CHANNEL, ts=theirs))["error"] == "cant_delete_message"


async def test_ephemeral_goes_to_members_only(slack: Slack) -> None:
    """An ephemeral for somebody outside the channel is refused, and others never see one."""
    refused = await slack.api("chat.postEphemeral", channel=CHANNEL, user="U0GUEST", text="psst")
    await slack.api("chat.postEphemeral", channel=CHANNEL, user=ADA, text="psst")

    assert refused["error"] == "user_not_in_channel"
    assert len((await slack.read(f"ephemerals?user={ADA}"))["messages"]) == 1
    assert (await slack.read(f"ephemerals?user={LIN}"))["messages"] == []
    assert (await slack.api("conversations.history", channel=CHANNEL))["messages"] == []


async def test_replies_are_in_the_thread_and_not_in_history(slack: Slack) -> None:
    """conversations.history leaves thread replies out; conversations.replies starts with the parent."""
    ts = await slack.post()
    reply = await slack.post(thread_ts=ts)

    history = (await slack.api("conversations.history", channel=CHANNEL))["messages"]
    thread = (await slack.api("conversations.replies", channel=CHANNEL, ts=ts))["messages"]

    assert [m["ts"] for m in history] == [ts]
    assert history[0]["reply_count"] == 1
    assert [m["ts"] for m in thread] == [ts, reply]
    assert thread[1]["thread_ts"] == ts


async def test_history_pages_and_windows(slack: Slack) -> None:
    """limit, cursor, oldest and latest work as in Slack: newest first, bounds exclusive unless inclusive."""
    stamps = [await slack.post() for _ in range(5)]

    first = await slack.api("conversations.history", channel=CHANNEL, limit=3)
    cursor = first["response_metadata"]["next_cursor"]
    second = await slack.api("conversations.history", channel=CHANNEL, limit=3, cursor=cursor)
    window = await slack.api("conversations.history", channel=CHANNEL, oldest=stamps[1], latest=stamps[3])
    exact = await slack.api(
        "conversations.history", channel=CHANNEL, oldest=stamps[1], latest=stamps[1], inclusive=True
    )

    assert [m["ts"] for m in first["messages"] + second["messages"]] == stamps[::-1]
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert [m["ts"] for m in window["messages"]] == [stamps[2]]
    assert [m["ts"] for m in exact["messages"]] == [stamps[1]]


async def test_stored_blocks_carry_what_slack_fills_in(slack: Slack) -> None:
    """Slack adds block ids, `emoji` and `verbatim`: a comparison with what was sent would fail there, too."""
    await slack.post(blocks=[{"type": "section", "text": mrkdwn("x")}, *a_card()[1:]])

    [message] = (await slack.read(f"messages?channel={CHANNEL}"))["messages"]

    assert message["blocks"][0]["block_id"]
    assert message["blocks"][0]["text"] == {"type": "mrkdwn", "text": "x", "verbatim": False}
    assert message["blocks"][1]["elements"][0]["text"]["emoji"] is True


async def test_people_and_groups_are_told_with_their_flags(slack: Slack) -> None:
    """users.*, usergroups.* and conversations.* tell who may decide what."""
    guest = (await slack.api("users.info", user="U0GUEST"))["user"]
    by_mail = await slack.api("users.lookupByEmail", email="ADA@acme.test")
    group = await slack.api("usergroups.users.list", usergroup="S0SRE")
    members = await slack.api("conversations.members", channel=CHANNEL)

    assert guest["is_restricted"] is True
    assert by_mail["user"]["id"] == ADA
    assert group["users"] == [ADA, LIN]
    assert members["members"] == [ADA, LIN, BOT]
    assert (await slack.api("users.info", user="U0NOPE"))["error"] == "user_not_found"
    assert (await slack.api("users.lookupByEmail", email="no@acme.test"))["error"] == "users_not_found"
    assert (await slack.api("usergroups.users.list", usergroup="S9"))["error"] == "no_such_subteam"


async def test_changed_user_flags_are_told_at_once(slack: Slack) -> None:
    """Deactivating somebody through the control API shows in users.info and sends user_change."""
    answer = await slack.control(f"users/{LIN}", deleted=True)
    refused = await slack.control(f"users/{LIN}", is_wizard=True)

    assert answer["user"]["deleted"] is True
    assert (await slack.api("users.info", user=LIN))["user"]["deleted"] is True
    assert refused["error"] == "invalid_change"


async def test_bot_joins_public_channels_only(slack: Slack) -> None:
    """conversations.join lets the bot post in a public channel; a private one does not exist for it."""
    assert (await slack.api("conversations.join", channel="C0ELSE"))["ok"]
    assert (await slack.api("chat.postMessage", channel="C0ELSE", text="hi"))["ok"]
    assert (await slack.api("conversations.join", channel="G0SECRET"))["error"] == "channel_not_found"


async def test_message_to_a_person_opens_the_direct_message(slack: Slack) -> None:
    """Posting to a user id lands in the direct message conversations.open gives."""
    opened = await slack.api("conversations.open", users=ADA)
    posted = await slack.api("chat.postMessage", channel=ADA, text="hi")

    assert posted["channel"] == opened["channel"]["id"]
