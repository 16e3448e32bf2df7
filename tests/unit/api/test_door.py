"""What stands before every endpoint: keys, scopes, limits, shapes."""

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from patience import PATIENCE_S
from unit.api.rig import an_api

from gateway.api.keys import digest_of, new_token


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer le_", "Bearer le_" + "0" * 32, "Bearer LE_" + "0" * 32, "Basic le_x", "é"],
)
async def test_without_a_key_nothing_is_told(header: str | None) -> None:
    """No token, no known token, or none that looks like one: 401, the same for every path."""
    async with an_api() as api:
        headers = {} if header is None else {"authorization": header.encode("latin-1")}
        answer = await api.client.get("/api/v1/loops", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_two_tokens_are_none() -> None:
    """Two authorisations could mean one to a proxy and another to us."""
    async with an_api() as api:
        lines = [("authorization", f"Bearer {api.token}"), ("authorization", f"Bearer {new_token()}")]
        answer = await api.client.get("/api/v1/loops", headers=lines)

    assert answer.status_code == 401


async def test_scope_is_needed() -> None:
    """A key does what its scopes say; `admin` is all of them."""
    async with an_api() as api:
        asks, admin = await api.a_token("approvals:request"), await api.a_token("admin")
        answers = [
            await api.post("/loops", {"loopId": "test.change"}, token=asks),
            await api.get("/events", token=asks),
            await api.get("/loops", token=asks),
            await api.post("/loops", {"loopId": "test.change"}, token=admin),
        ]

    assert [answer.status_code for answer in answers] == [403, 403, 200, 201]
    assert answers[0].json()["code"] == "missing_scope"


async def test_rotated_token_counts_a_day_longer() -> None:
    """After a rotation both tokens count for 24 hours, then only the new one."""
    async with an_api() as api:
        token = new_token()
        await api.keys.save(api.key.rotated(token, api.house.clock.now()))
        fresh = [(await api.get("/loops", token=each)).status_code for each in (token, api.token)]
        api.house.clock.move(timedelta(hours=24))
        later = [(await api.get("/loops", token=each)).status_code for each in (token, api.token)]

    assert fresh == [200, 200]
    assert later == [200, 401]


async def test_expired_and_revoked_keys_count_no_more() -> None:
    """A key ends at its time, or when it is revoked, and the caller is told which."""
    async with an_api() as api:
        ending = await api.a_token(expires_at=api.house.clock.now() + timedelta(hours=1))
        before = await api.get("/loops", token=ending)
        api.house.clock.move(timedelta(hours=1))
        after = await api.get("/loops", token=ending)
        await api.keys.save(api.key.changed(revoked_at=api.house.clock.now()))
        revoked = await api.get("/loops")

    assert (before.status_code, after.status_code, revoked.status_code) == (200, 401, 401)
    assert "expired" in after.json()["error"]
    assert "revoked" in revoked.json()["error"]


async def test_tokens_are_not_kept() -> None:
    """What is stored of a token is its digest."""
    async with an_api() as api:
        kept = repr(vars(api.keys))

    assert api.token not in kept
    assert digest_of(api.token) in kept


async def test_limit_slides_and_says_when() -> None:
    """Over its limit a key is told to wait; limits are in the headers before that, and free again with time."""
    async with an_api(key_limit=3) as api:
        answers = [await api.get("/loops") for _ in range(4)]
        api.house.clock.move(timedelta(seconds=int(answers[3].headers["retry-after"])))
        soon = await api.get("/loops")
        api.house.clock.move(timedelta(seconds=120))
        free = await api.get("/loops")

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit"].startswith('"key";r=2;t=')
    assert answers[0].headers["ratelimit-policy"].startswith('"key";q=3;w=60')
    assert answers[3].json()["code"] == "rate_limited"
    assert soon.status_code == 429
    assert free.status_code == 200


async def test_own_limit_of_a_key_comes_first() -> None:
    """A key made for more, or less, has its own limit."""
    async with an_api(key_limit=100) as api:
        narrow = await api.a_token(limit=1)
        answers = [(await api.get("/loops", token=narrow)).status_code for _ in range(2)]

    assert answers == [200, 429]


async def test_the_keys_of_a_tenant_share_its_limit() -> None:
    """Whichever of its keys asks, a tenant over its limit is told to wait, and that it is its own; no other one is."""
    async with an_api(tenant_limit=2) as api:
        second, foreign = await api.a_token(), await api.a_token(tenant="other")
        answers = [await api.get("/loops", token=each) for each in (api.token, second, api.token, second, foreign)]

    assert [answer.status_code for answer in answers] == [200, 200, 429, 429, 200]
    assert {answers[place].json()["error"] for place in (2, 3)} == {"the tenant may make 2 requests a minute"}
    assert '"tenant";r=0;t=' in answers[2].headers["ratelimit"]
    assert 0 < int(answers[2].headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    ("body", "content_type", "status", "said"),
    [
        (b"{", "application/json", 400, "not JSON"),
        (b"[]", "application/json", 400, "must be a JSON object"),
        (b'{"loopId": "a", "loopId": "b"}', "application/json", 400, "stands twice"),
        (b'{"loopId": "a", "payload": ' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}", "application/json", 400, "nests"),
        (b'{"loopId": NaN}', "application/json", 400, "NaN"),
        (b'{"loopId": "\\ud800"}', "application/json", 400, "surrogate"),
        (b"\xff", "application/json", 400, "UTF-8"),
        (b"{}", "text/plain", 415, "application/json"),
        (b"{}", "application/json; charset=latin-1", 415, "UTF-8"),
        (b"", "application/json", 400, "not JSON"),
        (b'{"payload": {}}', "application/json", 422, "loopId"),
        (b'{"loopId": 7}', "application/json", 422, "loopId"),
        (b'{"loopId": ""}', "application/json", 422, "loopId"),
        (b'{"loopId": "a", "actor": {}}', "application/json", 422, "actor"),
        (b'{"loopId": "a", "aggregateId": null, "metadata": []}', "application/json", 422, "metadata"),
        (b'{"loopId": "a", "x": "' + b"y" * 600_000 + b'"}', "application/json", 413, "at most"),
    ],
)
async def test_bad_bodies_are_refused_by_name(body: bytes, content_type: str, status: int, said: str) -> None:
    """What is wrong with a body is told with the field it is in; nothing is started."""
    async with an_api() as api:
        headers = {"authorization": f"Bearer {api.token}", "content-type": content_type}
        answer = await api.client.post("/api/v1/loops", content=body, headers=headers)
        started = (await api.store.instances("default"))[0]

    assert answer.status_code == status
    assert said in answer.text
    assert answer.json().keys() <= {"error", "code", "fields"}
    assert not started


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/loops?limit=0", "limit"),
        ("/loops?limit=201", "limit"),
        ("/loops?limit=x", "limit"),
        ("/loops?limit=1&limit=2", "limit"),
        ("/loops?status=asleep", "status"),
        ("/loops?loopID=a", "loopID"),
        ("/loops?cursor=../../etc", ""),
        ("/approvals/ar_1?wait=61s", "wait"),
        ("/approvals/ar_1?wait=soon", "wait"),
        ("/events?after=x", ""),
        ("/definitions?a=1", "a"),
        ("/loops?state=%ff", ""),
    ],
)
async def test_bad_queries_are_refused_by_name(path: str, field: str) -> None:
    """A query that says what there is not, something twice, or nonsense is refused, and says which part."""
    async with an_api() as api:
        answer = await api.get(path)

    assert answer.status_code == 422
    assert not field or field in answer.json()["fields"]


