"""
A policy point as it stands in ``loopgate.yaml``: where external guards ask for a decision.

::

    policyPoints:
      change-policy: {url: "https://opa.example:8181/v1/data/changes/allow", timeoutS: 1, tokenEnv: OPA_TOKEN}

A guard asks the point of its own name, or the one its parameter ``point`` names.
"""

from typing import Annotated

from pydantic import AfterValidator, Field

from gateway.outgoing import checked_url
from loops.values import Value


def _an_address(url: str) -> str:
    checked_url(url, "a policy point's url")
    return url


class PolicyPointConfig(Value):
    """A policy point. `timeout_s` is for one question; `token_env` names the variable that holds a bearer token."""

    url: Annotated[str, AfterValidator(_an_address)]
    timeout_s: Annotated[float, Field(gt=0, le=10)] = 1.0
    token_env: Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")] | None = None
