"""Rate limits and faults: what a test can make go wrong, and what Slack limits by itself."""

import asyncio
import time
from collections.abc import Callable

import pytest
from patience import PATIENCE_S
from unit.slack_sandbox.sandbox_driver import ADA, CHANNEL, Slack, a_card, until


async def test_posts_in_one_channel_are_about_one_a_second(make_slack: Callable[..., Slack]) -> None:
    """A short burst passes, then 429 with Retry-After; after that wait the next one passes."""
    slack = make_slack(rate_limits="slack")

    answers = [await slack.call("chat.postMessage", channel=CHANNEL, text="x") for _ in range(6)]
    limited = answers[-1]
    await slack.control("clock", advance_s=int(limited.headers["retry-after"]))
    later = await slack.call("chat.postMessage", channel=CHANNEL, text="x")

    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert limited.json() == {"ok": False, "error": "ratelimited"}
    assert limited.headers["retry-after"] == "1"
    assert later.json()["ok"]


async def test_tiers_count_per_method(make_slack: Callable[..., Slack]) -> None:
    """usergroups.list is tier 2: twenty a minute; another method has its own count."""
    slack = make_slack(rate_limits="slack")

    statuses = [(await slack.call("usergroups.list")).status_code for _ in range(21)]

    assert statuses == [200] * 20 + [429]
    assert (await slack.call("users.info", user=ADA)).status_code == 200


async def test_limits_can_be_switched_off(make_slack: Callable[..., Slack]) -> None:
    """With rate_limits off, by configuration or control, nothing answers 429."""
    slack = make_slack(rate_limits="slack")
    await slack.control("settings", rate_limits="off")

    statuses = {(await slack.call("chat.postMessage", channel=CHANNEL, text="x")).status_code for _ in range(20)}

    assert statuses == {200}


