"""`loopgate intake`: a source tried on a payload, without anything being written."""

import hashlib
import hmac
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from unit.gateway.files import SECRETS, a_file
from unit.gateway.forked import run_loopgate

PAYLOADS = Path(__file__).parents[1] / "intake" / "payloads"
SECRET = "the secret github has, too"


def a_home(home: Path) -> Path:
    def with_source(data: dict[str, Any]) -> None:
        data["sources"] = {
            "hub": {
                "preset": "github-deployment-protection-rule",
                "secretEnv": "HUB_SECRET",
                "loop": "infrastructure.change",
            },
        }

    return a_file(home, with_source)


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, **SECRETS, "HUB_SECRET": SECRET, "LOOPGATE_CONFIG": str(home / "loopgate.yaml")}
    environ["LOOPGATE_DATA_DIR"] = str(home / "data")
    return run_loopgate(["intake", *words], environ)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("home")
    a_home(made)
    return made


def test_trying_a_source_shows_what_would_become_of_a_delivery(home: Path) -> None:
    """Signature, delivery id, what the loop would be given and the answer are shown; nothing is started."""
    body = PAYLOADS / "github-deployment-protection-rule.json"
    signature = hmac.new(SECRET.encode(), body.read_bytes(), hashlib.sha256).hexdigest()
    words = ("test", "hub", "--file", str(body), "--header", f"X-Hub-Signature-256: sha256={signature}", "--json")
    first, again = run(home, *words), run(home, *words)
    found = json.loads(first.stdout)

    assert first.returncode == 0, first.stderr
    assert (found["signature"], found["answer"]) == ("verified", "started")
    assert found["given"]["aggregateId"] == "acme/shop/production/145988746"
    assert found["given"]["data"]["environment"] == "production"
    assert json.loads(again.stdout) == found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("test", "hubb", "--file", "x.json"), "did you mean 'hub'"),
        (("test", "hub", "--file", "x.json", "--header", "nonsense"), "is not 'Name: value'"),
        (("test", "hub", "--file", "x.json", "--header", "X-Hub-Signature-256: sha256=00"), "no signature"),
        (("test", "hub", "--file", "x.json"), "the body is not JSON"),
        (("test", "hub", "--file", "gone.json"), "No such file"),
    ],
)
def test_what_would_be_refused_ends_with_exit_code_1_and_a_reason(
    home: Path, words: tuple[str, ...], said: str
) -> None:
    """Every refusal names the thing, and never with a traceback."""
    (home / "x.json").write_text("{")
    words = tuple(str(home / word) if word.endswith(".json") else word for word in words)
    done = run(home, *words)

    assert done.returncode in {1, 2}
    assert said in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr


def test_presets_are_listed(home: Path) -> None:
    """Whoever connects a vendor finds what is ready."""
    done = run(home, "presets")

    assert done.returncode == 0
    assert "github-deployment-protection-rule" in done.stdout
