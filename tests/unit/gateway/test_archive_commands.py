"""`loopgate archive`, on a real store, as people and programs see it; and what is said of what is archived."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from builders import TENANT
from unit.gateway.files import a_file
from unit.gateway.test_audit_commands import decided
from unit.gateway.test_cli import Shell

from gateway.archiving import ARCHIVING, ARCHIVING_LEASE
from gateway.settings import Settings
from gateway.storage.connect import connect
from gateway.storage.redis_effects import RedisEffects
from gateway.storage.redis_leases import RedisLeases
from gateway.wiring.parts import open_parts
from gateway.wiring.slack import gate_of


@pytest.fixture
async def shell(tmp_path: Path, redis_url: str) -> Shell:
    """A shell with an archive, and one rejected change whose effects are done."""
    a_file(tmp_path)
    instance_id = await decided(redis_url, answer="reject")
    async with connect(redis_url) as client:
        effects = RedisEffects(client)
        for record in await effects.effects_of(TENANT, instance_id):
            claim = await effects.claim(record.effect.effect_id, lease=timedelta(seconds=5))
            if claim:
                await effects.finish(record.effect.effect_id, claim.fence, {})
    return Shell(
        tmp_path,
        {
            "LOOPGATE_REDIS_URL": redis_url,
            "LOOPGATE_ARCHIVE_DIR": str(tmp_path / "archive"),
            "LOOPGATE_RETENTION_DAYS": "0",
        },
    )


def test_an_archived_change_is_found_by_whoever_asks(shell: Shell) -> None:
    """A round archives it; it is listed, `audit show` says where it is, and the file verifies without a store."""
    done = shell.run("archive", "run")
    listed = json.loads(shell.run("archive", "list", "--json").stdout)["archived"]
    shown = shell.run("audit", "show", "CHG-7")
    tenant = shell.run("audit", "verify", "--all", "--json")
    (file,) = (shell.home / "archive").rglob("*.jsonl")
    verified = shell.run("audit", "verify", str(file))

    assert done.stdout.startswith("1 archived; 0 left"), done.stdout + done.stderr
    assert [each["aggregateId"] for each in listed] == ["CHG-7"]
    assert shown.returncode == 0
    said = shown.stderr
    assert "was archived on" in said
    assert listed[0]["file"] in said
    assert listed[0]["head"]["hash"] in said
    assert (tenant.returncode, json.loads(tenant.stdout)["archived"]) == (0, 1)
    assert verified.returncode == 0
    assert "CHG-7" in shell.run("archive", "list").stdout
    assert shell.run("archive", "run").stdout.startswith("0 archived; 0 left")

    file.unlink()
    gone = shell.run("audit", "verify", "--all")
    assert gone.returncode == 1
    assert "its file in the archive does not hold" in gone.stdout


def test_without_a_directory_nothing_is_archived(shell: Shell) -> None:
    """The command says what to set, and exits 1."""
    del shell.environment["LOOPGATE_ARCHIVE_DIR"]

    refused = shell.run("archive", "run")
    assert refused.returncode == 1
    assert "set LOOPGATE_ARCHIVE_DIR to a directory" in refused.stderr


async def test_while_another_process_archives_the_command_says_so(shell: Shell, redis_url: str) -> None:
    """One process at a time does it: the command does not claim that there was nothing to do."""
    async with connect(redis_url) as client:
        await RedisLeases(client).hold(ARCHIVING, "a worker", ARCHIVING_LEASE)
    refused = shell.run("archive", "run")

    assert refused.returncode == 1
    assert "another process is archiving now" in refused.stderr


def test_a_directory_that_cannot_be_written_is_named(shell: Shell) -> None:
    """The command says which directory it is, and exits 1; the change stays in the store."""
    (shell.home / "archive").write_text("a file")
    refused = shell.run("archive", "run")

    assert refused.returncode == 1
    assert f"the archive in {shell.home / 'archive'} cannot be kept" in refused.stderr
    assert shell.run("audit", "show", "CHG-7").returncode == 0


async def test_the_gate_says_where_an_archived_loop_is(shell: Shell, redis_url: str) -> None:
    """`/loops show` asks the gate, which knows the file and the head."""
    shell.run("archive", "run")
    settings = Settings(config=shell.home / "loopgate.yaml", redis_url=redis_url)  # type: ignore[arg-type]
    async with open_parts(settings, redis_url) as parts:
        gate = gate_of(parts)
        said = await gate.archived(TENANT, "CHG-7")

        assert said is not None
        assert "head sha256:" in said
        assert await gate.archived(TENANT, "CHG-8") is None
