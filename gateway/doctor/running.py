"""What runs: the store and how it keeps things, clocks, the gateway on this machine, and a worker."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import httpx2

from gateway.doctor.findings import Finding, doubtful, failing, skipped, well
from gateway.doctor.patient import Patient
from gateway.settings import Settings
from gateway.storage import health
from gateway.storage.redis_leases import RedisLeases
from gateway.storage.schema import version_of
from gateway.wiring.store import durability
from loops.errors import LoopgateError

#: How far a clock may be off. Slack signs with its own, and a delivery older than five minutes is refused.
#: Source: docs.slack.dev, authentication/verifying-requests-from-slack.
NOTABLE, TOO_FAR = timedelta(seconds=5), timedelta(seconds=60)
#: Seconds the gateway on this machine has to answer.
ANSWER_S = 2.0


async def store_keeps(patient: Patient) -> Sequence[Finding]:
    """Whether the store answers, is new enough, and keeps what is acknowledged."""
    if patient.store is None:
        return [failing("store", patient.storeless, "start `loopgate serve`, or set LOOPGATE_REDIS_URL to a server")]
    try:
        info = await health.told(patient.store)
    except LoopgateError as error:
        return [
            failing("store", f"{error}; start the server that LOOPGATE_REDIS_URL names, and see that it is reached")
        ]
    verdict, name = health.judge(info, durability(patient.settings)), health.named(info)
    found = [failing("store", f"{name}: {each}") for each in verdict.troubled]
    how = doubtful if patient.settings.unfit_store else failing
    found += [how("store", f"{name}: {each}") for each in verdict.unfit]
    found += [doubtful("store", f"{name}: {each}") for each in verdict.doubtful]
    try:
        await version_of(patient.store)
    except LoopgateError as error:
        found.append(failing("store", str(error)))
    if found:
        return found
    place = "" if patient.settings.redis_url else ", embedded: for the processes of this machine only"
    return [
        well("store", f"{name}, append-only file on{_synced(info)}, nothing evicted{_kept(patient.settings)}{place}")
    ]


async def clocks_agree(patient: Patient) -> Sequence[Finding]:
    """Whether this machine's clock agrees with Slack's and the store's."""
    found = []
    if patient.bearer is None:
        found.append(skipped("clock", "the configuration and the bot token, to compare with Slack's"))
    else:
        try:
            said_at = (await patient.bearer).said_at
        except LoopgateError:
            found.append(skipped("clock", "an answer of Slack's"))
        else:
            if said_at is None:
                found.append(doubtful("clock", "Slack's answer has no Date; see that time is synchronised"))
            else:
                # Slack's is cut to the second, and was true when it answered.
                found.append(_skew("Slack's", said_at - patient.clock.now()))
    if patient.store is not None:
        try:
            found.append(_skew("the store's", await health.clock(patient.store) - patient.clock.now()))
        except LoopgateError:
            found.append(skipped("clock", "an answer of the store's"))
    return found


async def gateway_runs(patient: Patient) -> Sequence[Finding]:
    """Whether a gateway answers on this machine and says that it is ready."""
    host = patient.settings.host
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what is listened on is read, not set
    url = f"http://{f'[{address}]' if ':' in address else address}:{patient.settings.port}/readyz"
    try:
        async with httpx2.AsyncClient(timeout=ANSWER_S, trust_env=False) as http:
            answer = await http.get(url)
    except httpx2.HTTPError:
        return [
            doubtful("gateway", f"none answers at {url}; start `loopgate serve`, unless it runs on another machine")
        ]
    if answer.status_code != 200:
        return [failing("gateway", f"{url} answers {answer.status_code}: {answer.text[:200]}; see the gateway's log")]
    return [well("gateway", f"ready at {url}")]


async def worker_lives(patient: Patient) -> Sequence[Finding]:
    """Whether some worker holds the lease that one of them always holds."""
    if patient.store is None:
        return [skipped("worker", "the store")]
    try:
        lives = await RedisLeases(patient.store).is_held("relay")
    except LoopgateError:
        return [skipped("worker", "the store")]
    if not lives:
        return [failing("worker", "none lives, so nothing that was approved is carried out; start `loopgate work`")]
    return [well("worker", "at least one lives")]


def _synced(info: Mapping[str, Any]) -> str:
    match info.get("appendfsync"):
        case "always":
            return " and synced at every commit"
        case "everysec":
            return " and synced every second, which a power cut may cost"
        case "no":
            return " and synced whenever the system likes, which a power cut may cost"
        case _:
            return ", synced nobody may ask how often"


def _kept(settings: Settings) -> str:
    durable = durability(settings)
    return f", commits {durable.mode} on {durable.needs} replicas" if durable.mode != "local" else ""


def _skew(whose: str, ahead: timedelta) -> Finding:
    off = abs(ahead)
    seconds = f"{off.total_seconds():.0f} s"
    if off > TOO_FAR:
        return failing(
            "clock", f"this machine's clock is {seconds} off {whose}; synchronise it (NTP), or deliveries are refused"
        )
    if off > NOTABLE:
        return doubtful("clock", f"this machine's clock is {seconds} off {whose}; synchronise it (NTP)")
    return well("clock", f"agrees with {whose}")
