"""Standard Webhooks between languages: the JavaScript package and we verify each other."""

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from contract.integration.receiver import SECRET, Receiver, receiving
from patience import PATIENCE_S

from gateway.intake.verify import Unverified, open_verifier
from gateway.integrations.ports import Run
from gateway.integrations.webhook import WebhookIntegration

HERE = Path(__file__).parents[2] / "javascript"
#: What npm says of a registry that cannot be reached, or is in trouble; anything else is ours to mend.
AWAY = {
    "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND", "ERR_SOCKET_TIMEOUT",
    "ETIMEDOUT", "FETCH_ERROR", "E429", "E500", "E502", "E503", "E504",
}  # fmt: skip
BODY = '{"type": "change.requested", "data": {"note": "Grüße – 😀", "id": "CHG-1"}}'


@pytest.fixture(scope="module")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The npm packages, installed from their lock; skipped where there is no node, or no registry to have them from."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("no JavaScript: node and npm are not installed")
    home = tmp_path_factory.mktemp("javascript")
    for name in ("package.json", "package-lock.json", "webhooks.mjs"):
        shutil.copy(HERE / name, home)
    if away := _away(npm, home):
        pytest.skip(f"no JavaScript: the npm registry is away ({away}), and the packages are not in npm's cache")

    def ask(**command: Any) -> dict[str, Any]:
        sent = json.dumps({"secret": SECRET} | command).encode()
        done = subprocess.run([node, "webhooks.mjs"], cwd=home, input=sent, capture_output=True, check=True)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return ask


def _away(npm: str, home: Path) -> str | None:
    """Install what the lock in *home* names, from npm's cache if it is there; return how the registry is away."""
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefer-offline"]
    bounds = ["--fetch-timeout=15000", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
    try:
        done = subprocess.run(
            [*command, *bounds], cwd=home, check=False, capture_output=True, text=True, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return f"silent for {PATIENCE_S:.0f} s"
    code = re.search(r"^npm (?:error|ERR!) code (\w+)$", done.stderr, re.MULTILINE)
    if code and code[1] in AWAY:
        return code[1]
    assert done.returncode == 0, done.stderr
    return None


def test_what_javascript_signs_verifies_here(javascript: Any) -> None:
    """A delivery signed by the npm package is a delivery of its sender, and changed it is not."""
    now = datetime.now(UTC)
    stamp = int(now.timestamp())
    signature = javascript(sign={"id": "msg_js", "timestamp": stamp, "body": BODY})["signature"]
    headers = [("webhook-id", "msg_js"), ("webhook-timestamp", str(stamp)), ("webhook-signature", signature)]
    verifier = open_verifier("standard-webhooks", [SECRET], 300)

    assert verifier.verify(headers, BODY.encode(), now) == "msg_js"
    with pytest.raises(Unverified):
        verifier.verify(headers, BODY.replace("1", "2").encode(), now)


async def test_what_we_sign_verifies_in_javascript(javascript: Any) -> None:
    """An order that the webhook integration sends is verified by the npm package, and changed it is not."""
    parameters = {"note": "Grüße – 😀", "replicas": 8}
    with receiving(Receiver()) as receiver:
        async with httpx2.AsyncClient(trust_env=False) as client:
            integration = WebhookIntegration(receiver.url, SECRET, client)
            await integration.run(Run("ef_1", "deployer", "rollout", "CHG-1", "a.loop", parameters))
    (sent,) = receiver.received
    headers = {name: sent["headers"][name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    body = sent["body"].decode()

    assert javascript(verify={"headers": headers, "body": body})["verified"]["data"]["parameters"] == parameters
    assert "refused" in javascript(verify={"headers": headers, "body": body.replace("8", "9")})


def test_what_stripes_own_library_signs_verifies_here(javascript: Any) -> None:
    """A header made by Stripe's npm package for its users' tests verifies, and the body changed does not."""
    now = datetime.now(UTC)
    header = javascript(stripe={"payload": BODY, "timestamp": int(now.timestamp())})["header"]
    verifier = open_verifier("stripe", [SECRET], 300)

    assert verifier.verify([("stripe-signature", header)], BODY.encode(), now) is None
    with pytest.raises(Unverified):
        verifier.verify([("stripe-signature", header)], BODY.replace("1", "2").encode(), now)
