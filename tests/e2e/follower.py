"""
A program that follows a tenant's events as anybody would: `follower.py URL JOURNAL`, the token in LOOPGATE_TOKEN.

JOURNAL is all it remembers: one line for each event, its id first, appended in one write. What it is killed over is
not in there, or all of it is.
"""

import http.client
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit


def follow(url: str, journal: Path, token: str) -> None:
    """Append every event after the last one in *journal* to it, until killed."""
    last = remembered(journal)
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    connection.request(
        "GET", "/api/v1/events/stream", headers={"authorization": f"Bearer {token}", "last-event-id": last}
    )
    answer = connection.getresponse()
    if answer.status != http.client.OK:
        raise SystemExit(answer.read().decode())
    kept = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for event in events(answer):
        os.write(kept, f"{event['id']}\t{event['event']}\t{event['data']}\n".encode())


def remembered(journal: Path) -> str:
    """Return the id of the last event in *journal*, or a place before all events; cut off what is no whole line."""
    kept = journal.read_bytes() if journal.exists() else b""
    whole = kept[: kept.rfind(b"\n") + 1]
    if whole != kept:
        os.truncate(journal, len(whole))
    return whole.splitlines()[-1].partition(b"\t")[0].decode() if whole else "0-0.0"


def events(lines: http.client.HTTPResponse) -> Iterator[dict[str, str]]:
    """Yield the events of a stream. Source: html.spec.whatwg.org, "Server-sent events"."""
    event: dict[str, str] = {}
    for raw in lines:
        line = raw.decode().rstrip("\n")
        name, _, value = line.partition(": ")
        if name in {"id", "event", "data"}:
            event[name] = value
        elif not line and "data" in event:
            yield event
            event = {}


if __name__ == "__main__":
    follow(sys.argv[1], Path(sys.argv[2]), os.environ["LOOPGATE_TOKEN"])
