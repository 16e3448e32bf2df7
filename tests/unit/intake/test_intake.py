"""`POST /webhooks/{source}`, signed with the library and sent through the real application."""

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook
from starlette.applications import Starlette
from unit.intake.engine import InMemoryEngine

from gateway.intake.config import SourceConfig
from gateway.intake.intake import intake_routes
from gateway.intake.sources import UnusableSource, open_sources
from loops.actors import Automation
from loops.errors import StoreUnavailable, Unavailable

SECRET = "whsec_" + base64.b64encode(b"the present secret of the desk").decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"the former secret of the desk.").decode()
ENVIRON = {"DESK_SECRET": SECRET, "DESK_SECRET_OLD": OLD_SECRET}
LIMIT = 4_096

DESK = SourceConfig.model_validate(
    {
        "verifier": "standard-webhooks",
        "secretEnvs": ["DESK_SECRET", "DESK_SECRET_OLD"],
        "bodyLimit": LIMIT,
        "actor": {"serviceId": "change-desk", "onBehalfOf": "data.requestedBy"},
        "rules": [
            {
                "when": {"type": "change.requested"},
                "start": {
                    "loop": "infrastructure.change",
                    "aggregateId": "{{ body.data.changeId }}",
                    "data": {
                        "service": "data.service",
                        "replicas": "{{ body.data.replicas }}",
                        "title": "Roll out {{ body.data.service }}",
                        "note?": "data.note",
                    },
                    "correlationId": "desk-{{ body.data.changeId }}",
                },
            },
            {"when": {"type": "loop.chosen"}, "start": {"loop": "no.such.loop", "aggregateId": "X-1"}},
            {
                "when": {"type": "change.finished"},
                "signal": {
                    "name": "rollout_done",
                    "aggregateId": "{{ body.data.changeId }}",
                    "evidence": {"took_s": "data.took"},
                },
            },
            {
                "when": {"type": "change.noted"},
                "signal": {"name": "just_a_note", "aggregateId": "{{ body.data.changeId }}"},
            },
            {
                "when": {"type": "review.skipped"},
                "signal": {"name": "skip_review", "aggregateId": "{{ body.data.changeId }}"},
            },
        ],
    }
)


def a_request(type_: str = "change.requested", **data: Any) -> dict[str, Any]:
    known = {"changeId": "CHG-1", "service": "checkout", "replicas": 8, "requestedBy": "kim", "took": 3}
    return {"type": type_, "data": known | data}


def signed(
    body: bytes, *, delivery_id: str = "msg_1", secret: str = SECRET, age: timedelta = timedelta()
) -> dict[str, str]:
    at = datetime.now(UTC) - age
    return {
        "content-type": "application/json",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(delivery_id, at, body.decode("utf-8")),
    }


class Desk:
    """Sends deliveries to the application."""

    def __init__(self, engine: InMemoryEngine, client: httpx2.AsyncClient) -> None:
        self.engine = engine
        self.client = client

    async def send(self, payload: Any, **how: Any) -> httpx2.Response:
        return await self.post(json.dumps(payload).encode(), **how)

    async def post(
        self, body: bytes, *, source: str = "desk", headers: Mapping[str, str] | None = None, **how: Any
    ) -> httpx2.Response:
        sent = signed(body, **how) | dict(headers or {})
        return await self.client.post(f"/webhooks/{source}", content=body, headers=sent)


def an_app(engine: InMemoryEngine, config: SourceConfig = DESK) -> Starlette:
    return Starlette(routes=intake_routes(open_sources({"desk": config}, ENVIRON), engine))


def a_client(app: Starlette) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://gateway")


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    engine = InMemoryEngine()
    async with a_client(an_app(engine)) as client:
        yield Desk(engine, client)


