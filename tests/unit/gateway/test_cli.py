"""The command line as people and programs use it: real processes, words on standard error, an exit code."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from builders import TENANT, a_change, a_house, an_answer
from redis import Redis
from unit.gateway.files import SECRETS, a_file
from unit.gateway.forked import run_loopgate

from gateway.identifiers import TimeOrderedIds
from gateway.storage import keys
from gateway.storage.connect import connect
from gateway.storage.redis_store import RedisStore
from loops.approvals import ApprovalRequest

LIBRARY = Path(__file__).parents[3] / "loops" / "library"


@dataclass
class Shell:
    """Runs `loopgate` in a directory with a sound configuration."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("LOOPGATE_", "SLACK_"))}
        own = {**SECRETS, "LOOPGATE_CONFIG": str(self.home / "loopgate.yaml"), **self.environment, **environment}
        done = run_loopgate(arguments, {**inherited, **own})
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return done


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell whose store is nowhere."""
    a_file(tmp_path)
    return Shell(tmp_path, {"LOOPGATE_REDIS_URL": "redis://127.0.0.1:1/0"})


@pytest.fixture
def stored(shell: Shell, redis_url: str) -> Shell:
    """A shell with a store."""
    shell.environment["LOOPGATE_REDIS_URL"] = redis_url
    return shell


async def proposed(redis_url: str, aggregate: str = "CHG-7") -> ApprovalRequest:
    """Put a loop that waits for an answer into the store, one refused click on its ledger."""
    async with connect(redis_url) as client:
        house = a_house(a_change(), store=RedisStore(client), ids=TimeOrderedIds())
        request = await house.propose(aggregate)
        await house.engine.answer(an_answer(request, "approve", "kim"), tenant=TENANT)
    return request


def test_a_sound_loop_file_is_ok(shell: Shell) -> None:
    """`check` says what it found and exits 0."""
    done = shell.run("check", str(LIBRARY / "infrastructure_change.yaml"))

    assert (done.returncode, done.stderr) == (0, "")
    assert "ok: infrastructure.change 1.0.0" in done.stdout


def test_a_broken_loop_file_is_told_with_file_line_code_and_suggestion(shell: Shell) -> None:
    """`check` names everything somebody needs to mend it, and exits 1."""
    broken = shell.home / "broken.yaml"
    sound = (LIBRARY / "infrastructure_change.yaml").read_text()
    broken.write_text(sound.replace("id: evidence-required", "id: evidence-require"))
    line = next(n for n, text in enumerate(broken.read_text().splitlines(), 1) if "evidence-require" in text)
    done = shell.run("check", str(broken))

    assert done.returncode == 1
    assert f"{broken}:{line}: error UNREGISTERED_GUARD" in done.stdout
    assert "did you mean 'evidence-required'?" in done.stdout


def test_check_tells_programs_too(shell: Shell) -> None:
    """With --json the same stands in fields, and the exit code is the same."""
    broken = shell.home / "broken.yaml"
    broken.write_text("id: x\n")
    done = shell.run("check", "--json", str(broken), str(LIBRARY))
    read = json.loads(done.stdout)

    assert done.returncode == 1
    assert [file["ok"] for file in read] == [False, True, True]
    assert {"line", "code", "path", "message", "severity"} <= set(read[0]["problems"][0])


@pytest.mark.parametrize("place", ["missing.yaml", "."])
def test_check_of_nothing_is_a_mistake(shell: Shell, place: str) -> None:
    """A file that is not there, or a directory without loop files, is not "ok"."""
    (shell.home / "empty").mkdir()

    assert shell.run("check", str(shell.home / "empty" / place)).returncode == 1


async def test_loops_lists_what_is_open(stored: Shell, redis_url: str) -> None:
    """A table for people, JSON for programs, by state if asked."""
    await proposed(redis_url, "CHG-7")
    table = stored.run("loops")
    read = json.loads(stored.run("loops", "--json").stdout)
    elsewhere = json.loads(stored.run("loops", "--json", "--state", "ROLLING_OUT").stdout)

    assert "CHG-7" in table.stdout
    assert "PENDING_HUMAN_APPROVAL" in table.stdout
    assert [loop["aggregateId"] for loop in read] == ["CHG-7"]
    assert elsewhere == []


async def test_names_others_chose_do_not_write_on_the_terminal(stored: Shell, redis_url: str) -> None:
    """An aggregate called like markup, or like an escape sequence, is printed as it is called."""
    await proposed(redis_url, "[/red]\x1b[2J")

    assert "[/red]\\x1b[2J" in stored.run("loops").stdout


async def test_a_ledger_is_shown_and_verified(stored: Shell, redis_url: str) -> None:
    """By aggregate or by instance, as a table or as JSON: every event, and that the chain holds."""
    request = await proposed(redis_url)
    table = stored.run("audit", "show", "CHG-7")
    events = json.loads(stored.run("audit", "show", request.instance_id, "--json").stdout)
    verified = stored.run("audit", "verify", "CHG-7")
    read = json.loads(stored.run("audit", "verify", "CHG-7", "--json").stdout)

    assert table.returncode == 0
    assert "approval.requested" in table.stdout
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "approval.decision.refused"
    assert verified.returncode == 0
    assert f"verified: {len(events)} events" in verified.stdout
    assert read["verified"] is True


def _edited(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2].replace(b"submit_analysis", b"submit_anything"), *lines[3:]]


def _dropped(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], *lines[3:]]


def _swapped(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[3], lines[2], *lines[4:]]


def _unreadable(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], b"\xffnot an event", *lines[3:]]


async def tampered(redis_url: str, tamper: Callable[[list[bytes]], list[bytes]]) -> None:
    """Put a loop into the store and change its ledger there."""
    request = await proposed(redis_url)
    with Redis.from_url(redis_url) as client:
        key = keys.LEDGER + keys.pair(TENANT, request.instance_id)
        lines: Any = client.lrange(key, 0, -1)
        client.delete(key)
        client.rpush(key, *tamper(lines))


@pytest.mark.parametrize("tamper", [_edited, _dropped, _swapped, _unreadable])
async def test_a_tampered_ledger_is_named_at_its_first_bad_event(
    stored: Shell, redis_url: str, tamper: Callable[[list[bytes]], list[bytes]]
) -> None:
    """Edited, dropped, reordered, or no event any more: exit code 1 and the sequence where it shows."""
    await tampered(redis_url, tamper)
    verified = stored.run("audit", "verify", "CHG-7")

    assert verified.returncode == 1
    assert "broken at 3: " in verified.stdout


async def test_a_tampered_ledger_is_told_to_programs_and_shown_to_people(stored: Shell, redis_url: str) -> None:
    """The same in fields; and what can be read of it is shown, with where it breaks."""
    await tampered(redis_url, _unreadable)
    read = json.loads(stored.run("audit", "verify", "CHG-7", "--json").stdout)
    shown = stored.run("audit", "show", "CHG-7")

    assert (read["verified"], read["sequence"]) == (False, 3)
    assert "loop.started" in shown.stdout
    assert "broken at 3: " in shown.stdout


async def test_a_cut_off_ledger_is_named_where_it_ends(stored: Shell, redis_url: str) -> None:
    """The end of a ledger cannot be taken away: the instance says where it is."""
    request = await proposed(redis_url)
    with Redis.from_url(redis_url) as client:
        key = keys.LEDGER + keys.pair(TENANT, request.instance_id)
        count: Any = client.llen(key)
        client.rpop(key)
    verified = stored.run("audit", "verify", "CHG-7")

    assert verified.returncode == 1
    assert f"broken at {count}: " in verified.stdout


async def test_an_instance_changed_beyond_reading_is_told(stored: Shell, redis_url: str) -> None:
    """An instance that is no instance any more is a message, not a traceback."""
    request = await proposed(redis_url)
    with Redis.from_url(redis_url) as client:
        client.hset(keys.INSTANCE + keys.pair(TENANT, request.instance_id), "b", '{"version": "many"}')
    done = stored.run("audit", "verify", request.instance_id)

    assert done.returncode == 1
    assert "cannot be read" in done.stderr


@pytest.mark.parametrize(
    ("command", "code"),
    [(["loops"], 1), (["audit", "show", "CHG-7"], 1), (["audit", "verify", "CHG-7", "--json"], 2)],
)
def test_a_store_that_is_away_is_one_message(shell: Shell, command: list[str], code: int) -> None:
    """No store: one line on standard error, nothing on standard output; a check does not exit as if it had checked."""
    done = shell.run(*command)

    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("loopgate: the store cannot answer now")
    assert "[red]" not in done.stderr


async def test_what_is_not_there_is_told(stored: Shell) -> None:
    """An aggregate nobody knows: exit code 1 and what to look at."""
    done = stored.run("audit", "show", "NOBODY-1")

    assert done.returncode == 1
    assert "there is no loop instance on 'NOBODY-1'" in done.stderr


@pytest.mark.parametrize(
    "command",
    [["serve"], ["serve", "--processes", "2"], ["work"], ["work", "--processes", "3"], ["loops"]],
)
def test_a_broken_configuration_is_one_message_for_every_command(shell: Shell, command: list[str]) -> None:
    """File, line and key, on standard error, exit code 1."""
    a_file(shell.home, lambda d: d["slack"].update(chanels={}))
    done = shell.run(*command)

    assert (done.returncode, done.stdout) == (1, "")
    assert "loopgate.yaml:" in done.stderr
    assert done.stderr.count("unknown key 'chanels'; did you mean 'channels'?") == 1


@pytest.mark.parametrize("command", ["serve", "work"])
@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"LOOPGATE_REDIS_URL": "http://example.com:1/0?password=hunter2"}, "the store's URL is not one"),
        ({"LOOPGATE_PORT": "eighty"}, "LOOPGATE_PORT: "),
        ({"LOOPGATE_CONFIG": "/nowhere/loopgate.yaml"}, "there is no /nowhere/loopgate.yaml; "),
        ({"SLACK_BOT_TOKEN": ""}, "SLACK_BOT_TOKEN is not set"),
    ],
)
def test_what_is_wrong_with_the_environment_is_one_message(
    shell: Shell, command: str, environment: dict[str, str], says: str
) -> None:
    """A bad URL, port, path or secret: exit code 1, and what to set; no secret is repeated."""
    done = shell.run(command, **environment)

    assert done.returncode == 1
    assert says in done.stderr
    assert "hunter2" not in done.stderr


def test_more_processes_than_slack_has_connections_for_are_refused(shell: Shell) -> None:
    """In Socket Mode each holds two of the ten: the message says how many there may be, and nothing is started."""
    done = shell.run("serve", "--processes", "4", LOOPGATE_SLACK_MODE="socket", LOOPGATE_PORT="0")

    assert done.returncode == 1
    assert "run at most 3" in done.stderr
    assert "begun" not in done.stderr


def test_a_secret_that_is_none_is_told_without_it(shell: Shell) -> None:
    """A webhook secret of the wrong shape stops the worker, by the integration's kind and not by its content."""
    done = shell.run("work", DEPLOYER_SECRET="whsec_c2hvcnQ=")

    assert done.returncode == 1
    assert "loopgate: integrations: " in done.stderr
    assert "c2hvcnQ" not in done.stderr


