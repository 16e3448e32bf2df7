"""Only what Slack signed, lately and once, gets past the guard; garbage never becomes a 500."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from builders import FrozenClock
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from unit.slack.rig import SeenInMemory

from channels.slack.asgi_guard import BODY_BYTES_MAX, DELIVERY, SlackGuard
from channels.slack.installation import SlackInstallation

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
INSTALLATION = SlackInstallation("T1", "A1", SecretStr("xoxb-1"), SecretStr(SECRET))
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
FORM = "application/x-www-form-urlencoded"
COMMAND = urlencode({"command": "/loops", "text": "payload", "user_id": "U1", "team_id": "T1", "api_app_id": "A1"})
CLICK = {
    "type": "block_actions",
    "user": {"id": "U1", "team_id": "T1"},
    "team": {"id": "T1"},
    "api_app_id": "A1",
    "container": {"type": "message", "message_ts": "1.2", "channel_id": "C1"},
    "actions": [{"action_id": "a", "action_ts": "3.4", "value": "v"}],
}


async def _show(scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse({"delivery": scope[DELIVERY].type})(scope, receive, send)


class Front:
    """The guard with nothing behind it but an echo of the delivery's type."""

    def __init__(self) -> None:
        self.seen = SeenInMemory()
        self.clock = FrozenClock(NOW)
        guard = SlackGuard(_show, INSTALLATION, seen=self.seen, clock=self.clock, path="/slack/events")
        app = Starlette(routes=[Route("/slack/events", guard)])
        self.client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://gateway")

    async def post(
        self, body: str | bytes, *, kind: str = FORM, at: datetime = NOW, secret: str = SECRET, **headers: str
    ) -> httpx2.Response:
        """Post *body*, signed."""
        raw = body.encode() if isinstance(body, str) else body
        return await self.client.post(
            "/slack/events", content=raw, headers=signed(raw, at, secret) | {"Content-Type": kind} | headers
        )


def signed(raw: bytes, at: datetime, secret: str) -> dict[str, str]:
    """Return Slack's signature headers."""
    stamp = str(int(at.timestamp()))
    made = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + raw, hashlib.sha256).hexdigest()
    return {"X-Slack-Signature": f"v0={made}", "X-Slack-Request-Timestamp": stamp}


@pytest.fixture
def front() -> Front:
    """A guard."""
    return Front()


def outcome(response: httpx2.Response) -> tuple[int, str]:
    """Return status and error code."""
    return response.status_code, response.json().get("error", "")


async def test_a_genuine_delivery_gets_through(front: Front) -> None:
    """Signed now, in a shape Slack sends: passed on, read. A command may say "payload"."""
    command = await front.post(COMMAND)
    click = await front.post(urlencode({"payload": json.dumps(CLICK)}))
    event = {"type": "event_callback", "event": {"type": "app_home_opened"}, "api_app_id": "A1"}
    happened = await front.post(json.dumps(event), kind="application/json; charset=utf-8")

    assert [response.json() for response in (command, click, happened)] == [
        {"delivery": "command"},
        {"delivery": "block_actions"},
        {"delivery": "event_callback"},
    ]


async def test_a_forged_signature_is_refused(front: Front) -> None:
    """Another secret, another body, no signature or two: 401."""
    good = signed(COMMAND.encode(), NOW, SECRET)
    stamp = {"X-Slack-Request-Timestamp": good["X-Slack-Request-Timestamp"]}

    async def send(headers: dict[str, str]) -> tuple[int, str]:
        return outcome(await front.client.post("/slack/events", content=COMMAND, headers=headers))

    assert outcome(await front.post(COMMAND, secret="guess")) == (401, "invalid_signature")
    assert outcome(await front.client.post("/slack/events", content=COMMAND + "x", headers=good)) == (
        401,
        "invalid_signature",
    )
    assert await send(stamp) == (401, "invalid_signature")
    assert await send(stamp | {"X-Slack-Signature": "v0=" + "z" * 64}) == (401, "invalid_signature")
    assert await send(stamp | {"X-Slack-Signature": good["X-Slack-Signature"].replace("v0", "v1")}) == (
        401,
        "invalid_signature",
    )
    twice = [*good.items(), ("X-Slack-Signature", "v0=" + "0" * 64)]
    response = await front.client.post("/slack/events", content=COMMAND, headers=httpx2.Headers(twice))
    assert outcome(response) == (401, "repeated_header")


