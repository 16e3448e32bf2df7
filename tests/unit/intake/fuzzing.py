"""Deliveries of every kind of wrongness, from a seed: half of them signed, so that what is behind the door is met."""

import asyncio
import json
import random
import string
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import structlog
from builders import TENANT, a_change, a_house
from starlette.applications import Starlette
from unit.intake.schemes import SECRET, signed_by

from gateway.intake.config import SourceConfig
from gateway.intake.intake import intake_routes
from gateway.intake.ports import Engine
from gateway.intake.presets import preset, preset_names, upon_preset
from gateway.intake.sources import open_sources
from gateway.loopfiles import load_shipped
from gateway.storage.memory import MemoryStore
from loops.commit import Commit
from loops.ledger import Verified, verify_lines
from loops.ports import Conflict, Repeated, StaleClaim, Stored

#: A source for every scheme, and every preset.
SOURCES = {
    **{
        f"plain-{name}": {
            "verifier": name,
            "secretEnv": "S",
            "contentTypes": ["json", "form"],
            "actor": {"serviceId": "desk", "onBehalfOf": "by"},
            "filter": 'has(body.type) && body.type != "ping"',
            "rules": [
                {
                    "when": {"type": "start"},
                    "start": {
                        "loop": "infrastructure.change",
                        "aggregateId": "{{ body.id }}",
                        "data": {"n": {"path": "n", "as": "integer"}, "all?": "extra", "e": {"expr": "size(body.id)"}},
                    },
                },
                {
                    "when": 'body.type == "go"',
                    "signal": {"name": "rollout_done", "aggregateId": "{{ body.id }}", "evidence": {"x?": "extra"}},
                },
                {"cancel": {"aggregateId": "{{ body.id }}", "reason": "{{ body.by }}"}},
            ],
        }
        for name in ("standard-webhooks", "github", "stripe", "pagerduty", "slack-workflow", "bearer")
    },
    **{
        f"preset-{name}": {"preset": name, "secretEnv": "S"} | ({"loop": "a.loop"} if name == "generic" else {})
        for name in preset_names()
    },
}


#: The loops that the presets start.
LOOPS = [preset(name)["loop"] for name in preset_names() if name != "generic"]

PAYLOADS = Path(__file__).parent / "payloads"

#: Answers that come before the engine is asked. What the engine itself refuses stands on a ledger, as it must.
UNWRITTEN = {400, 401, 404, 408, 413, 415}


class CountingStore(MemoryStore):
    """A store that counts its commits."""

    def __init__(self) -> None:
        super().__init__()
        self.commits = 0

    async def commit(self, commit: Commit) -> Stored | Conflict | Repeated | StaleClaim:
        self.commits += 1
        return await super().commit(commit)


@dataclass
class Tally:
    """What came back. `slowest_s` is the longest one took; `faults` are those that must never be."""

    cases: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    slowest_s: float = 0.0
    faults: list[str] = field(default_factory=list)


def an_app(engine: Engine) -> Starlette:
    configs = {name: SourceConfig.model_validate(upon_preset(said)) for name, said in SOURCES.items()}
    return Starlette(routes=intake_routes(open_sources(configs, {"S": SECRET}), engine))


async def fuzz(cases: int, seed: int) -> Tally:
    """Send *cases* deliveries to intake in front of a real engine; a delivery that is refused must write nothing."""
    dice, tally, store = random.Random(seed), Tally(), CountingStore()
    house = a_house(a_change().changed(id="infrastructure.change"), *load_shipped(LOOPS).values(), store=store)
    transport = httpx2.ASGITransport(app=an_app(house.engine), raise_app_exceptions=True)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        for _ in range(cases):
            name = dice.choice(list(SOURCES))
            body, headers = _delivery(dice, name)
            before, began = store.commits, time.perf_counter()
            try:
                answer = await client.post(f"/webhooks/{name}", content=body, headers=headers)
            except Exception as error:
                tally.faults.append(f"{name}: {type(error).__name__}: {error}: {body[:200]!r}")
                continue
            tally.slowest_s = max(tally.slowest_s, time.perf_counter() - began)
            tally.cases += 1
            tally.statuses[answer.status_code] = tally.statuses.get(answer.status_code, 0) + 1
            if answer.status_code >= 500:
                tally.faults.append(f"{name}: {answer.status_code}: {body[:200]!r}")
            if answer.status_code in UNWRITTEN and store.commits != before:
                tally.faults.append(f"{name}: {answer.status_code} and something was written: {body[:200]!r}")
            if answer.status_code >= 400 and not answer.json().get("error"):
                tally.faults.append(f"{name}: {answer.status_code} without a reason: {body[:200]!r}")
    for instance in (await store.instances(TENANT, limit=500))[0]:
        lines = await store.lines(TENANT, instance.instance_id)
        if not isinstance(verify_lines(lines, instance.head), Verified):
            tally.faults.append(f"the ledger of {instance.aggregate_id} does not verify")
    return tally


