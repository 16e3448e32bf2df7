"""What `loopgate audit` proves, on a real store and on files, as people and programs see it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import ANALYSIS, DATA, TENANT, House, a_change, a_house, an_agent, an_answer, ci
from redis import Redis
from unit.gateway.files import a_file
from unit.gateway.test_cli import Shell

from gateway.identifiers import TimeOrderedIds
from gateway.storage import keys
from gateway.storage.connect import connect
from gateway.storage.redis_store import RedisStore
from loops.ledger import event_in, line_of, seal

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell whose store is nowhere."""
    a_file(tmp_path)
    return Shell(tmp_path, {"LOOPGATE_REDIS_URL": NOWHERE})


@pytest.fixture
def stored(shell: Shell, redis_url: str) -> Shell:
    """A shell with a store."""
    shell.environment["LOOPGATE_REDIS_URL"] = redis_url
    return shell


async def decided(redis_url: str, aggregate: str = "CHG-7", *, answer: str = "approve", **evidence: Any) -> str:
    """Put a decided change into the store and return its instance's id."""
    async with connect(redis_url) as client:
        house: House = a_house(a_change(), store=RedisStore(client), ids=TimeOrderedIds())
        await house.engine.start(tenant=TENANT, loop_id="test.change", aggregate_id=aggregate, data=DATA, actor=ci())
        moved = await house.engine.transition(
            tenant=TENANT,
            aggregate_id=aggregate,
            transition="submit_analysis",
            actor=an_agent(),
            evidence=ANALYSIS | evidence,
        )
        await house.engine.answer(an_answer(moved.request, answer, "dana", reason="so"), tenant=TENANT)
    return str(moved.instance.instance_id)


def ledger_key(instance_id: str) -> str:
    """Return where the ledger of an instance is."""
    return keys.LEDGER + keys.pair(TENANT, instance_id)


def instance_key(instance_id: str) -> str:
    """Return where an instance is."""
    return keys.INSTANCE + keys.pair(TENANT, instance_id)


def cut(redis: "Redis", instance_id: str, length: int) -> None:
    """Cut a ledger, and its instance's head with it, as somebody would who can write into the store."""
    redis.ltrim(ledger_key(instance_id), 0, length - 1)
    last = event_in(redis.lindex(ledger_key(instance_id), -1))
    body = json.loads(redis.hget(instance_key(instance_id), "b"))
    body["head"] = {"sequence": length, "hash": last.hash}
    redis.hset(instance_key(instance_id), "b", json.dumps(body))


@pytest.fixture
async def exported(stored: Shell, redis_url: str) -> Path:
    """The bundle of a decided change."""
    await decided(redis_url)
    path = stored.home / "change.jsonl"
    done = stored.run("audit", "export", "CHG-7", "-o", str(path))
    assert done.returncode == 0, done.stderr
    return path


def test_a_bundle_is_checked_without_a_store_or_a_configuration(exported: Path, tmp_path: Path) -> None:
    """Whoever has the file can check it: nothing else is opened, nothing configured."""
    elsewhere = Shell(tmp_path / "nowhere", {"LOOPGATE_REDIS_URL": NOWHERE})
    done = elsewhere.run("audit", "verify", str(exported))

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "holds   manifest",
        "holds   definition",
        "holds   events",
        "holds   chain",
        "verified",
    ]
    assert "8 events" in lines[-1]


def test_a_changed_bundle_is_broken_at_the_first_bad_event(exported: Path, stored: Shell) -> None:
    """The verdict names the check and the sequence, for people and programs, with exit code 1."""
    lines = exported.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"0.87", b"0.97")
    exported.write_bytes(b"".join(lines))
    told = stored.run("audit", "verify", str(exported))
    read = json.loads(stored.run("audit", "verify", str(exported), "--json").stdout)

    assert told.returncode == 1
    assert "broken  chain at 3: the event's content does not match its hash" in told.stdout
    assert read["verified"] is False
    assert [check["what"] for check in read["checks"] if not check["holds"]] == ["events", "chain"]


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", 1, "manifest"),
        (b"\x00\xff\n", 1, "not a manifest"),
        (b"{}\n", 1, "not a manifest: format"),
        (b'{"format":"loopgate-bundle/1"', 2, "was the file cut off?"),
        (None, 2, "is not a file"),
    ],
)
def test_what_is_no_bundle_is_said_to_be_none(shell: Shell, content: bytes | None, code: int, words: str) -> None:
    """A file that is empty, binary, cut off or missing is told as such, with the exit code of what it is."""
    path = shell.home / "thing.jsonl"
    if content is not None:
        path.write_bytes(content)
    done = shell.run("audit", "verify", str(path))

    assert done.returncode == code
    assert words in done.stdout + done.stderr


