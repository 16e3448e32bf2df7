"""Sources: those of the configuration, with their secrets in place."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.intake.config import KEY_PART, SourceConfig
from gateway.intake.verify import Verifier, open_verifier
from loops.errors import LoopgateError


class UnusableSource(LoopgateError):  # noqa: N818 - the state it reports
    """A source cannot be opened; the message names it, and what to set."""


@dataclass(frozen=True, slots=True)
class Source:
    """A configured source with its secrets in place."""

    name: str
    config: SourceConfig
    verifier: Verifier


def open_sources(configs: Mapping[str, SourceConfig], environ: Mapping[str, str]) -> dict[str, Source]:
    """
    Return the sources of *configs* by name, their secrets read from *environ*.

    Raises:
        UnusableSource: If a secret is not set or not one, or a name has other characters than letters, digits, ``._-``.
    """
    return {name: _open(name, config, environ) for name, config in configs.items()}


def _open(name: str, config: SourceConfig, environ: Mapping[str, str]) -> Source:
    if not KEY_PART.fullmatch(name):
        raise UnusableSource(f"sources.{name}: a source's name has letters, digits, '.', '_' and '-' only")
    secrets = []
    for variable in config.secret_names():
        value = environ.get(variable)
        if not value:
            raise UnusableSource(f"sources.{name}: the environment variable {variable} is not set")
        try:
            open_verifier(config.verifier, [value], config.tolerance_s)
        except ValueError as error:
            raise UnusableSource(f"sources.{name}: {variable}: {error}") from error
        secrets.append(value)
    return Source(name, config, open_verifier(config.verifier, secrets, config.tolerance_s))
