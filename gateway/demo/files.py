"""What the demo's parts are configured with: a `loopgate.yaml` without secrets, and secrets that are in no file."""

import json
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Any

from channels.slack.manifest import SCOPES
from gateway.demo import cast
from gateway.standard_webhooks import new_secret

#: Claude's model where LOOPGATE_DEMO_MODEL names none: quick and thorough enough to assess a change while you look.
#: Source: the model names of the anthropic SDK, 2.12.
DEFAULT_MODEL = "claude-sonnet-5-5"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the parts listen, as URLs without a slash at the end."""

    gateway: str
    sandbox: str
    stage: str


@dataclass(frozen=True, slots=True)
class Secrets:
    """Fresh secrets of one run."""

    bot_token: str
    signing_secret: str
    ci: str
    deployer: str
    erp: str


def fresh_secrets() -> Secrets:
    """Return secrets nobody has seen."""
    return Secrets(
        bot_token=f"xoxb-{secrets.token_hex(24)}",
        signing_secret=secrets.token_hex(16),
        ci=new_secret(),
        deployer=new_secret(),
        erp=new_secret(),
    )


def free_ports(count: int) -> list[int]:
    """Return *count* different ports of loopback that nobody listens on at this moment."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [holder.getsockname()[1] for holder in held]
    for holder in held:
        holder.close()
    return ports


def loopgate_yaml(addresses: Addresses, model: str | None) -> str:
    """Return the configuration file; Claude's *model* assesses, or recordings do where it is None."""
    people = "\n".join(_person(member) for member in cast.MEMBERS if member.person)
    template = Template((files("gateway.demo") / "loopgate.yaml").read_text(encoding="utf-8"))
    return template.substitute(
        team=cast.TEAM,
        app=cast.APP,
        bot_user=cast.BOT_USER,
        sandbox=addresses.sandbox,
        stage=addresses.stage,
        sre_approvals=cast.SRE_APPROVALS.slack,
        finance_approvals=cast.FINANCE_APPROVALS.slack,
        general=cast.GENERAL.slack,
        people=people,
        analyst=_provider("demo_changes", model),
        reviewer=_provider("demo_purchases", model),
    )


def sandbox_config(addresses: Addresses, known: Secrets) -> dict[str, Any]:
    """Return the sandbox's configuration. It holds secrets: it goes through a pipe, never into a file."""
    return {
        "team": {"id": cast.TEAM, "name": cast.TEAM_NAME, "domain": "harbour-shop"},
        "app": {
            "app_id": cast.APP,
            "name": "Loopgate",
            "bot_token": known.bot_token,
            "signing_secret": known.signing_secret,
            "bot_user": {"id": cast.BOT_USER, "name": "Loopgate"},
            "request_url": f"{addresses.gateway}/slack/events",
            "scopes": list(SCOPES),
            "commands": [
                {"command": "/loops", "description": "What waits for a human", "usage_hint": "pending | show ID | help"}
            ],
        },
        "channels": [
            {"id": room.slack, "name": room.name, "topic": room.topic, "members": [*room.members, cast.BOT_USER]}
            for room in cast.ROOMS
        ],
        "users": [
            {
                "id": member.slack,
                "name": member.name.split()[0].lower(),
                "real_name": member.name,
                "title": member.title,
                "color": member.color,
            }
            for member in cast.MEMBERS
        ],
        "usergroups": [
            {
                "id": f"S0{group.upper()}",
                "handle": group,
                "name": group.upper() if group == "sre" else group.capitalize(),
                "users": [member.slack for member in cast.MEMBERS if group in member.groups],
            }
            for group in ("sre", "finance")
        ],
    }


def gateway_environment(known: Secrets) -> Mapping[str, str]:
    """Return the secrets under the names that the configuration file gives them."""
    return {
        "SLACK_BOT_TOKEN": known.bot_token,
        "SLACK_SIGNING_SECRET": known.signing_secret,
        "CI_SECRET": known.ci,
        "DEPLOYER_SECRET": known.deployer,
        "ERP_SECRET": known.erp,
    }


def _person(member: cast.Member) -> str:
    entry = {"id": member.person, "name": member.name, "slack": member.slack, "groups": list(member.groups)}
    # JSON is YAML, and quotes whatever needs it.
    return f"  - {json.dumps(entry, ensure_ascii=False)}"


def _provider(recording: str, model: str | None) -> str:
    entry = {"kind": "anthropic", "model": model} if model else {"kind": "recorded", "recording": recording}
    return json.dumps(entry)
