"""
A policy point as it stands in ``loopgate.yaml``: where external guards ask for a decision.

::

    policyPoints:
      change-policy: {url: "https://opa.example:8181/v1/data/changes/allow", timeoutS: 1, tokenEnv: OPA_TOKEN}

A guard asks the point of its own name, or the one its parameter ``point`` names.
"""

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from loops.values import Value


def checked_url(url: str) -> str:
    """Return *url*. Raises ValueError unless it is https, or http on loopback, with nothing secret in it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError("a policy point's url cannot be read; write it like https://opa.example/v1/data/x") from error
    if not host or port == 0 or parts.username is not None or parts.fragment or not url.isprintable() or " " in url:
        raise ValueError("a policy point's url has a host, and neither user:password@ nor #fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise ValueError("a policy point's url is https, or http on this machine")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class PolicyPointConfig(Value):
    """A policy point. `timeout_s` is for one question; `token_env` names the variable that holds a bearer token."""

    url: Annotated[str, AfterValidator(checked_url)]
    timeout_s: Annotated[float, Field(gt=0, le=10)] = 1.0
    token_env: Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")] | None = None
