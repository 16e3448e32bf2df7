"""Several gateway processes behind one address: who dies is replaced, and nothing that was acknowledged is lost."""

import json
import re
import secrets
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.resources import files
from io import StringIO

import httpx2
import psutil
import pytest
from patience import PATIENCE_S
from ruamel.yaml import YAML
from stack import CHANGE, PEOPLE, Stack

PROCESSES = 2


#: A guard somebody installed that blocks the event loop, the first time it judges a change called so.
HANGING = """
import time
from pathlib import Path
from loops.guards import Guard, NoParameters

async def judge(context, _):
    hung = Path(__file__).with_name("hung")
    if context.instance.aggregate_id == "HANG-1" and not hung.exists():
        hung.touch()
        time.sleep(600)

hanging = Guard(NoParameters, judge, "module")
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose gateway is several processes, and whose approvals pass a guard that may hang."""
    site = tmp_path_factory.mktemp("site")
    (site / "hanging.py").write_text(HANGING)
    (site / "hanging-1.dist-info").mkdir()
    (site / "hanging-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: hanging\nVersion: 1\n")
    (site / "hanging-1.dist-info" / "entry_points.txt").write_text("[loopgate.guards]\nhanging = hanging:hanging\n")
    loop = YAML().load((files("loops") / "library" / "infrastructure_change.yaml").read_text())
    approve = next(each for each in loop["transitions"] if each["id"] == "approve")
    approve["guards"].append({"id": "hanging", "severity": "hard", "evaluatedBy": "module"})
    written = StringIO()
    YAML().dump(loop, written)
    with Stack(
        tmp_path_factory.mktemp("processes"),
        loops={"change.yaml": written.getvalue()},
        LOOPGATE_SERVE_PROCESSES=str(PROCESSES),
        LOOPGATE_WORKER_STUCK_S="12",
        PYTHONPATH=str(site),
    ) as stack:
        all_up(stack)
        yield stack


def scraped(stack: Stack) -> str:
    """Return the metrics of whichever process answers."""
    return httpx2.get(f"{stack.gateway()}/metrics", timeout=PATIENCE_S).text


def all_up(stack: Stack, *, but: int = 0) -> dict[int, float]:
    """Wait until every process accepts connections, none of them the process *but*; return when each started."""

    def started() -> dict[int, float] | None:
        told = scraped(stack)
        pids = [each.pid for each in psutil.Process(stack.gateways[-1].pid).children()]
        found = re.findall(r'^process_start_time_seconds\{process="(\d)"\} (\S+)', told, re.MULTILINE)
        accepting = re.findall(r'^loopgate_http_connections\{process="(\d)"\}', told, re.MULTILINE)
        is_whole = len(found) == len(accepting) == len(pids) == PROCESSES and but not in pids
        return {int(place): float(at) for place, at in found} if is_whole else None

    return stack.until(started, "every gateway process to be up")