async def test_ratelimited_fault_hits_as_often_as_asked(slack: Slack) -> None:
    """The next two calls get 429 with the asked Retry-After and do nothing; the third works."""
    await slack.control("faults", method="chat.postMessage", kind="429", count=2, retry_after_s=7)

    answers = [await slack.call("chat.postMessage", channel=CHANNEL, text="x") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after"] == "7"
    assert len((await slack.read(f"messages?channel={CHANNEL}"))["messages"]) == 1


async def test_server_error_and_slack_error_faults(slack: Slack) -> None:
    """5xx answers with that status, error with Slack's code; other methods are left alone."""
    await slack.control("faults", method="users.info", kind="5xx", status=502)
    await slack.control("faults", method="users.info", kind="error", error="account_inactive")

    first = await slack.call("users.info", user=ADA)
    second = await slack.call("users.info", user=ADA)

    assert first.status_code == 502
    assert second.json()["error"] == "account_inactive"
    assert (await slack.api("auth.test"))["ok"]


async def test_slow_fault_waits_and_then_works(slack: Slack) -> None:
    """slow delays the answer, nothing else."""
    await slack.control("faults", method="auth.test", kind="slow", delay_s=0.1)

    started = time.perf_counter()
    answer = await slack.api("auth.test")

    assert answer["ok"]
    assert time.perf_counter() - started >= 0.1


async def test_reset_after_accept_posts_and_breaks_the_connection(slack: Slack) -> None:
    """The message is posted although the caller never hears so: the doubtful attempt."""
    await slack.control("faults", method="chat.postMessage", kind="reset_after_accept")

    with pytest.raises(ConnectionResetError):
        await slack.call("chat.postMessage", channel=CHANNEL, text="x")

    assert len((await slack.read(f"messages?channel={CHANNEL}"))["messages"]) == 1


async def test_drop_breaks_the_connection_and_does_nothing(slack: Slack) -> None:
    """A dropped call leaves nothing behind."""
    await slack.control("faults", method="chat.postMessage", kind="drop")

    with pytest.raises(ConnectionResetError):
        await slack.call("chat.postMessage", channel=CHANNEL, text="x")

    assert (await slack.read(f"messages?channel={CHANNEL}"))["messages"] == []


async def test_delivery_faults_drop_delay_and_double(slack: Slack) -> None:
    """The same faults, by delivery kind: a click lost, late, or twice at once."""
    ts = await slack.post()
    await slack.control("faults", method="block_actions", kind="drop")
    dropped = await slack.click(ts)
    await slack.control("faults", method="block_actions", kind="duplicate")
    doubled = await slack.click(ts)

    assert (dropped["problem"], dropped["status"]) == ("dropped", None)
    assert dropped["warning"]
    assert doubled["status"] == 200
    assert len(slack.app.received) == 2
    assert slack.app.received[0][1] == slack.app.received[1][1]


async def test_a_fault_waits_until_as_many_calls_went_well_as_it_says(slack: Slack) -> None:
    """skip lets calls through first, so that faults can be spread over a load."""
    await slack.control("faults", method="auth.test", kind="5xx", skip=1)
    await slack.control("faults", method="auth.test", kind="5xx", skip=3)

    statuses = [(await slack.call("auth.test")).status_code for _ in range(6)]

    assert statuses == [200, 503, 200, 503, 200, 200]


async def test_hang_after_accept_does_the_work_and_answers_late(slack: Slack) -> None:
    """The message is there long before its answer: the caller's time-out comes in between."""
    await slack.control("faults", method="chat.postMessage", kind="hang_after_accept", delay_s=60)
    waiting = asyncio.create_task(slack.call("chat.postMessage", channel=CHANNEL, text="x"))

    await until(lambda: bool(slack.sandbox.workspace.messages.get(CHANNEL)))

    assert not waiting.done()
    waiting.cancel()


async def test_a_lost_ack_is_a_click_the_app_got_and_slack_does_not_know_of(slack: Slack) -> None:
    """The app acts on it, the person sees Slack's warning."""
    ts = await slack.post()
    await slack.control("faults", method="block_actions", kind="lost_ack")

    clicked = await slack.click(ts)

    assert len(slack.app.received) == 1
    assert (clicked["status"], clicked["problem"]) == (None, "timeout")
    assert clicked["warning"]


async def test_a_call_before_the_end_of_retry_after_is_on_record(slack: Slack) -> None:
    """The log says of every call whether its method was to be left alone, and how much too early it came."""
    await slack.control("faults", method="chat.postMessage", kind="429", retry_after_s=7)
    await slack.call("chat.postMessage", channel=CHANNEL, text="x")
    await slack.control("clock", advance_s=5)
    await slack.call("chat.postMessage", channel="C0ELSE", text="x")
    await slack.call("auth.test")
    await slack.control("clock", advance_s=2)
    await slack.call("chat.postMessage", channel=CHANNEL, text="x")

    calls = (await slack.read("calls"))["calls"]
    [early] = [call["too_early"] for call in calls if call["too_early"]]

    assert [call["method"] for call in calls] == [
        "chat.postMessage",
        "chat.postMessage",
        "auth.test",
        "chat.postMessage",
    ]
    assert early == calls[1]["too_early"]
    assert early == {"since_s": 5, "early_s": 2}


async def test_limits_can_be_a_multiple_of_slacks(make_slack: Callable[..., Slack]) -> None:
    """A factor lets a load test do in seconds what takes Slack's own minutes; it can be set while it runs."""
    slack = make_slack(rate_limits="slack", rate_factor=2)
    doubled = [(await slack.call("chat.postMessage", channel=CHANNEL, text="x")).status_code for _ in range(11)]
    await slack.control("settings", rate_factor=20)
    await slack.control("clock", advance_s=5)
    more = {(await slack.call("chat.postMessage", channel=CHANNEL, text="x")).status_code for _ in range(90)}

    assert doubled == [200] * 10 + [429]
    assert more == {200}


async def test_unknown_fault_is_refused(slack: Slack) -> None:
    """A misspelt fault is told at once instead of never happening."""
    answer = await slack.control("faults", method="auth.test", kind="explode")

    assert answer["error"] == "invalid_body"
    assert "kind" in answer["message"]


async def test_revoked_token_fails_every_call(slack: Slack) -> None:
    """token_error makes every call answer it, until taken back."""
    await slack.control("settings", token_error="token_revoked")
    refused = await slack.api("auth.test")
    await slack.control("settings", token_error="")

    assert refused["error"] == "token_revoked"
    assert (await slack.api("auth.test"))["ok"]


async def test_calls_are_logged_without_the_token(slack: Slack) -> None:
    """The log tells method, arguments and outcome; the token is not in it."""
    await slack.http.post("/api/chat.postMessage", data={"token": "xoxb-test", "channel": CHANNEL, "text": "x"})
    await slack.api("chat.postMessage", channel="C9", text="x")

    log = await slack.read("calls?method=chat.postMessage")

    assert [(call["ok"], call["error"]) for call in log["calls"]] == [(True, None), (False, "channel_not_found")]
    assert "xoxb-test" not in str(log)


async def test_reset_starts_anew(slack: Slack) -> None:
    """Reset forgets messages, views, faults and logs, and keeps the configuration."""
    await slack.post()
    await slack.open()
    await slack.control("faults", method="auth.test", kind="5xx")

    await slack.control("reset")

    state = await slack.read("state")
    assert (state["messages"], state["views"], state["faults"]) == ({}, {}, [])
    assert (await slack.read("deliveries"))["deliveries"] == []
    assert await slack.post()


async def test_feed_tells_what_changes(slack: Slack) -> None:
    """A follower sees each message, delivery and view as it happens, and ends when the feed closes."""
    seen: list[str] = []

    async def follow() -> None:
        async for change in slack.sandbox.feed.follow():
            seen.append(change["type"])  # noqa: PERF401  read while it grows

    following = asyncio.create_task(follow())
    await asyncio.sleep(0)
    await slack.open()
    slack.sandbox.feed.close()
    await asyncio.wait_for(following, PATIENCE_S)

    assert seen[0] == "hello"
    assert {"message.posted", "delivery", "views", "call"} <= set(seen)


async def test_follower_that_falls_behind_is_told_to_read_again(slack: Slack) -> None:
    """Past the backlog a follower gets `reset` instead of an ever growing queue."""
    stream = slack.sandbox.feed.follow()
    await anext(stream)
    for number in range(1_500):
        slack.sandbox.feed.announce("tick", number=number)

    assert (await anext(stream))["type"] == "reset"
    await stream.aclose()


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Host": "10.0.0.1:80"}, {"Origin": "https://evil.example"}, {"Origin": "null"}],
)
async def test_only_this_machine_is_answered(slack: Slack, headers: dict[str, str]) -> None:
    """A foreign Host or Origin, as another site's page would bring it, is refused."""
    answer = await slack.http.post("/sandbox/reset", json={}, headers=headers)

    assert answer.status_code == 403