async def test_delivery_starts_a_loop(desk: Desk) -> None:
    """A verified delivery that fits a rule starts its loop, as the source's service on behalf of the person behind."""
    answer = await desk.send(a_request())
    instance = desk.engine.instances["default", "CHG-1"]

    assert answer.status_code == 202
    assert answer.json() == {
        "status": "started",
        "deliveryId": "msg_1",
        "instanceId": "li_1",
        "aggregateId": "CHG-1",
        "loopId": "infrastructure.change",
        "state": "ANALYZING",
        "instanceStatus": "active",
    }
    assert instance.data == {"service": "checkout", "replicas": 8, "title": "Roll out checkout"}
    assert instance.requester == Automation(id="change-desk", service_id="change-desk", on_behalf_of="kim")
    assert instance.correlation_id == "desk-CHG-1"


async def test_delivery_sends_a_signal(desk: Desk) -> None:
    """A delivery may move a loop, with evidence from its payload."""
    await desk.send(a_request())
    answer = await desk.send(a_request("change.finished"), delivery_id="msg_2")

    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["state"]) == ("signalled", "COMPLETE")
    assert desk.engine.instances["default", "CHG-1"].evidence == {"took_s": 3}


async def test_signal_that_moves_nothing_is_signalled(desk: Desk) -> None:
    """What is kept on the ledger without a move was received all the same."""
    await desk.send(a_request())
    answer = await desk.send(a_request("change.noted"), delivery_id="msg_2")

    assert (answer.status_code, answer.json()["status"]) == (202, "signalled")


async def test_repeated_delivery_gets_the_first_answer(desk: Desk) -> None:
    """The same delivery id, signed anew, changes nothing and is told what became of the first."""
    first = (await desk.send(a_request())).json()
    again = await desk.send(a_request(), age=timedelta(seconds=9))

    assert again.status_code == 200
    assert again.json() == first | {"status": "duplicate", "firstStatus": "started"}
    assert desk.engine.written == 1


async def test_replayed_bytes_change_nothing(desk: Desk) -> None:
    """A captured request sent again, to the byte, is a duplicate."""
    body = json.dumps(a_request()).encode()
    headers = signed(body)
    codes = [(await desk.client.post("/webhooks/desk", content=body, headers=headers)).status_code for _ in range(3)]

    assert codes == [202, 200, 200]
    assert desk.engine.written == 1


async def test_repeated_refusal_is_a_duplicate(desk: Desk) -> None:
    """A refusal is an answer, too: repeated, it says that it was refused the first time."""
    await desk.send(a_request())
    refused = await desk.send(a_request(), delivery_id="msg_2")
    again = await desk.send(a_request(), delivery_id="msg_2")

    assert refused.status_code == 409
    assert again.status_code == 200
    assert (again.json()["status"], again.json()["firstStatus"]) == ("duplicate", "refused")


async def test_delivery_id_used_for_another_body_is_refused(desk: Desk) -> None:
    """One id stands for one delivery."""
    await desk.send(a_request())
    answer = await desk.send(a_request(replicas=9))

    assert answer.status_code == 422
    assert answer.json()["fields"].keys() == {"deliveryId"}
    assert desk.engine.written == 1


