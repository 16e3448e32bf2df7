"""`loopgate demo` as people run it: the story told by itself, the page, and nothing left behind however it ends."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from patience import PATIENCE_S

pytestmark = pytest.mark.e2e

#: What a person would call the demo's processes, by a word of their command lines.
PARTS = ("slack_sandbox", "serve", "work", "gateway.demo.stage", "janitor", "valkey-server")


def the_command(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("loopgate")), "demo", *arguments]


def the_environment() -> dict[str, str]:
    """The environment of somebody without a key, but with a Loopgate of their own that must stay out of this."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "LOOPGATE_"))}
    return {**kept, "LOOPGATE_REDIS_URL": "redis://127.0.0.1:1/0", "LOOPGATE_CONFIG": "/nowhere/loopgate.yaml"}


def run_to_end(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a demo that ends by itself."""
    return subprocess.run(
        the_command(*arguments),
        env=the_environment(),
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
    )


class RunningDemo:
    """An interactive demo whose output is read as it comes."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            the_command(*arguments),
            env=the_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        self.lines: list[str] = []
        self._grew = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.family: list[psutil.Process] = []

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                with self._grew:
                    self.lines.append(line)
                    self._grew.notify_all()

    def await_line(self, pattern: str) -> re.Match[str]:
        """Return the first match of *pattern* in the output, waiting for it."""

        def found() -> re.Match[str] | None:
            return next((match for line in self.lines if (match := re.search(pattern, line))), None)

        with self._grew:
            if not self._grew.wait_for(lambda: found() is not None, PATIENCE_S):
                pytest.fail(f"no {pattern!r} in the output:\n{self.output}")
        match = found()
        assert match is not None
        return match

    def await_ready(self) -> str:
        """Return the page's address once the demo says it, and remember every process there is."""
        url = self.await_line(r"Open (http://127\.0\.0\.1:\d+)")[1]
        me = psutil.Process(self.process.pid)
        self.family = [me, *me.children(recursive=True)]
        return url

    def part(self, word: str) -> psutil.Process:
        """Return the process with *word* on its command line."""
        return next(process for process in self.family if word in process.cmdline())

    @property
    def home(self) -> Path:
        """The demo's directory."""
        return Path(self.await_line(r"logs: (\S+)")[1]).parent

    @property
    def output(self) -> str:
        """What it has printed."""
        return "".join(self.lines)

    def await_exit(self) -> int:
        """Return the exit code, with all output read."""
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code

    def end(self) -> None:
        """Stop it in order, or failing that, kill whatever of it is left."""
        if self.process.poll() is None:
            self.process.terminate()
        for process in psutil.wait_procs(self.family, timeout=PATIENCE_S)[1]:
            process.kill()
        self.await_exit()

    def survivors(self) -> list[str]:
        """Return the command lines of processes that do not end."""
        _, alive = psutil.wait_procs(self.family, timeout=PATIENCE_S)
        return [" ".join(process.cmdline()) for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def demo() -> Iterator[RunningDemo]:
    """An interactive demo, started and ready."""
    running = RunningDemo()
    try:
        running.await_ready()
        yield running
    finally:
        running.end()


@pytest.fixture(scope="module")
def shared() -> Iterator[RunningDemo]:
    """A demo for the tests that only look at it."""
    running = RunningDemo()
    try:
        running.await_ready()
        yield running
    finally:
        running.end()


def await_ledger(url: str, *fragments: str) -> str:
    """Return the first ledger the page is told of that has every one of *fragments* in its JSON."""
    told: list[str] = []
    with httpx2.stream("GET", f"{url}/ledger", timeout=PATIENCE_S, trust_env=False) as response:
        lines = response.iter_lines()
        for line in lines:
            if line == "event: ledger":
                told.append(next(lines).removeprefix("data: "))
                if all(fragment in told[-1] for fragment in fragments):
                    return told[-1]
    pytest.fail(f"no ledger with {fragments}; there were {told}")


def test_scripted_demo_tells_the_whole_story() -> None:
    """`loopgate demo --scripted` exits 0 only after every step of the story, in order, and a verified ledger."""
    told = run_to_end("--scripted")

    assert told.returncode == 0, told.stdout + told.stderr
    steps = re.findall(r"^✓ (forgery|started|submission|card posted|refused|approved|called once|completed|replayed|"
                       r"learning|verified)\b", told.stdout, re.MULTILINE)  # fmt: skip
    assert steps == [
        "forgery",
        "started",
        "submission",
        "card posted",
        "refused",
        "refused",
        "approved",
        "called once",
        "completed",
        "replayed",
        "learning",
        "verified",
    ]
    assert re.search(r"✓ approved +by Dana Ops in Slack", told.stdout)
    assert len(re.findall(r"approval\.decision\.recorded +Dana Ops \(human\)", told.stdout)) == 1
    assert "unmapped_identity" in told.stdout
    assert "self_approval" in told.stdout
    assert told.stderr == ""


def test_page_and_a_first_card_are_there_when_the_demo_says_so(shared: RunningDemo) -> None:
    """Once the address is printed, the page answers and the ledger shows a change that waits for a person."""
    url = shared.await_ready()

    page = httpx2.get(url, trust_env=False, timeout=PATIENCE_S)
    assert page.status_code == 200
    assert "What the systems see" in page.text
    assert await_ledger(url, '"waitsFor": "1 of sre"', "approval.card.posted", '"verified": true')
    assert "a first card waits in #sre-approvals" in shared.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopped_demo_leaves_nothing_behind(demo: RunningDemo, number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and a closed terminal end every process, remove the files and exit with 0."""
    home = demo.home
    words = [" ".join(process.cmdline()) for process in demo.family]
    assert all(any(part in line for line in words) for part in PARTS), words
    demo.process.send_signal(number)
    code = demo.await_exit()

    assert code == 0, demo.output
    assert demo.survivors() == []
    assert not home.exists()
    assert "Traceback" not in demo.output


def test_open_page_does_not_hold_the_demo_up(demo: RunningDemo) -> None:
    """A browser that follows the ledger sees its stream end, and the demo stops in time all the same."""
    url = demo.await_ready()
    with httpx2.stream("GET", f"{url}/ledger", timeout=PATIENCE_S, trust_env=False) as response:
        chunks = response.iter_raw()
        assert next(chunks)
        demo.process.send_signal(signal.SIGINT)
        assert demo.await_exit() == 0
        for _ in chunks:
            pass

    assert demo.survivors() == []


def test_parts_do_not_outlive_a_killed_demo(demo: RunningDemo) -> None:
    """Even after kill -9 of the supervisor every part ends by itself, the store too, and the files go."""
    home = demo.home
    demo.process.kill()
    demo.process.wait(PATIENCE_S)

    assert demo.survivors() == []
    assert not home.exists()


@pytest.mark.parametrize(("word", "name"), [("serve", "Gateway"), ("channels.slack_sandbox", "Slack")])
def test_part_that_dies_is_named_and_ends_the_demo(demo: RunningDemo, word: str, name: str) -> None:
    """When a part dies the demo says which one, shows its log, stops the others and exits with 1."""
    demo.part(word).kill()
    code = demo.await_exit()

    assert code == 1
    assert f"{name} ended (killed by signal 9); its log ends:" in demo.output
    assert demo.survivors() == []
    assert "Traceback" not in demo.output


def test_secrets_are_in_no_file(shared: RunningDemo) -> None:
    """No secret of a running demo is on disk or on a command line; parts get them through environment and pipes."""
    environment = shared.part("serve").environ()
    secrets = [environment[name] for name in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "CI_SECRET", "ERP_SECRET")]
    contents = [path.read_bytes() for path in shared.home.rglob("*") if path.is_file()]
    contents += [" ".join(process.cmdline()).encode() for process in shared.family]

    assert len(contents) > len(PARTS)
    assert all(len(secret) >= 32 for secret in secrets)
    assert not [secret for secret in secrets for content in contents if secret.encode() in content]


def test_other_sites_cannot_propose(shared: RunningDemo) -> None:
    """A page of another site can neither rebind its name to the demo nor send a proposal a browser lets it send."""
    url = httpx2.URL(shared.await_ready())
    plain = httpx2.post(
        f"{url}/propose", content='{"scenario": "scale"}', headers={"content-type": "text/plain"}, timeout=PATIENCE_S
    )
    connection = http.client.HTTPConnection("127.0.0.1", url.port, timeout=PATIENCE_S)
    connection.request("GET", "/page.json", headers={"Host": f"evil.example:{url.port}"})
    rebound = connection.getresponse().status
    connection.close()

    assert plain.status_code == 415
    assert rebound == 400


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b"[]", 422), (b'{"scenario": "none"}', 422), (b'{"scenario": {"a": 1}}', 422)]
)
def test_unknown_proposals_are_refused_in_words(shared: RunningDemo, body: bytes, status: int) -> None:
    """What is not one of the scenarios gets a 4xx with an error, never a traceback."""
    url = shared.await_ready()
    answer = httpx2.post(
        f"{url}/propose",
        content=body,
        headers={"content-type": "application/json"},
        trust_env=False,
        timeout=PATIENCE_S,
    )

    assert answer.status_code == status
    error: dict[str, Any] = answer.json()
    assert error["error"]


def test_port_in_use_is_said_in_words() -> None:
    """A port somebody else has is named, with what to do, before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        answer = run_to_end("--port", str(port))

    assert answer.returncode == 1
    assert f"port {port} cannot be used" in answer.stdout
    assert "--port" in answer.stdout
    assert "Traceback" not in answer.stdout + answer.stderr
