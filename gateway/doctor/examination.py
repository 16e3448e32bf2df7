"""The examination: every check, side by side, each within its time; what breaks is a finding like another."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from gateway.doctor import running, setup, slack
from gateway.doctor.findings import Finding, failing
from gateway.doctor.patient import Patient

Check = Callable[[Patient], Awaitable[Sequence[Finding]]]

#: Seconds one check may take; all of them run at the same time.
CHECK_S = 15.0

#: Every check, under the name its findings have, in the order they are told.
EXAMINATION: tuple[tuple[str, Check], ...] = (
    ("settings", setup.settings_read),
    ("configuration", setup.configuration_read),
    ("secrets", setup.secrets_set),
    ("loops", setup.loops_fit),
    ("approvers", setup.approvers_there),
    ("token", slack.token_valid),
    ("scopes", slack.scopes_granted),
    ("channels", slack.channels_joined),
    ("user groups", slack.user_groups_readable),
    ("deliveries", slack.deliveries_arrive),
    ("clock", running.clocks_agree),
    ("store", running.store_keeps),
    ("gateway", running.gateway_runs),
    ("worker", running.worker_lives),
)


async def examine(
    patient: Patient, checks: Sequence[tuple[str, Check]] = EXAMINATION, within_s: float = CHECK_S
) -> list[Finding]:
    """Return what every check says. Raises nothing."""
    said = await asyncio.gather(*(_checked(name, check, patient, within_s) for name, check in checks))
    return [finding for findings in said for finding in findings]


async def _checked(name: str, check: Check, patient: Patient, within_s: float) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(within_s):
            return await check(patient)
    except TimeoutError:
        return [failing(name, f"no answer within {within_s:g} s; see that what it asks can be reached from here")]
    except Exception as error:
        # The type only: what a library says may hold what it was given.
        return [failing(name, f"the check itself broke ({type(error).__name__}); please report it")]