def test_a_bundle_is_readable_by_its_owner_only_and_not_written_over(exported: Path, stored: Shell) -> None:
    """It holds evidence; and an earlier export is evidence itself, so it takes --force to lose it."""
    before = exported.read_bytes()
    again = stored.run("audit", "export", "CHG-7", "-o", str(exported))
    forced = stored.run("audit", "export", "CHG-7", "-o", str(exported), "--force")

    assert exported.stat().st_mode & 0o077 == 0
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert forced.returncode == 0
    assert exported.read_bytes() != before
    assert [entry.name for entry in exported.parent.iterdir() if entry.name.startswith(".loopgate-")] == []


async def test_a_bundle_in_a_directory_is_named_after_its_instance(stored: Shell, redis_url: str) -> None:
    """No business object's name, which anybody may choose, becomes a path."""
    instance_id = await decided(redis_url, "../../etc/passwd")
    done = stored.run("audit", "export", "../../etc/passwd", "-o", str(stored.home))
    printed = stored.run("audit", "export", "--instance", instance_id, "-o", "-")

    assert done.returncode == 0
    assert json.loads(printed.stdout.splitlines()[0])["instanceId"] == instance_id
    assert (stored.home / f"{instance_id}.jsonl").is_file()


async def test_an_object_is_not_taken_for_an_instance(stored: Shell, redis_url: str) -> None:
    """--instance means an instance and nothing else."""
    await decided(redis_url)
    done = stored.run("audit", "export", "--instance", "CHG-7", "-o", "-")

    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no loop instance on 'CHG-7'" in done.stderr


async def test_a_broken_ledger_is_not_exported(stored: Shell, redis_url: str) -> None:
    """A bundle is only made of what holds."""
    instance_id = await decided(redis_url)
    with Redis.from_url(redis_url) as redis:
        redis.lset(ledger_key(instance_id), 2, redis.lindex(ledger_key(instance_id), 2) + b" ")
    done = stored.run("audit", "export", "CHG-7", "-o", "-")

    assert (done.returncode, done.stdout) == (1, "")
    assert "broken at 3" in done.stderr


@pytest.mark.parametrize(
    ("edit", "sequence"),
    [
        (lambda line: line.replace(b"0.87", b"0.88"), 3),
        (lambda line: line.replace(b"0.87", b"8.7e-1"), 3),
        (lambda line: line + b"\n", 3),
        (lambda line: b"\xff", 3),
        (lambda line: b"", 3),
    ],
)
async def test_stored_bytes_are_what_is_verified(
    stored: Shell,
    redis_url: str,
    edit: Callable[[bytes], bytes],
    sequence: int,
) -> None:
    """Also a change that a JSON parser would not notice is one, and is found at its event."""
    instance_id = await decided(redis_url)
    with Redis.from_url(redis_url) as redis:
        line = redis.lindex(ledger_key(instance_id), 2)
        redis.lset(ledger_key(instance_id), 2, edit(line))
        assert redis.lindex(ledger_key(instance_id), 2) != line
    done = stored.run("audit", "verify", "CHG-7", "--json")

    assert done.returncode == 1
    read = json.loads(done.stdout)
    assert (read["verified"], read["sequence"]) == (False, sequence)


async def test_verifying_what_is_not_there_is_not_a_verdict(stored: Shell) -> None:
    """Nothing there, no store, or nothing asked is exit code 2, so that no script takes it for a broken ledger."""
    missing = stored.run("audit", "verify", "CHG-404")
    nowhere = stored.run("audit", "verify", "CHG-7", LOOPGATE_REDIS_URL=NOWHERE)
    nothing = stored.run("audit", "verify")
    both = stored.run("audit", "verify", "CHG-7", "--all")

    assert [done.returncode for done in (missing, nowhere, nothing, both)] == [2, 2, 2, 2]


async def test_a_history_is_judged_again(stored: Shell, redis_url: str) -> None:
    """Replay of a ledger and of its bundle reproduces every decision."""
    await decided(redis_url)
    path = stored.home / "b.jsonl"
    stored.run("audit", "export", "CHG-7", "-o", str(path))
    ledger = stored.run("audit", "replay", "CHG-7")
    bundle = stored.run("audit", "replay", str(path), "--json", LOOPGATE_REDIS_URL=NOWHERE)

    assert ledger.returncode == 0
    assert "reproduced: CHG-7" in ledger.stdout
    assert "8 events in 3 decisions" in ledger.stdout
    assert json.loads(bundle.stdout)["reproduced"] is True


