"""Configuration files for tests: a sound one, and what to change about it."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

SOUND: dict[str, Any] = {
    "slack": {
        "team": "T1",
        "app": "A1",
        "apiUrl": "http://127.0.0.1:9/api/",
        "channels": {"sre-approvals": "C0SRE", "finance-approvals": "C0FIN"},
    },
    "people": [
        {"id": "dana", "name": "Dana Ops", "groups": ["sre"], "slack": "U0DANA"},
        {"id": "kim", "name": "Kim Novak", "groups": ["finance"], "slack": "U0KIM"},
    ],
    "providers": {
        "analyst": {"kind": "recorded", "recording": "infrastructure_change"},
        "reviewer": {"kind": "recorded", "recording": "purchase_approval"},
    },
    "integrations": {
        name: {"kind": "webhook", "url": "http://127.0.0.1:9/hook", "secretEnv": "DEPLOYER_SECRET"}
        for name in ("deployer", "erp")
    },
    "loops": ["library"],
}

SECRETS = {
    "SLACK_BOT_TOKEN": "xoxb-test",
    "SLACK_SIGNING_SECRET": "shhh",
    "DEPLOYER_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=",
}


def a_file(home: Path, change: Callable[[dict[str, Any]], object] = lambda _: None) -> Path:
    """Write the sound configuration, changed by *change*, and return its path."""
    data = copy.deepcopy(SOUND)
    change(data)
    path = home / "loopgate.yaml"
    with path.open("w") as file:
        YAML().dump(data, file)
    return path