def test_a_data_directory_that_cannot_be_had_is_told(shell: Shell) -> None:
    """Without a store of its own, the embedded one needs a place; a bad one is named."""
    (shell.home / "file").write_text("")
    done = shell.run("loops", LOOPGATE_REDIS_URL="", LOOPGATE_DATA_DIR=str(shell.home / "file"))

    assert done.returncode == 1
    assert done.stderr.startswith("loopgate: ")
    assert len(done.stderr.splitlines()) == 1


def test_serve_refuses_to_start_on_a_broken_loop_file(shell: Shell) -> None:
    """Better no gateway than one with other rules than were written: file, line, code, exit 1."""
    loops = shell.home / "loops"
    loops.mkdir()
    (loops / "broken.yaml").write_text(
        "id: broken\nversion: one\ninitialState: A\nstates: [{id: A}]\ntransitions: []\n"
    )
    a_file(shell.home, lambda d: d.update(loops=["loops"]))
    done = shell.run("serve")

    assert done.returncode == 1
    assert f"{loops / 'broken.yaml'}:2: error INVALID_VERSION" in done.stderr


def test_a_seat_nobody_gave_is_a_mistake_of_usage(shell: Shell) -> None:
    """What a pool says to its processes is not for people: the message names what is."""
    done = shell.run("serve", "--seat", "front row")

    assert done.returncode == 2
    assert "--processes" in done.stderr


def test_a_queue_there_is_none_of_is_a_mistake_of_usage(shell: Shell) -> None:
    """`work --queue` takes the names there are."""
    done = shell.run("work", "--queue", "letters")

    assert done.returncode == 2
    assert "cards" in done.stderr


def test_help_needs_nothing(tmp_path: Path) -> None:
    """Without configuration, store or secrets, `--help` still says what there is."""
    done = Shell(tmp_path).run("--help")

    assert done.returncode == 0
    for command in ("demo", "serve", "work", "check", "loops", "audit"):
        assert command in done.stdout
    assert done.stdout.index("demo") < done.stdout.index("serve") < done.stdout.index("check")


def test_it_says_which_one_it_is(tmp_path: Path) -> None:
    """`--version` is what anybody who asks for help is asked first."""
    done = Shell(tmp_path).run("--version")

    assert (done.returncode, done.stdout.strip()) == (0, f"loopgate {version('loopgate')}")
