"""
Requests made of the OpenAPI document that is served: what it allows, and what it does not, from a seed.

schemathesis makes them and judges the answers: the document and the API must say the same. Half of them are about what
there is, so that what is behind the door is met.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import httpx2
import requests
import schemathesis
import structlog
from builders import TENANT
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import content_type_conformance, not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    AcceptedNegativeData,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.types import Message
from unit.api.rig import Rig, an_api

from gateway.storage.memory import MemoryStore
from loops.commit import Commit
from loops.ledger import Verified, verify_lines
from loops.ports import Conflict, Repeated, StaleClaim, Stored

#: Every check of what one answer says. That all the document allows is taken is not among them: a document cannot say
#: whether a cursor was ours, or a key is new.
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]

#: Refusals that come before anything is written. The others are the engine's; many stand on a ledger, as they must.
UNWRITTEN = {
    "malformed", "bad_request", "too_large", "too_slow", "unsupported_media_type", "not_found", "method_not_allowed",
    "human_actor_forbidden", "system_actor_forbidden", "adhoc_not_allowed", "unmanned", "bad_evidence",
    "unknown_loop", "unknown_instance", "unknown_request", "idempotency_key_reused", "missing_scope",
    "unknown_subscription", "too_many_subscriptions",
}  # fmt: skip

#: What the path's names are in those requests that are about something.
KNOWN: dict[str, list[str]] = {
    "aggregateId": ["CHG-1", "CHG-2"],
    "runId": ["CHG-1"],
    "loopId": ["test.change"],
}


class CountingStore(MemoryStore):
    """A store that counts its commits."""

    def __init__(self) -> None:
        super().__init__()
        self.commits = 0

    async def commit(self, commit: Commit) -> Stored | Conflict | Repeated | StaleClaim:
        became = await super().commit(commit)
        self.commits += isinstance(became, Stored)
        return became


@dataclass
class Tally:
    """What came back. `faults` are those that must never be, one line each."""

    cases: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    answered: dict[str, set[int]] = field(default_factory=dict)
    #: CPU time: others want this machine, too.
    slowest_s: float = 0.0
    slowest: str = ""
    faults: dict[str, str] = field(default_factory=dict)


def fuzz(cases: int, number: int) -> Tally:
    """Send about *cases* requests to the API in front of a real engine, as many to each operation."""
    tally = Tally()
    with asyncio.Runner() as runner:
        opened = an_api(store=CountingStore(), key_limit=10**9)
        api = runner.run(opened.__aenter__())
        try:
            _fuzz(api, runner, cases, number, tally)
            runner.run(_ledgers_verify(api.store, tally))
        finally:
            runner.run(opened.__aexit__(None, None, None))
    return tally


def _fuzz(api: Rig, runner: asyncio.Runner, cases: int, number: int, tally: Tally) -> None:
    runner.run(api.started("CHG-1"))
    runner.run(api.started("CHG-2"))
    admin = runner.run(api.a_token("admin"))
    made = runner.run(api.post("/subscriptions", {"url": "https://receiver.example.com/"}, token=admin)).json()
    parked = runner.run(api.submitted("CHG-2"))
    known = KNOWN | {"approvalId": [parked["approvalId"]], "subscriptionId": [made["subscriptionId"]]}
    described = runner.run(api.client.get("/api/v1/openapi.json")).json()
    del described["security"]  # every request has the key: those without one are test_door's
    schema = schemathesis.openapi.from_dict(described)
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:
        about = {each.name: st.sampled_from(known[each.name]) for each in operation.path_parameters}
        strategies: list[Any] = []
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            if mode.is_negative and not (operation.body or operation.query or operation.headers):
                continue
            strategies.append(operation.as_strategy(mode))
            if about:
                strategies.append(
                    st.fixed_dictionaries(about).flatmap(
                        lambda path, mode=mode, operation=operation: operation.as_strategy(mode, path_parameters=path)
                    )
                )
        send = _sender(api, runner, tally, admin)
        settled = settings(
            max_examples=max(1, cases // len(operations)),
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        settled(seed(number)(given(case=st.one_of(strategies))(send)))()


def _sender(api: Rig, runner: asyncio.Runner, tally: Tally, token: str) -> Callable[[Case], None]:
    def send(case: Case) -> None:
        store = api.store
        assert isinstance(store, CountingStore)
        kwargs = case.as_transport_kwargs(base_url="http://gateway")
        kwargs["headers"]["Authorization"] = f"Bearer {token}"
        try:
            prepared = requests.Request(**kwargs).prepare()
        except (requests.RequestException, ValueError):
            return  # what no client can send
        before, began = store.commits, time.process_time()
        name = case.operation.definition.raw["operationId"]
        try:
            answer = runner.run(_answered(api, prepared))
        except Exception as error:
            tally.faults.setdefault(f"{name}: {type(error).__name__}", _told(prepared, str(error)))
            return
        took = time.process_time() - began
        if took > tally.slowest_s:
            tally.slowest_s, tally.slowest = took, _told(prepared, name)
        tally.cases += 1
        tally.statuses[answer.status_code] = tally.statuses.get(answer.status_code, 0) + 1
        tally.answered.setdefault(name, set()).add(answer.status_code)
        for fault in _faults(case, answer, kwargs, wrote=store.commits != before):
            tally.faults.setdefault(f"{name}: {answer.status_code} {fault}", _told(prepared, answer.text))

    return send


def _faults(case: Case, answer: httpx2.Response, kwargs: dict[str, Any], *, wrote: bool) -> Iterator[str]:
    try:
        case.validate_response(answer, checks=CHECKS, transport_kwargs={"headers": kwargs["headers"]})
    except FailureGroup as group:
        for each in group.exceptions:
            if isinstance(each, AcceptedNegativeData) and _is_padded(case):
                continue
            yield f"{type(each).__name__}: {str(each)[:300]}"
    if answer.status_code >= 400:
        code = answer.json().get("code")
        if wrote and code in UNWRITTEN:
            yield f"{code}, and something was written"


def _is_padded(case: Case) -> bool:
    """Whether a text in *case* has white space around it: names are trimmed first, which no document can say."""

    def padded(value: Any) -> bool:
        if isinstance(value, dict):
            return any(padded(each) for pair in value.items() for each in pair)
        if isinstance(value, list):
            return any(map(padded, value))
        return isinstance(value, str) and value != value.strip()

    return padded(case.body) or padded(dict(case.query or {}))


async def _answered(api: Rig, prepared: requests.PreparedRequest) -> httpx2.Response:
    """Have the app answer as a server would, and hang up after the first part of a stream."""
    path, _, query = (prepared.path_url or "/").partition("?")
    body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body or b""
    headers = [(name.lower().encode("latin-1"), _bytes(value)) for name, value in prepared.headers.items()]
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "scheme": "http",
        "method": prepared.method, "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(),
        "headers": headers, "server": ("gateway", 80), "client": ("127.0.0.1", 1), "root_path": "",
    }  # fmt: skip
    started: dict[str, Any] = {}
    parts: list[bytes] = []
    asked = iter([{"type": "http.request", "body": body, "more_body": False}])
    hung_up = asyncio.Event()

    async def receive() -> Message:
        if (message := next(asked, None)) is not None:
            return message
        await hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            started.update(message)
        elif message.get("body"):
            parts.append(message["body"])
            hung_up.set()

    await api.app(scope, receive, send)
    request = httpx2.Request(prepared.method or "", prepared.url or "", content=body)
    made = httpx2.Response(started["status"], headers=started["headers"], content=b"".join(parts), request=request)
    made.elapsed = timedelta(0)
    return made


async def _ledgers_verify(store: MemoryStore, tally: Tally) -> None:
    for closed in (False, True):
        for instance in (await store.instances(TENANT, limit=500, closed=closed))[0]:
            lines = await store.lines(TENANT, instance.instance_id)
            if not isinstance(verify_lines(lines, instance.head), Verified):
                tally.faults[f"the ledger of {instance.aggregate_id!r} does not verify"] = ""


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8")


def _told(prepared: requests.PreparedRequest, what: str) -> str:
    return f"{prepared.method} {prepared.url} {(prepared.body or b'')[:300]!r}: {what[:400]}"


def main() -> None:
    """``python tests/unit/api/fuzzing.py CASES SEED``: print what came of it; exit code 1 on any fault."""
    cases, number = (int(word) for word in [*sys.argv[1:], *["10000", "1"][len(sys.argv) - 1 :]])
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    tally = fuzz(cases, number)
    statuses = ", ".join(f"{count} x {status}" for status, count in sorted(tally.statuses.items()))
    print(f"seed {number}: {tally.cases} API requests: {statuses}")
    print(f"slowest, of CPU time: {tally.slowest_s * 1_000:.0f} ms: {tally.slowest}")
    for fault, said in tally.faults.items():
        print(f"FAULT {fault}\n  {said}")
    sys.exit(bool(tally.faults))


if __name__ == "__main__":
    main()