def delivered(stack: Stack) -> float:
    """Return how many webhooks were taken, as told by whichever process answers."""
    found = re.search(r'^loopgate_deliveries_total\{source="ci",status="202"\} (\S+)', scraped(stack), re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_a_process_killed_while_requests_flow_loses_nothing_acknowledged(many: Stack) -> None:
    """kill -9 of one of two: no connection is refused, what was answered 202 is there, and no counter goes back."""
    acknowledged: set[str] = set()
    became: Counter[str] = Counter()
    stop, before = threading.Event(), delivered(many)

    def propose(caller: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            change = f"KILL-{caller}-{number}"
            body = json.dumps({"type": "change.proposed", "data": {**CHANGE, "changeId": change, "requestedBy": "lee"}})
            headers = many.signed(body, f"msg_{secrets.token_hex(8)}", datetime.now(UTC))
            try:
                url = f"{many.gateway()}/webhooks/ci"
                answer = httpx2.post(url, content=body.encode(), headers=headers, timeout=PATIENCE_S)
            except httpx2.TransportError as error:
                became[type(error).__name__] += 1
                continue
            became[str(answer.status_code)] += 1
            if answer.status_code == 202:
                acknowledged.add(change)

    with ThreadPoolExecutor(4) as pool:
        callers = [pool.submit(propose, caller) for caller in range(4)]
        many.until(lambda: len(acknowledged) > 8, "webhooks to be taken")
        seen = [delivered(many)]
        victim = psutil.Process(many.gateways[-1].pid).children()[0]
        started = all_up(many)
        victim.kill()
        at_kill = len(acknowledged)
        many.until(lambda: seen.append(delivered(many)) or len(acknowledged) > at_kill + 8, "the other one to go on")
        again = all_up(many, but=victim.pid)
        seen.append(delivered(many))
        stop.set()
        for each in callers:
            each.result()
    seen.append(delivered(many))

    assert "ConnectError" not in became, became
    assert set(became) <= {"202", "ReadError", "RemoteProtocolError"}, became
    assert len({*started.items()} & {*again.items()}) == PROCESSES - 1
    assert seen == sorted(seen)
    assert len(acknowledged) <= seen[-1] - before <= became.total()
    for change in acknowledged:
        many.audited(change)


def test_a_process_that_is_stuck_is_replaced(many: Stack) -> None:
    """A click that blocks the event loop costs its process, and nobody else's click: the next one decides."""
    card, other = many.propose("HANG-1"), many.propose("SOUND-1")
    lost = many.click(card, "Approve", "dana")
    # Slack may have kept a connection to the stuck one; what it sends again comes over another.
    taken = [many.click(other, "Approve", "dana") for _ in range(2)]
    many.until(lambda: '"code": 1' in _ends(many), "the stuck process to end")
    all_up(many)
    again = many.click(card, "Approve", "dana")
    many.card("HANG-1", saying="Approved and executed")

    assert lost["status"] != 200
    assert 200 in {each["status"] for each in taken}
    assert again["status"] == 200
    assert [e["type"] for e in many.audited("HANG-1")].count("approval.decision.recorded") == 1


def _ends(stack: Stack) -> str:
    return "\n".join(line for line in stack.gateways[-1].tail().splitlines() if "gateway.ended" in line)


def test_people_are_asked_about_by_one_process(many: Stack) -> None:
    """What Slack says of them is kept for all: one process asks, another when that one has died, and nobody else."""
    log = (many.home / "gateway0.log").read_text()
    left = log.count("gateway.begun") - PROCESSES + log.count("chore.left_off")
    times = log.count("chore.begun")
    asked = re.search(r'^loopgate_slack_calls_total\{.*method="users.info"\} (\S+)', scraped(many), re.MULTILINE)

    assert asked
    assert 1 <= times <= 1 + left
    assert len(PEOPLE) <= float(asked[1]) <= len(PEOPLE) * times


def test_open_requests_are_answered_before_the_processes_end(many: Stack) -> None:
    """SIGTERM: what was begun is taken and answered; who comes after it is refused at once, not left waiting."""
    body = json.dumps({"type": "change.proposed", "data": {**CHANGE, "changeId": "DRAIN-1", "requestedBy": "lee"}})
    headers = many.signed(body, f"msg_{secrets.token_hex(8)}", datetime.now(UTC)) | {"content-length": str(len(body))}
    # Whoever waits for leave to send the body knows, once it is given, that somebody has begun to take the request.
    headers["expect"] = "100-continue"
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    address = ("127.0.0.1", many.gateway_ports[0])
    pool = psutil.Process(many.gateways[-1].pid)
    children = pool.children()
    with socket.create_connection(address, timeout=PATIENCE_S) as connection:
        connection.sendall(f"POST /webhooks/ci HTTP/1.1\r\nhost: x\r\n{head}\r\n".encode())
        begun = connection.recv(65_536)
        connection.sendall(body[:20].encode())
        pool.terminate()
        many.until(lambda: _is_refused(address), "nobody to listen any more")
        connection.sendall(body[20:].encode())
        answer = connection.recv(65_536)
    code = pool.wait(timeout=PATIENCE_S)
    gone, left = psutil.wait_procs(children, timeout=PATIENCE_S)

    assert begun == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.startswith(b"HTTP/1.1 202")
    assert code == 0
    assert (len(gone), left) == (PROCESSES, [])
    assert "killed" not in many.gateways[-1].tail()
    assert many.audited("DRAIN-1")


def _is_refused(address: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(address) != 0
