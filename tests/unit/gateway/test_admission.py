"""Admission, by real processes: a store that loses what was acknowledged, or is newer, is not worked on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE_S
from redis import Redis
from unit.gateway.files import SECRETS, a_file
from unit.gateway.test_serve import said, serving

from gateway.storage import keys
from gateway.storage.embedded import EmbeddedServer


def started(home: Path, command: str, url: str) -> subprocess.CompletedProcess[str]:
    """Run a command that must not come up, and return how it ended."""
    a_file(home)
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("LOOPGATE_", "SLACK_"))}
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli", command],
        env={**inherited, **SECRETS, "LOOPGATE_CONFIG": str(home / "loopgate.yaml"), "LOOPGATE_REDIS_URL": url},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.mark.parametrize("command", ["serve", "work"])
def test_a_store_of_a_newer_loopgate_is_not_worked_on(tmp_path: Path, redis_url: str, command: str) -> None:
    """Whoever meets a newer schema ends with 1 and says which Loopgate to run."""
    with Redis.from_url(redis_url) as client:
        client.set(keys.SCHEMA, 99)

    ended = started(tmp_path, command, redis_url)
    assert ended.returncode == 1
    assert "the store is at schema 99 and this Loopgate knows 1; run the newer Loopgate" in ended.stderr


def test_an_unfit_store_is_refused_unless_allowed_and_then_told_of(tmp_path: Path) -> None:
    """Without an append-only file nothing starts; allowed, it does, and readiness goes on saying so."""
    with EmbeddedServer(tmp_path / "store") as server:
        with Redis.from_url(server.url) as client:
            client.config_set("appendonly", "no")
        ended = started(tmp_path, "serve", server.url)
        with serving(tmp_path, LOOPGATE_REDIS_URL=server.url, LOOPGATE_UNFIT_STORE="true") as (_, http):
            ready = http.get("/readyz")

    assert ended.returncode == 1
    assert "AOF is off, so acknowledged decisions die with the server; set appendonly yes" in ended.stderr
    assert "LOOPGATE_UNFIT_STORE=true" in ended.stderr
    assert ready.status_code == 200
    assert ready.json()["warnings"] == ["AOF is off, so acknowledged decisions die with the server; set appendonly yes"]
    assert "store.unfit" in said(tmp_path)


def test_a_store_that_comes_late_and_is_newer_ends_the_gateway(tmp_path: Path) -> None:
    """A gateway that started without its store looks at it once it is there, and ends where it must not work on it."""
    server = EmbeddedServer(tmp_path / "store")
    with server, Redis.from_url(server.url) as client:
        client.set(keys.SCHEMA, 99)
        url = server.url
    with serving(tmp_path, LOOPGATE_REDIS_URL=url) as (process, http):
        assert http.get("/readyz").status_code == 503
        with server:
            assert process.wait(PATIENCE_S) == 0

    assert "store.refused" in said(tmp_path)