async def test_concurrent_deliveries_of_one_id_start_once(desk: Desk) -> None:
    """A sender that repeats impatiently gets one start."""
    answers = await asyncio.gather(*(desk.send(a_request()) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [202]
    assert desk.engine.written == 1


async def test_active_loop_is_a_conflict(desk: Desk) -> None:
    """A second start on one business object says so, and where the first stands."""
    await desk.send(a_request())
    answer = await desk.send(a_request(), delivery_id="msg_2")

    assert answer.status_code == 409
    assert answer.json()["code"] == "already_active"
    assert answer.json()["fields"] == {"aggregateId": "CHG-1 has an active loop"}
    assert answer.json()["instanceId"] == "li_1"


async def test_unknown_loop_is_unprocessable(desk: Desk) -> None:
    """A rule that names a loop nobody has loaded is told by name."""
    answer = await desk.send(a_request("loop.chosen"))

    assert answer.status_code == 422
    assert answer.json()["fields"] == {"loop": "there is no loop 'no.such.loop'"}


async def test_signal_to_nothing_is_not_found(desk: Desk) -> None:
    """A signal for a business object without a loop is refused."""
    assert (await desk.send(a_request("change.finished"))).status_code == 404


async def test_blocked_signal_says_which_guard(desk: Desk) -> None:
    """A guard's objection reaches the sender."""
    await desk.send(a_request())
    answer = await desk.send(a_request("review.skipped"), delivery_id="msg_2")

    assert answer.status_code == 409
    assert answer.json()["failures"] == [{"guardId": "human-only", "code": "c", "message": "no"}]


async def test_delivery_no_rule_fits_is_ignored(desk: Desk) -> None:
    """Senders send more than we want; that is no error, or they would repeat it for ever."""
    answer = await desk.send(a_request("ping"))

    assert (answer.status_code, answer.json()["status"]) == (200, "ignored")
    assert desk.engine.written == 0


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
async def test_either_secret_verifies_during_rotation(desk: Desk, secret: str) -> None:
    """While a secret is changed, the former one still counts."""
    assert (await desk.send(a_request(), secret=secret)).status_code == 202


async def test_good_signature_among_garbage_counts(desk: Desk) -> None:
    """A sender in rotation, or one with other signature versions, sends several."""
    body = json.dumps(a_request()).encode()
    good = signed(body)["webhook-signature"]
    mixed = {"webhook-signature": f"v1a,AAAA v1,!!! nonsense v1,AAAA {good}"}

    assert (await desk.post(body, headers=mixed)).status_code == 202


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"webhook-signature": "v1," + base64.b64encode(b"0" * 32).decode()}, "no signature"),
        ({"webhook-signature": "v1"}, "no signature"),
        ({"webhook-signature": "v1,"}, "no signature"),
        ({"webhook-signature": "v1,é"}, "no signature"),
        ({"webhook-signature": ",,, ,"}, "no signature"),
        ({"webhook-signature": "v1," + "A" * 43 + "= " * 2_000}, "no signature"),
        ({"webhook-id": "msg_2"}, "no signature"),
        ({"webhook-id": "msg 1"}, "webhook-id must be"),
        ({"webhook-id": "m" * 201}, "webhook-id must be"),
        ({"webhook-id": "é"}, "webhook-id must be"),
        ({"webhook-id": ""}, "webhook-id must be"),
        ({"webhook-timestamp": "soon"}, "webhook-timestamp must be"),
        ({"webhook-timestamp": "nan"}, "webhook-timestamp must be"),
        ({"webhook-timestamp": "1e9"}, "webhook-timestamp must be"),
        ({"webhook-timestamp": "1_700_000_000"}, "webhook-timestamp must be"),
        ({"webhook-timestamp": "-1"}, "webhook-timestamp must be"),
        ({"webhook-timestamp": "9" * 400}, "webhook-timestamp must be"),
        ({"webhook-timestamp": "999999999999"}, "more than 300 s"),
        ({"webhook-timestamp": "0"}, "more than 300 s"),
    ],
)
async def test_forged_delivery_is_refused(desk: Desk, headers: dict[str, str], error: str) -> None:
    """Whatever stands in the three headers, without the right signature nothing is written."""
    raw = {key: value.encode("latin-1") for key, value in headers.items()}
    body = json.dumps(a_request()).encode()
    answer = await desk.client.post("/webhooks/desk", content=body, headers=list((signed(body) | raw).items()))

    assert answer.status_code == 401
    assert error in answer.json()["error"]
    assert desk.engine.written == 0


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
async def test_missing_and_repeated_headers_are_refused(desk: Desk, name: str) -> None:
    """A header that is not there, or there twice, verifies nothing."""
    body = json.dumps(a_request()).encode()
    headers = signed(body)
    without = {key: value for key, value in headers.items() if key != name}
    for wrong in (list(without.items()), [*headers.items(), (name, headers[name])]):
        answer = await desk.client.post("/webhooks/desk", content=body, headers=wrong)
        assert answer.status_code == 401
        assert f"{name} must be there once" in answer.json()["error"]
    assert desk.engine.written == 0


