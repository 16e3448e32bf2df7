"""The workspace: token, scopes, channels and user groups, and whether deliveries come in."""

import asyncio
from collections.abc import Sequence

from channels.slack import examining
from channels.slack.asgi import PATH
from channels.slack.manifest import SCOPES
from gateway.configuration import ConfigurationError, SlackConfig, secret
from gateway.doctor.findings import Finding, doubtful, failing, skipped, well
from gateway.doctor.patient import Patient
from loops.errors import LoopgateError

#: What checks that ask Slack need.
_NEEDS = "the configuration and the bot token"
_REINSTALL = (
    "print the manifest again (loopgate slack manifest), paste it into the app's settings and reinstall the app"
)


async def token_valid(patient: Patient) -> Sequence[Finding]:
    """Whether Slack knows the token, and it is of the configured workspace and app."""
    if patient.configuration is None or patient.slack is None or patient.bearer is None:
        return [skipped("token", _NEEDS)]
    known = patient.configuration.slack
    try:
        bearer = await asyncio.shield(patient.bearer)
        app = await examining.app_of_bot(patient.slack, bearer.bot_id)
    except LoopgateError as error:
        return [failing("token", str(error))]
    compared = (
        ("workspace", "slack.team", known.team, bearer.team_id),
        ("app", "slack.app", known.app, app),
        ("bot user", "slack.botUser", known.bot_user or bearer.user_id, bearer.user_id),
    )
    wrong = [
        failing("token", f"the token's {what} is {is_}, {key} says {said}; set {key} to {is_}, or another token")
        for what, key, said, is_ in compared
        if said != is_
    ]
    if wrong:
        return wrong
    return [well("token", f"workspace {bearer.team_name} ({bearer.team_id}), app {app}, bot user {bearer.user_id}")]


async def scopes_granted(patient: Patient) -> Sequence[Finding]:
    """Whether the token may do what the manifest asks for."""
    if patient.bearer is None:
        return [skipped("scopes", _NEEDS)]
    try:
        granted = (await asyncio.shield(patient.bearer)).scopes
    except LoopgateError:
        return [skipped("scopes", "a valid token")]
    if granted is None:
        return [doubtful("scopes", f"Slack does not say what the token may; if something is refused, {_REINSTALL}")]
    missing = [f"{scope} ({why})" for scope, why in SCOPES.items() if scope not in granted]
    if missing:
        return [failing("scopes", f"missing: {', '.join(missing)}; {_REINSTALL}")]
    spare = sorted(granted - SCOPES.keys())
    if spare:
        return [doubtful("scopes", f"more than Loopgate uses: {', '.join(spare)}; {_REINSTALL}")]
    return [well("scopes", f"all {len(SCOPES)} granted")]


async def channels_joined(patient: Patient) -> Sequence[Finding]:
    """Whether every channel that loops ask in exists, and the app is in it."""
    if patient.configuration is None or patient.slack is None:
        return [skipped("channels", _NEEDS)]
    found: list[Finding] = []
    routes = patient.configuration.slack.channels
    for route, channel_id in routes.items():
        try:
            place = await examining.place(patient.slack, channel_id)
        except LoopgateError as error:
            # What keeps Slack from telling about one keeps it from telling about all.
            return [*found, failing("channels", f"{route}: {error}")]
        if place is None:
            trouble = (
                f"the app sees no channel {channel_id}; check the id, and invite the app if the channel is private"
            )
        elif place.is_archived:
            trouble = f"#{place.name} is archived; unarchive it, or route to another channel"
        elif not place.is_member:
            trouble = f"the app is not in #{place.name}; write /invite @Loopgate there"
        else:
            continue
        found.append(failing("channels", f"{route}: {trouble}"))
    return found or [well("channels", f"joined: {', '.join(routes) or 'none is configured'}")]


async def user_groups_readable(patient: Patient) -> Sequence[Finding]:
    """Whether Slack tells about user groups, and those the configuration names are there, with somebody in them."""
    if patient.configuration is None or patient.slack is None:
        return [skipped("user groups", _NEEDS)]
    try:
        groups = await examining.user_groups(patient.slack)
    except LoopgateError as error:
        return [failing("user groups", str(error))]
    found = []
    for name, group in patient.configuration.groups.items():
        there = groups.get(group.slack_user_group)
        if there is None:
            trouble = f"'{name}' is {group.slack_user_group}, which is no user group in use; set the id of one that is"
            found.append(failing("user groups", trouble))
        elif not there.users:
            trouble = f"'{name}' is @{there.handle}, and nobody is in it; add those who may approve"
            found.append(failing("user groups", trouble))
    readable = ", ".join(f"@{each.handle}" for each in groups.values())
    return found or [well("user groups", f"readable: {readable or 'there is none'}")]


async def deliveries_arrive(patient: Patient) -> Sequence[Finding]:
    """Whether Slack's deliveries get in: a signed request through the public address, or a Socket Mode address."""
    if patient.configuration is None:
        return [skipped("deliveries", "the configuration")]
    slack = patient.configuration.slack
    if patient.settings.slack_mode == "socket":
        return [await _socket_opens(patient, slack)]
    return [await _request_url_answers(patient, slack)]


async def _socket_opens(patient: Patient, slack: SlackConfig) -> Finding:
    try:
        token = secret(slack.app_token_env, patient.environ).get_secret_value()
    except ConfigurationError:
        return skipped("deliveries", f"the app-level token in {slack.app_token_env}")
    if patient.slack is None:
        return skipped("deliveries", _NEEDS)
    try:
        await examining.open_socket_url(patient.slack, token)
    except LoopgateError as error:
        return failing("deliveries", str(error))
    return well("deliveries", "Slack opens Socket Mode connections for the app-level token")


async def _request_url_answers(patient: Patient, slack: SlackConfig) -> Finding:
    if slack.public_url is None:
        return doubtful(
            "deliveries",
            "whether Slack reaches this gateway cannot be seen; set slack.publicUrl to the https address of the app's "
            "manifest, or connect by LOOPGATE_SLACK_MODE=socket",
        )
    try:
        signing_secret = secret(slack.signing_secret_env, patient.environ).get_secret_value()
    except ConfigurationError:
        return skipped("deliveries", f"the signing secret in {slack.signing_secret_env}")
    url = slack.public_url.rstrip("/") + PATH
    try:
        await examining.verify_request_url(url, signing_secret, patient.clock.now())
    except LoopgateError as error:
        return failing("deliveries", str(error))
    return well("deliveries", f"{url} answers what is signed, and refuses what is not")