async def test_page_allows_nothing_from_elsewhere(slack: Slack) -> None:
    """The page and its files are served with a policy that runs only its own scripts."""
    page = await slack.http.get("/?user=U0ADA")
    script = await slack.http.get("/static/main.js")

    assert "script-src" not in page.headers["content-security-policy"]
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert script.headers["content-type"].startswith("text/javascript")
    assert (await slack.http.get("/static/..%2fapp.py")).status_code == 404
    assert (await slack.http.get("/static/nope.js")).status_code == 404


async def test_page_draws_every_block_and_element_the_lint_takes(slack: Slack) -> None:
    """What Slack takes here, the page can show."""
    from channels.slack_sandbox.blockkit.blocks import BLOCKS
    from channels.slack_sandbox.blockkit.elements import ELEMENTS

    drawn = (await slack.http.get("/static/blocks.js")).text.partition("const DRAW = {")[2].partition("}")[0]
    elements = (await slack.http.get("/static/elements.js")).text.partition("const DRAW = {")[2].partition("}")[0]

    assert {kind for kind in BLOCKS if kind not in drawn} == set()
    assert {kind for kind in ELEMENTS if kind not in elements} - {"multi_external_select"} == set()


async def test_text_of_a_message_is_never_markup() -> None:
    """The page's scripts never hand text to an HTML parser."""
    from importlib.resources import files

    static = files("channels.slack_sandbox") / "static"
    scripts = "".join(file.read_text() for file in static.iterdir() if file.name.endswith(".js"))

    for door in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert door not in scripts
    assert a_card()