async def test_other_secret_is_refused(desk: Desk) -> None:
    """Another sender's key does not count here."""
    other = "whsec_" + base64.b64encode(b"somebody else's secret, not ours").decode()

    assert (await desk.send(a_request(), secret=other)).status_code == 401


async def test_changed_body_is_refused(desk: Desk) -> None:
    """One changed byte breaks the signature."""
    headers = signed(json.dumps(a_request()).encode())
    answer = await desk.client.post("/webhooks/desk", content=json.dumps(a_request(replicas=80)), headers=headers)

    assert answer.status_code == 401
    assert desk.engine.written == 0


@pytest.mark.parametrize("age", [timedelta(seconds=320), timedelta(seconds=-320)])
async def test_stale_and_future_deliveries_are_refused(desk: Desk, age: timedelta) -> None:
    """A well-signed delivery from another time is refused: it may be a replay from before we remembered."""
    answer = await desk.send(a_request(), age=age)

    assert answer.status_code == 401
    assert "sign each attempt anew" in answer.json()["error"]


async def test_tolerance_can_be_narrower() -> None:
    """A source may demand fresher deliveries than the library's five minutes."""
    engine = InMemoryEngine()
    async with a_client(an_app(engine, DESK.changed(tolerance_s=30))) as client:
        desk = Desk(engine, client)

        assert (await desk.send(a_request(), age=timedelta(seconds=60))).status_code == 401
        assert (await desk.send(a_request(), age=timedelta(seconds=9))).status_code == 202


async def test_unknown_source_is_not_found(desk: Desk) -> None:
    """A name nobody configured has no endpoint."""
    answer = await desk.send(a_request(), source="nobody")

    assert answer.status_code == 404
    assert answer.json().keys() == {"error", "fields"}


@pytest.mark.parametrize("source", ["..%2Fdesk", "%00", "%F0%9F%9A%80", "desk%20"])
async def test_strange_source_names_are_not_found(desk: Desk, source: str) -> None:
    """A name is looked up, never interpreted."""
    assert (await desk.send(a_request(), source=source)).status_code == 404


async def test_get_decides_nothing(desk: Desk) -> None:
    """Only POST is answered."""
    assert (await desk.client.get("/webhooks/desk")).status_code == 405


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON: Expecting property name enclosed in double quotes at line 1, column 2"),
        (b'{"a": 1,}', "not JSON"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"type": "change.requested", "type": "ping"}', "the key 'type' stands twice"),
        (b'{"data": {"n": {"x": 1, "x": 1}}}', "the key 'x' stands twice"),
        (b'{"n": NaN}', "NaN is not a JSON number"),
        (b'{"n": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"n": 1e999}', "$.n: inf is not a JSON number"),
        (b'{"n": 9007199254740993}', "beyond 2^53-1"),
        (b'{"n": ' + b"9" * 5_000 + b"}", "at most"),
        (b'{"t": "\\ud800"}', "lone surrogate"),
        (b'{"\\ud800": 1}', "lone surrogate"),
        (b'{"\\ud800": 9007199254740993}', "$.\\ud800: integer"),
        (b'{"\\ud800": NaN}', "NaN"),
        (b'{"d": ' + b"[" * 40 + b"]" * 40 + b"}", "deeper than 32 levels"),
        (b"[" * 4_000, ""),
        (b'{"a":' * 700, ""),
        (b"\xef\xbb\xbf{}", "not JSON"),
    ],
)
async def test_garbage_is_malformed(desk: Desk, body: bytes, error: str) -> None:
    """What is signed but not one strict JSON object gets 400 (or 413) with a reason, and is never half-read."""
    answer = await desk.post(body)

    assert answer.status_code == (413 if len(body) > LIMIT else 400)
    assert error in answer.json()["error"]
    assert desk.engine.written == 0


async def test_number_of_too_many_digits_is_malformed() -> None:
    """Python's own limit on digits is met without a crash."""
    engine = InMemoryEngine()
    async with a_client(an_app(engine, DESK.changed(body_limit=100_000))) as client:
        answer = await Desk(engine, client).post(b'{"n": ' + b"9" * 50_000 + b"}")
        deep = await Desk(engine, client).post(b'{"a":' * 15_000 + b"1" + b"}" * 15_000)

    assert (answer.status_code, deep.status_code) == (400, 400)
    assert "too many digits" in answer.json()["error"]
    assert "deeper than" in deep.json()["error"]


