"""The runtime's own guards through the whole gateway: a policy point is asked, and what it says counts."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

import pytest

from gateway.configuration import load_configuration
from gateway.settings import Settings
from gateway.wiring.parts import open_parts
from loops.actors import service
from loops.outcomes import Executed, Refused

LOOP = """
id: guarded.change
version: 1.0.0
initialState: READY
states: [{id: READY}, {id: DONE, isTerminal: true}]
transitions:
  - id: go
    from: READY
    to: DONE
    actors: [automation]
    guards:
      - {id: change-policy, severity: hard, evaluatedBy: external, failureMessage: "Not during the sale"}
      - {id: expression, severity: hard, parameters: {expression: "data.replicas <= 20 && evidence.ready"}}
"""
CONFIGURATION = """
slack: {{team: T1, app: A1, channels: {{sre-approvals: C1}}}}
loops: [guarded.yaml]
policyPoints:
  change-policy: {{url: "{url}/v1/data/changes/allow"}}
"""


class Opa(BaseHTTPRequestHandler):
    """A policy decision point: allows what does not touch payments, and remembers what it was asked."""

    asked: ClassVar[list[dict]] = []

    def do_POST(self) -> None:
        """Answer as OPA's data API does."""
        question = json.loads(self.rfile.read(int(self.headers["content-length"])))
        Opa.asked.append(question)
        allowed = question["input"]["data"]["service"] != "payments"
        body = json.dumps({"decision_id": "d-1", "result": allowed}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def opa() -> Iterator[str]:
    """A policy point on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Opa)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("data", "evidence", "codes"),
    [
        ({"service": "checkout", "replicas": 12}, {"ready": True}, []),
        ({"service": "payments", "replicas": 12}, {"ready": True}, ["change-policy"]),
        ({"service": "payments", "replicas": 21}, {"ready": True}, ["change-policy", "expression"]),
    ],
)
async def test_a_policy_point_and_an_expression_decide_together(
    tmp_path, redis_url, opa, data, evidence, codes
) -> None:
    """Both are asked whatever the other says; each verdict is on the ledger with its code, latency and decision id."""
    (tmp_path / "guarded.yaml").write_text(LOOP)
    config = tmp_path / "loopgate.yaml"
    config.write_text(CONFIGURATION.format(url=opa))
    assert load_configuration(config).policy_points
    async with open_parts(Settings(config=config), redis_url) as parts:
        ci = service("ci")
        fields = {"tenant": "default", "aggregate_id": "G-1", "actor": ci}
        await parts.engine.start(loop_id="guarded.change", data=data, **fields)
        outcome = await parts.engine.transition(transition="go", evidence=evidence, **fields)
        events = await parts.store.events("default", outcome.instance.instance_id)

    assert isinstance(outcome, Refused if codes else Executed)
    assert [failure.guard_id for failure in getattr(outcome, "failures", ())] == codes
    judged = next(event for event in events if "guards" in event.data).data["guards"]
    assert [verdict["guardId"] for verdict in judged] == ["change-policy", "expression"]
    assert judged[0]["decisionId"] == "d-1"
    assert judged[0]["latencyUs"] > 0
    assert judged[0].get("message") == ("Not during the sale" if codes else None)
    assert Opa.asked[-1]["input"]["data"] == data