def main() -> None:
    """``python tests/unit/intake/fuzzing.py CASES SEED``: print what came of it; exit code 1 on any fault."""
    cases, seed = (int(word) for word in [*sys.argv[1:], *["20000", "1"][len(sys.argv) - 1 :]])
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    tally = asyncio.run(fuzz(cases, seed))
    statuses = ", ".join(f"{count} x {status}" for status, count in sorted(tally.statuses.items()))
    print(f"seed {seed}: {tally.cases} deliveries: {statuses}; slowest {tally.slowest_s * 1_000:.0f} ms")
    for fault in tally.faults:
        print(f"FAULT {fault}")
    sys.exit(bool(tally.faults))


def _delivery(dice: random.Random, source: str) -> tuple[bytes, list[tuple[str, bytes]]]:
    rare = ["cut", "bytes", "deep", "wide", "form", "json"]
    kind = dice.choice([*["good", "vendor"] * 4, *["valid", "mutated"] * 2, *rare])
    body = _vendors(dice, source) if kind == "vendor" and source.startswith("preset-") else _body(dice, kind)
    scheme = source.removeprefix("plain-") if source.startswith("plain-") else _scheme_of(source)
    headers: list[tuple[str, bytes]] = []
    if dice.random() < 0.8:
        try:
            signed = signed_by(scheme, body, datetime.now(UTC))
        except UnicodeDecodeError:
            signed = signed_by(scheme, b"", datetime.now(UTC))
        headers = [(name, value.encode()) for name, value in signed]
    if dice.random() < 0.2 and headers:
        at = dice.randrange(len(headers))
        headers[at] = (headers[at][0], _junk(dice))
    if dice.random() < 0.1:
        headers.append((dice.choice(["webhook-id", "stripe-signature", "x-a"]), _junk(dice)))
    form = kind == "form" or dice.random() < 0.05
    types = [
        b"application/json",
        b"application/json; charset=utf-8",
        b"text/plain",
        b"application/json; charset=x",
        b"",
    ]
    content_type = b"application/x-www-form-urlencoded" if form else dice.choices(types, [20, 3, 1, 1, 1])[0]
    return body, [*headers, ("content-type", content_type)]


def _scheme_of(source: str) -> str:
    return str(preset(source.removeprefix("preset-"))["verifier"])


def _body(dice: random.Random, kind: str) -> bytes:
    value: Any = {
        "type": dice.choice(["start", "go", "stop", "ping"]),
        "id": f"A-{dice.randrange(50)}",
        "by": dice.choice(["kim", "", "x" * 300, None]),
        "n": dice.choice([1, "12", 1.5, "x", None, 2**53, True]),
    }
    match kind:
        case "good" | "vendor":
            return json.dumps(value | {"by": "kim", "n": dice.randrange(9)}).encode()
        case "valid":
            return json.dumps(value).encode()
        case "form":
            return urlencode({dice.choice(["payload", "other"]): json.dumps(value)}).encode()
        case "cut":
            whole = json.dumps(value).encode()
            return whole[: dice.randrange(len(whole))]
        case "bytes":
            return dice.randbytes(dice.randrange(200))
        case "deep":
            depth = dice.choice([10, 31, 33, 500, 5_000])
            return b'{"extra":' * depth + b"1" + b"}" * depth
        case "wide":
            return json.dumps(value | {"extra": ["x" * 50] * dice.choice([10, 4_000, 6_000])}).encode()
        case "mutated":
            return json.dumps(_mutated(dice, value)).encode()
        case _:
            return json.dumps(_anything(dice, 4)).encode()


def _vendors(dice: random.Random, source: str) -> bytes:
    """Return the vendor's own payload, somewhere in it now and then another value."""
    body: dict[str, Any] = json.loads((PAYLOADS / f"{source.removeprefix('preset-')}.json").read_text())
    here: Any = body
    while dice.random() < 0.7 and isinstance(here, dict) and here:
        key = dice.choice(list(here))
        if not isinstance(here[key], dict):
            here[key] = _anything(dice, 3)
        here = here[key]
    return json.dumps(body).encode()


def _mutated(dice: random.Random, value: dict[str, Any]) -> dict[str, Any]:
    changed = dict(value)
    for _ in range(dice.randrange(1, 3)):
        changed[dice.choice([*value, "extra", "event", "data", "status", "action"])] = _anything(dice, 3)
    return changed


def _anything(dice: random.Random, depth: int) -> Any:
    scalars = [None, True, 0, -1, 2**60, 1e308, 0.1, "", " ", "\x00", "é😀", "\ud800", "{{ body.id }}", "<!channel>"]
    pick = dice.randrange(10)
    if depth and pick == 0:
        return [_anything(dice, depth - 1) for _ in range(dice.randrange(5))]
    if depth and pick <= 2:
        return {_word(dice): _anything(dice, depth - 1) for _ in range(dice.randrange(5))}
    return dice.choice([*scalars, _word(dice)])


def _word(dice: random.Random) -> str:
    names = ["id", "type", "event", "data", "object", "__proto__", "\ud800", "a.b", ""]
    return dice.choice([*names, "".join(dice.choices(string.printable, k=dice.randrange(12)))])


def _junk(dice: random.Random) -> bytes:
    return dice.choice(
        [b"", b"v1=", b"t=1,v1=" + b"0" * 64, b"\xff\xfe", b"x" * 5_000, dice.randbytes(20).hex().encode()]
    )


if __name__ == "__main__":
    main()