async def test_body_that_is_not_utf8_is_refused(desk: Desk) -> None:
    """Bytes that are no text cannot be signed text."""
    headers = signed(b"{}")

    assert (await desk.client.post("/webhooks/desk", content=b"\xff\xfe", headers=headers)).status_code == 401


async def test_reason_is_bounded(desk: Desk) -> None:
    """A long key sent in does not come back at full length."""
    answer = await desk.post(b'{"' + b"k" * 3_000 + b'": 9007199254740993}')

    assert answer.status_code == 400
    assert len(answer.content) < 600


async def test_body_over_the_limit_is_refused_by_its_length(desk: Desk) -> None:
    """A declared length over the limit is refused before a byte is read."""
    answer = await desk.post(b'{"x": "' + b"x" * LIMIT + b'"}')

    assert answer.status_code == 413
    assert answer.json()["error"] == "the body may have at most 4096 bytes"


async def test_chunked_body_over_the_limit_is_not_read_to_its_end(desk: Desk) -> None:
    """Without a declared length, reading stops at the limit."""
    drawn = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal drawn
        for _ in range(10_000):
            drawn += 1
            yield b"x" * 1_024

    # Sent to the application itself: the client's test transport draws the whole body before it sends.
    chunks = endless()
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": await anext(chunks), "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/webhooks/desk",
        "raw_path": b"/webhooks/desk",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"transfer-encoding", b"chunked")],
    }
    await an_app(desk.engine)(scope, receive, send)

    assert sent[0]["status"] == 413
    assert drawn <= LIMIT // 1_024 + 1


async def test_chunked_body_within_the_limit_is_taken(desk: Desk) -> None:
    """The way a body arrives does not matter."""
    body = json.dumps(a_request()).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for place in range(0, len(body), 7):
            yield body[place : place + 7]

    assert (await desk.client.post("/webhooks/desk", content=chunks(), headers=signed(body))).status_code == 202


@pytest.mark.parametrize("length", ["-1", "ten", "1e3", "9" * 500, "²"])
async def test_strange_lengths_are_refused(desk: Desk, length: str) -> None:
    """A length that is no number is not guessed at."""
    body = json.dumps(a_request()).encode()
    headers = list((signed(body) | {"content-length": length.encode()}).items())

    assert (await desk.client.post("/webhooks/desk", content=body, headers=headers)).status_code == 413


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": ""},
        {"content-type": "application/json; charset=utf-16"},
        {"content-encoding": "gzip"},
    ],
)
async def test_other_content_is_refused(desk: Desk, headers: dict[str, str]) -> None:
    """Only plain UTF-8 JSON is read."""
    assert (await desk.send(a_request(), headers=headers)).status_code == 415


@pytest.mark.parametrize(
    "kind", ["application/json; charset=UTF-8", "Application/JSON", "application/cloudevents+json"]
)
async def test_kinds_of_json_are_taken(desk: Desk, kind: str) -> None:
    """JSON by any of its names."""
    assert (await desk.send(a_request(), headers={"content-type": kind})).status_code == 202


async def test_missing_fields_are_named_all_at_once(desk: Desk) -> None:
    """The sender learns every field that lacks, by its path in the payload."""
    answer = await desk.send({"type": "change.requested", "data": {"changeId": "CHG-1", "service": None}})
    missing = "is missing, and the source's rule needs it"

    assert answer.status_code == 422
    assert answer.json() == {
        "error": "the delivery lacks what the source's rule needs",
        "fields": {"data.service": missing, "data.replicas": missing, "data.requestedBy": missing},
    }
    assert desk.engine.written == 0