async def test_a_forged_history_with_a_whole_chain_is_found_by_replay(stored: Shell, redis_url: str) -> None:
    """Somebody who can write into the store can make a chain that verifies, but no decision that follows."""
    instance_id = await decided(redis_url)
    with Redis.from_url(redis_url) as redis:
        forged, previous = [], None
        for event in map(event_in, redis.lrange(ledger_key(instance_id), 0, -1)):
            data = json.loads(json.dumps(event.data).replace('"dana": ["sre"]', '"dana": []'))
            fields = {name: getattr(event, name) for name in type(event).model_fields if name != "hash"}
            before = previous.hash if previous else event.previous_hash
            previous = seal({**fields, "data": data, "previous_hash": before})
            forged.append(line_of(previous))
        redis.delete(ledger_key(instance_id))
        redis.rpush(ledger_key(instance_id), *forged)
        cut(redis, instance_id, len(forged))
    verified = stored.run("audit", "verify", "CHG-7")
    replayed = stored.run("audit", "replay", "CHG-7")

    assert verified.returncode == 0
    assert replayed.returncode == 1
    assert "differs at 5" in replayed.stdout
    assert "not_an_approver" in replayed.stdout


async def test_an_instance_that_says_more_than_its_ledger_is_found_by_replay(stored: Shell, redis_url: str) -> None:
    """The stored instance is compared with what its events make of it."""
    instance_id = await decided(redis_url)
    with Redis.from_url(redis_url) as redis:
        body = json.loads(redis.hget(instance_key(instance_id), "b"))
        body["data"]["replicas"] = 500
        redis.hset(instance_key(instance_id), "b", json.dumps(body))
    done = stored.run("audit", "replay", "CHG-7")

    assert done.returncode == 1
    assert "data.replicas: 500 | 12" in done.stdout


async def test_two_runs_are_compared(stored: Shell, redis_url: str) -> None:
    """The first divergence of two runs is named, with both sides; equal ones agree; copies are compared whole."""
    await decided(redis_url, "CHG-1")
    await decided(redis_url, "CHG-2")
    await decided(redis_url, "CHG-3", answer="reject")
    path = stored.home / "b.jsonl"
    stored.run("audit", "export", "CHG-1", "-o", str(path))
    same = stored.run("audit", "compare", "CHG-1", "CHG-2")
    other = stored.run("audit", "compare", "CHG-1", "CHG-3")
    copy = stored.run("audit", "compare", str(path), "CHG-1", "--json")

    assert (same.returncode, other.returncode, copy.returncode) == (0, 1, 0)
    assert "agree" in same.stdout
    assert "differ first at 5" in other.stdout
    assert 'data.decision.kind: "approve" | "reject"' in other.stdout
    assert json.loads(copy.stdout)["sameHistory"] is True


async def test_a_tenant_is_sealed_and_checked(stored: Shell, redis_url: str) -> None:
    """A checkpoint seals what moved; then everything verifies against it, and says what is not sealed yet."""
    await decided(redis_url, "CHG-1")
    await decided(redis_url, "CHG-2", answer="reject")
    unsealed = stored.run("audit", "verify", "--all", "--json")
    first = stored.run("audit", "checkpoint", "--json")
    idle = stored.run("audit", "checkpoint")
    await decided(redis_url, "CHG-3")
    second = stored.run("audit", "checkpoint")
    after = stored.run("audit", "verify", "--all")

    before = json.loads(unsealed.stdout)
    assert [before[name] for name in ("verified", "ledgers", "checkpoints", "unsealed")] == [True, 2, 0, 2]
    [made] = json.loads(first.stdout)["checkpoints"]
    assert (made["sequence"], made["count"]) == (1, 2)
    assert "nothing moved" in idle.stdout
    assert second.stdout.startswith("checkpoint 2: 1 heads, sha256:")
    assert after.returncode == 0
    assert "verified: 3 ledgers" in after.stdout
    assert "2 checkpoints" in after.stdout


@pytest.mark.parametrize("how", ["cut", "deleted", "rewritten"])
async def test_what_was_sealed_cannot_be_undone(stored: Shell, redis_url: str, how: str) -> None:
    """A ledger cut with its head, deleted with its instance, or made anew verifies alone and contradicts its seal."""
    instance_id = await decided(redis_url)
    stored.run("audit", "checkpoint")
    with Redis.from_url(redis_url) as redis:
        if how == "cut":
            cut(redis, instance_id, 4)
        elif how == "deleted":
            redis.delete(ledger_key(instance_id), instance_key(instance_id))
        else:
            event = event_in(redis.lindex(ledger_key(instance_id), -1))
            fields = {name: getattr(event, name) for name in type(event).model_fields if name != "hash"}
            redis.lset(ledger_key(instance_id), -1, line_of(seal({**fields, "correlation_id": "forged"})))
            cut(redis, instance_id, 8)
    alone = stored.run("audit", "verify", instance_id)
    done = stored.run("audit", "verify", "--all", "--json")

    assert alone.returncode == (2 if how == "deleted" else 0)
    assert done.returncode == 1
    [finding] = json.loads(done.stdout)["findings"]
    assert finding["instanceId"] == instance_id
    assert "checkpoint 1 sealed" in finding["reason"]