@pytest.mark.parametrize("length", ["x", "-1", "1e3", "\u0663", "9" * 30])
async def test_a_length_that_is_none_is_refused(length: str) -> None:
    """A body that does not say in digits how long it is, or says too much, is not read."""
    async with an_api() as api:
        headers = {"authorization": f"Bearer {api.token}", "content-type": "application/json"}
        lines = [*((k.encode(), v.encode()) for k, v in headers.items()), (b"content-length", length.encode())]
        answer = await api.client.post("/api/v1/loops", content=b'{"loopId": "test.change"}', headers=lines)
        started = (await api.store.instances("default"))[0]

    assert (answer.status_code, answer.json()["code"], list(started)) == (413, "too_large", [])


async def test_what_takes_no_body_is_told_none() -> None:
    """A body that nobody would read is refused, so that nobody believes it was."""
    async with an_api() as api:
        headers = {"authorization": f"Bearer {api.token}"}
        answer = await api.client.request("GET", "/api/v1/loops", content=b"{}", headers=headers)

    assert (answer.status_code, answer.json()["fields"]) == (422, {"body": "must be empty"})


async def test_bodies_without_a_length_have_the_same_end() -> None:
    """Sent in chunks that never end, a body is read to the limit and no further; a short one is taken."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 65_536

    async def short() -> AsyncIterator[bytes]:
        yield b'{"loopId": "test.'
        yield b'change"}'

    async with an_api() as api:
        headers = {"authorization": f"Bearer {api.token}", "content-type": "application/json"}
        refused = await api.client.post("/api/v1/loops", content=endless(), headers=headers)
        taken = await api.client.post("/api/v1/loops", content=short(), headers=headers)

    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
    assert sent <= 10
    assert taken.status_code == 201


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    """A caller that stops in the middle is told so, and holds no connection for ever."""

    async def stuck() -> AsyncIterator[bytes]:
        yield b'{"loopId": '
        await asyncio.Event().wait()

    async with an_api(body_deadline_s=0.05) as api:
        headers = {"authorization": f"Bearer {api.token}", "content-type": "application/json"}
        async with asyncio.timeout(PATIENCE_S):
            answer = await api.client.post("/api/v1/loops", content=stuck(), headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (408, "too_slow")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
async def test_compressed_bodies_are_not_unpacked(encoding: str) -> None:
    """What could unpack to anything is refused as it is."""
    async with an_api() as api:
        body = gzip.compress(b'{"loopId": "test.change"}')
        headers = {"authorization": f"Bearer {api.token}", "content-type": "application/json"}
        answer = await api.client.post("/api/v1/loops", content=body, headers=headers | {"content-encoding": encoding})

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_descriptions_call_things_as_they_are_called_on_the_wire() -> None:
    """What the document quotes of its own fields is spelt as callers must spell it."""
    async with an_api() as api:
        text = json.dumps((await api.client.get("/api/v1/openapi.json")).json())
    quoted = set(re.findall(r"`(\w+)`", text))

    assert {"aggregateId", "modelId", "nextCursor", "nextAttemptAt"} <= quoted
    assert {word for word in quoted if "_" in word} == set()


@pytest.mark.parametrize("key", ["", " ", "é", "x" * 256])
async def test_bad_idempotency_keys_are_refused(key: str) -> None:
    """A key that could not be kept is told, before anything happens under it."""
    async with an_api() as api:
        headers = {"authorization": f"Bearer {api.token}", "idempotency-key": key.encode()}
        answer = await api.client.post("/api/v1/loops", json={"loopId": "test.change"}, headers=headers)

    assert answer.status_code == 422
    assert answer.json()["fields"].keys() == {"Idempotency-Key"}


async def test_answers_carry_request_id_and_security_headers() -> None:
    """The caller's request id comes back, or one of ours; nothing may be cached or sniffed, no origin is let in."""
    async with an_api() as api:
        given = await api.get("/loops", x_request_id="abc-1")
        made = await api.get("/loops", x_request_id="<script>")
        asked = await api.get("/loops", origin="https://evil.example")

    assert given.headers["x-request-id"] == "abc-1"
    assert made.headers["x-request-id"].startswith("rq_")
    assert given.headers["cache-control"] == "no-store"
    assert given.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in asked.headers
