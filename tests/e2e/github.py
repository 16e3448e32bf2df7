"""GitHub, as far as a stack needs it: its webhook, signed as GitHub signs, and where it wants its answer."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import httpx2
from stack import CHANNEL, Stack

PAYLOAD = Path(__file__).parents[1] / "unit" / "intake" / "payloads" / "github-deployment-protection-rule.json"


def with_github(configuration: dict[str, Any], _: dict[str, Any]) -> None:
    """Add the preset, its loop, and the integration that answers GitHub; dana manages releases."""
    api = configuration["integrations"]["deployer"]["url"].removesuffix("/hook") + "/api/repos/"
    configuration["sources"]["github"] = {
        "preset": "github-deployment-protection-rule",
        "secretEnv": "DEPLOYER_SECRET",
    }
    configuration["integrations"]["github"] = {
        "kind": "http",
        "url": "{{ callbackUrl }}",
        "allow": [api],
        "tokenEnv": "DEPLOYER_SECRET",
    }
    configuration["slack"]["channels"]["deployments"] = CHANNEL
    configuration["loops"].append("library/github.deployment")
    dana = next(person for person in configuration["people"] if person["id"] == "dana")
    dana["groups"] = [*dana["groups"], "release-managers"]


def ask(stack: Stack, deployment: int, *, run: str, creator: str = "octocat") -> httpx2.Response:
    """Have GitHub ask whether *deployment* may go on; its answer belongs to the run *run*."""
    body = json.loads(PAYLOAD.read_text())
    body["deployment"] |= {"id": deployment, "creator": {"login": creator}}
    body["deployment_callback_url"] = f"{stack.receiver}/api/repos/{run}/deployment_protection_rule"
    return send(stack, json.dumps(body).encode())


def send(stack: Stack, body: bytes, *, delivery: str = "72d3162e") -> httpx2.Response:
    """Deliver *body* as GitHub does: the body is signed, the headers are not."""
    signature = hmac.new(stack.deployer_secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/json",
        "x-github-event": "deployment_protection_rule",
        "x-github-delivery": delivery,
        "x-hub-signature-256": f"sha256={signature}",
    }
    return stack.http.post(f"{stack.gateway()}/webhooks/github", content=body, headers=headers)