@pytest.mark.parametrize(
    ("change_id", "reason"),
    [
        (True, "must be text or a whole number"),
        (1.5, "must be text or a whole number"),
        (["a"], "must be text or a whole number"),
        ({"a": 1}, "must be text or a whole number"),
        ("", "must not be blank"),
        ("  ", "must not be blank"),
        ("a\nb", "printable"),
        ("a\u202eb", "printable"),
        ("a\x00b", "printable"),
        ("x" * 201, "1 to 200"),
        (None, "is missing"),
    ],
)
async def test_unusable_id_is_unprocessable(desk: Desk, change_id: Any, reason: str) -> None:
    """A business object's id is short, printable text."""
    answer = await desk.send(a_request(changeId=change_id))

    assert answer.status_code == 422
    assert reason in answer.json()["fields"]["data.changeId"]


async def test_whole_number_is_an_id(desk: Desk) -> None:
    """Systems that number their objects need not quote."""
    assert (await desk.send(a_request(changeId=4711))).json()["aggregateId"] == "4711"


@pytest.mark.parametrize("person", ["", " ", 7, "x" * 201, ["kim"], "kim\u200b", "k\u202eim", "kim\x00"])
async def test_unusable_person_is_unprocessable(desk: Desk, person: Any) -> None:
    """Without the person behind it, a delivery could be approved by who asked for it."""
    answer = await desk.send(a_request(requestedBy=person))

    assert answer.status_code == 422
    assert "must name a person" in answer.json()["fields"]["data.requestedBy"]


@pytest.mark.parametrize(
    ("fault", "wait"), [(StoreUnavailable("away"), "2"), (Unavailable("busy", retry_after=7.2), "8")]
)
async def test_store_away_is_told_to_come_back(desk: Desk, fault: Unavailable, wait: str) -> None:
    """While nothing can be recorded the sender is told when to try again, and then it works under the same id."""
    desk.engine.fault = fault
    answer = await desk.send(a_request())

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == wait
    assert "send the same again" in answer.json()["error"]

    desk.engine.fault = None
    assert (await desk.send(a_request())).status_code == 202