@pytest.mark.parametrize("age", [timedelta(minutes=5, seconds=1), -timedelta(minutes=5, seconds=1)])
async def test_a_stale_stamp_is_refused(front: Front, age: timedelta) -> None:
    """More than five minutes off in either direction: 401, though signed."""
    assert outcome(await front.post(COMMAND, at=NOW - age)) == (401, "stale_timestamp")


@pytest.mark.parametrize("stamp", ["", "now", "1e9", "-5", "٣", "9" * 13, "1.5"])
async def test_a_stamp_that_is_no_number_is_refused(front: Front, stamp: str) -> None:
    """Anything but digits in the timestamp header: 401."""
    headers = {b"x-slack-request-timestamp": stamp.encode(), b"x-slack-signature": b"v0=" + b"0" * 64}
    response = await front.client.post("/slack/events", content=COMMAND, headers=list(headers.items()))

    assert outcome(response) == (401, "invalid_timestamp")


async def test_a_stamp_at_the_edge_of_what_is_allowed_counts(front: Front) -> None:
    """Five minutes off, to the second, in either direction: taken."""
    off = [await front.post(COMMAND, at=NOW + side * timedelta(minutes=5)) for side in (1, -1)]

    assert [response.status_code for response in off] == [200, 200]


@pytest.mark.parametrize(
    ("missing", "refused"),
    [
        (b"x-slack-signature", (401, "invalid_signature")),
        (b"x-slack-request-timestamp", (401, "invalid_timestamp")),
        (b"content-type", (400, "unsupported_content_type")),
    ],
)
async def test_a_header_that_is_not_there_is_refused_by_name(missing: bytes, refused: tuple[int, str]) -> None:
    """What every delivery of Slack's has, and this one lacks: a refusal, never a 500."""
    headers = {name: value for name, value in _headers(COMMAND.encode()).items() if name != missing}

    assert await called(COMMAND.encode(), headers=headers) == refused


async def test_a_replayed_delivery_is_refused(front: Front) -> None:
    """The same signed request again: 401, also minutes later; signed anew it is another request."""
    first = await front.post(COMMAND)
    again = await front.post(COMMAND)
    front.clock.move(timedelta(minutes=4))
    later = await front.post(COMMAND)
    anew = await front.post(COMMAND, at=front.clock.now())

    assert [response.status_code for response in (first, again, later, anew)] == [200, 401, 401, 200]
    assert outcome(again) == (401, "replayed")


@pytest.mark.parametrize("how", ["is_away", "is_silent"])
async def test_deliveries_go_on_while_the_replay_cache_is_away(front: Front, how: str) -> None:
    """A click commits once by its own key, so losing the cache, or not hearing of it, does not lose the click."""
    setattr(front.seen, how, True)

    assert (await front.post(COMMAND)).status_code == 200


async def test_only_posts_to_the_path_are_taken(front: Front) -> None:
    """Other methods: 405 with Allow; other paths: 404."""
    response = await front.client.get("/slack/events")

    assert outcome(response) == (405, "method_not_allowed")
    assert response.headers["allow"] == "POST"
    assert (await front.client.post("/slack/other")).status_code == 404