async def test_a_broken_ledger_is_not_sealed(stored: Shell, redis_url: str) -> None:
    """A checkpoint never vouches for what does not hold, says so, and seals the rest."""
    bad = await decided(redis_url, "CHG-1")
    await decided(redis_url, "CHG-2")
    with Redis.from_url(redis_url) as redis:
        redis.lset(ledger_key(bad), 0, b"{}")
    done = stored.run("audit", "checkpoint", "--json")

    read = json.loads(done.stdout)
    assert done.returncode == 1
    assert read["checkpoints"][0]["count"] == 1
    assert [finding["instanceId"] for finding in read["findings"]] == [bad]


async def test_a_changed_checkpoint_is_found(stored: Shell, redis_url: str) -> None:
    """The chain of checkpoints is proven too, and none is put on top of a changed one."""
    await decided(redis_url)
    stored.run("audit", "checkpoint")
    key = keys.CHECKPOINTS + keys.part(TENANT)
    with Redis.from_url(redis_url) as redis:
        redis.lset(key, 0, redis.lindex(key, 0).replace(b'"count":1', b'"count":2'))
    await decided(redis_url, "CHG-8")
    done = stored.run("audit", "verify", "--all", "--json")
    more = stored.run("audit", "checkpoint")

    assert done.returncode == 1
    [finding] = json.loads(done.stdout)["findings"]
    assert finding["reason"].startswith("checkpoint 1: ")
    assert more.returncode == 1
    assert "was changed" in more.stderr


async def test_a_bundle_carries_the_proof_of_its_checkpoint(stored: Shell, redis_url: str) -> None:
    """What was sealed before the export is proven in the bundle, offline, against the checkpoint's hash."""
    await decided(redis_url, "CHG-1")
    await decided(redis_url, "CHG-2")
    [made] = json.loads(stored.run("audit", "checkpoint", "--json").stdout)["checkpoints"]
    path = stored.home / "b.jsonl"
    stored.run("audit", "export", "CHG-1", "-o", str(path))
    done = stored.run("audit", "verify", str(path), LOOPGATE_REDIS_URL=NOWHERE)

    assert done.returncode == 0
    assert made["hash"] in done.stdout


async def test_the_figures_of_a_tenant(stored: Shell, redis_url: str) -> None:
    """`metrics` shows every loop in a table or as JSON, one loop on demand, and says what it could not read."""
    await decided(redis_url, "CHG-1")
    await decided(redis_url, "CHG-2", answer="reject")
    bad = await decided(redis_url, "CHG-3")
    with Redis.from_url(redis_url) as redis:
        redis.lset(ledger_key(bad), 0, b"{}")
    table = stored.run("metrics")
    read = json.loads(stored.run("metrics", "test.change", "--json").stdout)
    other = stored.run("metrics", "no.such.loop")
    few = json.loads(stored.run("metrics", "--limit", "1", "--json").stdout)

    assert table.returncode == 0
    assert "completion rate" in table.stdout
    assert f"unreadable: {bad}" in table.stdout
    [loop] = read["loops"]
    assert (loop["count"], loop["byStatus"], loop["completionRate"]) == (2, {"active": 1, "completed": 1}, 1.0)
    assert loop["transitionsByActor"] == {"ai-agent": 2, "human": 2}
    assert read["unreadable"] == [bad]
    assert "no loops yet" in other.stdout
    assert few["more"] is True


async def test_who_a_model_was_can_be_read_back(stored: Shell, redis_url: str) -> None:
    """Model, provider and confidence of an agent are in what `audit show` prints for programs."""
    await decided(redis_url)
    events = json.loads(stored.run("audit", "show", "CHG-7", "--json").stdout)

    moved = next(event for event in events if event["type"] == "loop.transition.executed")
    actor = moved["data"]["actor"]
    assert (actor["modelId"], actor["provider"], actor["confidence"]) == ("claude", "anthropic", 0.87)


async def test_text_from_outside_does_not_steer_the_terminal(stored: Shell, redis_url: str) -> None:
    """Evidence is shown as text: no escape sequence or markup in it takes effect."""
    await decided(redis_url, "CHG-1")
    await decided(redis_url, "CHG-2", reasoning="\x1b[2J[red]approved by everybody[/red]")
    done = stored.run("audit", "compare", "CHG-1", "CHG-2")

    assert "\x1b" not in done.stdout
    assert "[red]approved by everybody[/red]" in done.stdout