async def test_sender_that_hangs_up_leaves_nothing(desk: Desk) -> None:
    """A connection lost within the body writes nothing and breaks nothing."""
    sent: list[Any] = []
    messages = iter([{"type": "http.request", "body": b'{"type"', "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/webhooks/desk", "root_path": "", "headers": headers}
    await an_app(desk.engine)({**scope, "query_string": b""}, receive, send)

    assert sent[0]["status"] == 400
    assert desk.engine.written == 0


async def test_sender_that_dawdles_is_cut_off(desk: Desk) -> None:
    """A body that does not arrive holds no connection for ever."""
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/webhooks/desk", "root_path": "", "headers": headers}
    routes = intake_routes(open_sources({"desk": DESK}, ENVIRON), desk.engine, body_deadline_s=0.05)
    await Starlette(routes=routes)({**scope, "query_string": b""}, receive, send)

    assert sent[0]["status"] == 408
    assert desk.engine.written == 0


async def test_a_delivery_of_one_source_is_none_of_another() -> None:
    """What is signed for one source and sent to another, or under another's scheme, is forged there."""
    engine = InMemoryEngine()
    configs = {"desk": DESK, "other": DESK.changed(secret_envs=("OTHER_SECRET",))}
    configs["hub"] = DESK.changed(verifier="github", secret_envs=("OTHER_SECRET",))
    environ = ENVIRON | {"OTHER_SECRET": "whsec_" + base64.b64encode(b"the secret of another source").decode()}
    app = Starlette(routes=intake_routes(open_sources(configs, environ), engine))
    async with a_client(app) as client:
        answers = [await Desk(engine, client).send(a_request(), source=source) for source in ("other", "hub")]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert engine.written == 0


async def test_json_sent_again_as_a_form_says_nothing_else() -> None:
    """Who carries signed JSON with somebody's text in it cannot have that read as a form that the vendor never sent."""
    config = DESK.changed(verifier="github", content_types=("json", "form"), delivery_id="{{ body.type }}")
    engine, told = InMemoryEngine(), a_request(service="https://x/?y=1&payload=%7B%22type%22:%22loop.chosen%22%7D&z=")
    body = b"  " + json.dumps(told).encode()
    form = "payload=" + quote(json.dumps(a_request()))
    secret = ENVIRON["DESK_SECRET"]
    async with a_client(an_app(engine, config)) as client:

        async def sent(content: bytes) -> httpx2.Response:
            mac = hmac.new(secret.encode(), content, "sha256").hexdigest()
            headers = {"x-hub-signature-256": f"sha256={mac}", "content-type": "application/x-www-form-urlencoded"}
            return await client.post("/webhooks/desk", content=content, headers=headers)

        twisted = await sent(body)
        written = engine.written
        straight = await sent(form.encode())

    assert (twisted.status_code, twisted.json()["error"]) == (400, "the body is not a form; it begins like JSON")
    assert written == 0
    assert straight.status_code == 202


async def test_tenants_and_sources_do_not_share_delivery_ids() -> None:
    """The same id from another source, or for another tenant, is another delivery."""
    engine = InMemoryEngine()
    configs = {"desk": DESK, "other": DESK, "away": DESK.changed(tenant="emea")}
    app = Starlette(routes=intake_routes(open_sources(configs, ENVIRON), engine))
    async with a_client(app) as client:
        desk = Desk(engine, client)
        for place, source in enumerate(configs):
            answer = await desk.send(a_request(changeId=f"CHG-{place}"), source=source)
            assert answer.status_code == 202

    assert engine.answers.keys() == {
        "webhook:default:desk:msg_1",
        "webhook:default:other:msg_1",
        "webhook:emea:away:msg_1",
    }


@pytest.mark.parametrize(
    ("name", "environ", "message"),
    [
        ("desk", {}, "sources.desk: the environment variable DESK_SECRET is not set"),
        ("desk", ENVIRON | {"DESK_SECRET_OLD": ""}, "DESK_SECRET_OLD is not set"),
        ("desk", ENVIRON | {"DESK_SECRET": "whsec_hunter2!"}, "sources.desk: DESK_SECRET: a signing secret is whsec_"),
        ("desk", ENVIRON | {"DESK_SECRET": "whsec_c2hvcnQ="}, "24 to 64 bytes"),
        ("desk", ENVIRON | {"DESK_SECRET": SECRET.removeprefix("whsec_")}, "whsec_"),
        ("de:sk", ENVIRON, "letters, digits"),
        ("../desk", ENVIRON, "letters, digits"),
    ],
)
def test_source_that_cannot_be_opened_is_told_at_start(name: str, environ: dict[str, str], message: str) -> None:
    """A source without its secret is found at start-up, named, and the secret is not repeated."""
    with pytest.raises(UnusableSource) as caught:
        open_sources({name: DESK}, environ)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
PAYLOADS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["change.requested", "change.finished", "loop.chosen", "review.skipped"]) | JSON,
        "data": st.fixed_dictionaries(
            {},
            optional={
                name: JSON | st.text(max_size=5)
                for name in ("changeId", "service", "replicas", "requestedBy", "note", "took")
            },
        )
        | JSON,
    },
)
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=150)
@given(
    body=PAYLOADS.map(json.dumps).map(str.encode) | st.binary(max_size=200),
    headers=st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "content-length"), HEADER
        ),
    ),
    forge=st.booleans(),
)
async def test_nothing_sent_gets_a_5xx(body: bytes, headers: dict[str, str], forge: bool) -> None:
    """Whatever bytes and headers come, the answer is JSON with a status below 500."""
    engine = InMemoryEngine()
    try:
        base = signed(body)
    except UnicodeDecodeError:
        base = signed(b"{}")
    raw = {key: value.encode("latin-1") for key, value in headers.items()} if forge else {}
    async with a_client(an_app(engine)) as client:
        answer = await client.post("/webhooks/desk", content=body, headers=list((base | raw).items()))

    assert answer.status_code < 500
    assert answer.json().keys() & {"status", "error"}
    assert engine.written <= 1
    if answer.status_code >= 400:
        assert engine.written == 0
        assert answer.json().keys() >= {"error", "fields"}