async def test_a_huge_body_is_refused_unread(front: Front) -> None:
    """More than a megabyte: 413, whether announced or streamed."""

    async def stream() -> Any:
        for _ in range(5):
            yield b"x" * (BODY_BYTES_MAX // 4)

    assert outcome(await front.post("x" * (BODY_BYTES_MAX + 1))) == (413, "too_large")
    headers = signed(b"", NOW, SECRET)
    assert outcome(await front.client.post("/slack/events", content=stream(), headers=headers)) == (413, "too_large")


def _headers(raw: bytes) -> dict[bytes, bytes]:
    headers = {"content-type": FORM, **signed(raw, NOW, SECRET)}
    return {name.lower().encode(): value.encode() for name, value in headers.items()}


async def called(
    *parts: bytes, headers: dict[bytes, bytes] | None = None, hangs_up: bool = False, **scope: Any
) -> tuple[int, str] | None:
    """Call the guard itself, as a server does, and return what it answered; None for nothing."""
    sent: list[Any] = []
    coming = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    coming.append({"type": "http.disconnect"} if hangs_up else {"type": "http.request", "body": b""})

    async def receive() -> Any:
        return coming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    known = {
        "type": "http",
        "method": "POST",
        "path": "/slack/events",
        "headers": list((headers or _headers(b"".join(parts))).items()),
    }
    guard = SlackGuard(_show, INSTALLATION, seen=SeenInMemory(), clock=FrozenClock(NOW), path="/slack/events")
    await guard(known | scope, receive, send)
    return (sent[0]["status"], json.loads(sent[1]["body"]).get("error", "")) if sent else None


async def test_the_guard_serves_its_one_path_wherever_it_is_mounted() -> None:
    """What is signed for another path is not taken, whatever routes to the guard; a mount's own path does not count."""
    raw = COMMAND.encode()

    assert await called(raw) == (200, "")
    assert await called(raw, path="/app/slack/events", root_path="/app") == (200, "")
    assert await called(raw, path="/slack/other") == (404, "not_found")
    assert await called(raw, path="/other/slack/events", root_path="/app") == (404, "not_found")


@pytest.mark.parametrize("length", [str(BODY_BYTES_MAX + 1), "9" * 13, "-1", "1e3", ""])
async def test_what_is_announced_too_large_is_refused_before_it_is_read(length: str) -> None:
    """Nothing of a body is read that says it is too large, or does not say in digits how large it is."""
    raw = COMMAND.encode()
    refused = await called(raw, headers=_headers(raw) | {b"content-length": length.encode()}, hangs_up=True)

    assert refused == (413, "too_large")


async def test_as_much_as_is_allowed_is_read() -> None:
    """The largest body there may be is read and judged by what it says, announced or not."""
    raw = b"x" * BODY_BYTES_MAX
    announced = _headers(raw) | {b"content-length": str(BODY_BYTES_MAX).encode()}

    assert await called(raw[:9], raw[9:]) == (400, "unsupported_delivery")
    assert await called(raw, headers=announced) == (400, "unsupported_delivery")


async def test_half_a_delivery_goes_no_further() -> None:
    """Who hangs up while sending is answered nothing, and nothing is made of what had come."""
    assert await called(COMMAND.encode(), hangs_up=True) is None


def test_without_a_secret_there_is_no_guard() -> None:
    """A gateway that could verify nothing does not begin to serve."""
    unsigned = SlackInstallation("T1", "A1", SecretStr("xoxb-1"), None)

    with pytest.raises(ValueError, match="without a signing secret"):
        SlackGuard(_show, unsigned, seen=SeenInMemory(), clock=FrozenClock(NOW), path="/slack/events")


UNSIGNED = [b"\xff\xfe", b"{", b"[]", b"null", b"payload=%7B", b"payload=[]", b"", b"\x00" * 100, b"[" * 100_000]


@pytest.mark.parametrize("body", UNSIGNED)
@pytest.mark.parametrize("kind", [FORM, "application/json", "text/plain", ""])
async def test_garbage_is_a_400_if_signed_and_a_401_if_not(front: Front, body: bytes, kind: str) -> None:
    """Bodies that are no delivery never get further and never become a 500."""
    unsigned = await front.client.post("/slack/events", content=body, headers={"Content-Type": kind})

    assert unsigned.status_code == 401
    assert (await front.post(body, kind=kind)).status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"user": None},
        {"user": "U1"},
        {"actions": []},
        {"actions": ["a"]},
        {"actions": [{"action_id": 5}]},
        {"team": 5},
        {"container": "message"},
        {"api_app_id": ["A1"]},
        {"type": "interactive_message"},
        {"type": None},
        {"view": []},
        {"user": {"id": "\ud800"}},
    ],
)
async def test_a_misshapen_interaction_is_a_400(front: Front, changes: dict[str, Any]) -> None:
    """A signed payload without what its type must have is refused by name."""
    response = await front.post(urlencode({"payload": json.dumps(CLICK | changes)}))

    assert response.status_code == 400
    assert response.json()["error"] in {"invalid_body", "unsupported_delivery"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*CLICK, "view", "event", "command", "challenge", "enterprise"]), json_values))
@settings(deadline=None, max_examples=150)
async def test_no_signed_json_breaks_the_guard(changes: dict[str, Any]) -> None:
    """Whatever JSON is signed, the answer is a delivery or a refusal."""
    response = await Front().post(json.dumps(CLICK | changes), kind="application/json")

    assert response.status_code in {200, 400}
