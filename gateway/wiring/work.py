"""What a worker carries out effects with: handlers, by lanes and policies, and the archive."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import httpx2

from channels.slack.confirming import SlackConfirmer
from gateway.archiving import Archivist
from gateway.configuration import (
    AnthropicConfig,
    Configuration,
    ConfigurationError,
    HttpConfig,
    IntegrationConfig,
    ProviderConfig,
    RecordedConfig,
    RetryConfig,
    Treated,
    WebhookConfig,
    secret,
)
from gateway.integrations.http import HttpIntegration
from gateway.integrations.ports import Integration
from gateway.integrations.webhook import WebhookIntegration
from gateway.jobs.handlers import Handlers
from gateway.jobs.lanes import Gates, provider_lane
from gateway.jobs.ports import Claim, LaneRules
from gateway.jobs.queues import QUEUE_OF
from gateway.jobs.runner import Became, EffectRunner, RetryPolicy, Told
from gateway.metrics import Metrics
from gateway.wiring.parts import Parts, tenants
from gateway.wiring.slack import open_slack, slack_channel, slack_installation, slack_people
from loops.ports import Provider
from providers.recorded import SHIPPED, RecordedProvider


@asynccontextmanager
async def open_handlers(parts: Parts) -> AsyncIterator[Handlers]:
    """
    Yield what carries out effects: the channel, every provider and every integration of the configuration.

    Raises:
        ConfigurationError: If a secret is not set.
    """
    configuration = parts.configuration
    installation = slack_installation(configuration)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx2.AsyncClient())
        slack = await stack.enter_async_context(open_slack(parts))
        providers = {
            name: await stack.enter_async_context(_provider(provider))
            for name, provider in configuration.providers.items()
        }
        members, user_groups = slack_people(parts, slack)
        yield Handlers(
            engine=parts.engine,
            store=parts.store,
            effects=parts.effects,
            cards=parts.cards,
            leases=parts.leases,
            channel=slack_channel(parts, slack),
            confirmer=SlackConfirmer(parts.directory, members, user_groups, installation.team_id),
            directory=parts.directory,
            providers=providers,
            integrations={name: _integration(entry, http) for name, entry in configuration.integrations.items()},
            gates=Gates(
                parts.lanes,
                {
                    lane: LaneRules(each.concurrency, each.breaker.failures, each.breaker.pause)
                    for lane, each in lanes(configuration).items()
                },
                lease=timedelta(seconds=parts.settings.effect_lease_s),
                timeout=timedelta(seconds=parts.settings.effect_timeout_s),
            ),
        )


@asynccontextmanager
async def _provider(config: ProviderConfig) -> AsyncIterator[Provider]:
    match config:
        case RecordedConfig():
            yield _recorded(config.recording)
        case AnthropicConfig():
            # Imported here: the SDK takes a second and 40 MB, and only a configuration that names it pays.
            from anthropic import AsyncAnthropic

            from providers.anthropic import AnthropicProvider

            key = secret(config.api_key_env).get_secret_value()
            async with AsyncAnthropic(api_key=key, base_url=config.base_url) as client:
                yield AnthropicProvider(client, config.model, max_tokens=config.max_tokens, timeout_s=config.timeout_s)


def _recorded(name: str) -> RecordedProvider:
    path = SHIPPED / f"{name}.json"
    if not path.is_file():
        shipped = ", ".join(sorted(each.stem for each in SHIPPED.glob("*.json")))
        raise ConfigurationError(f"providers: there is no recording '{name}'; there are {shipped}")
    return RecordedProvider.from_file(path)


def _integration(config: IntegrationConfig, http: httpx2.AsyncClient) -> Integration:
    try:
        match config:
            case WebhookConfig():
                return WebhookIntegration(config.url, secret(config.secret_env), http, timeout_s=config.timeout_s)
            case HttpConfig():
                return HttpIntegration(
                    config.url,
                    http,
                    method=config.method,
                    allow=config.allow,
                    headers=config.headers,
                    token=secret(config.token_env) if config.token_env else None,
                    timeout_s=config.timeout_s,
                )
    except ValueError as error:
        raise ConfigurationError(f"integrations: {error}") from error


def effect_runner(parts: Parts, handlers: Handlers) -> EffectRunner:
    """Return what makes attempts at effects, by the policies of the settings and of each integration and provider."""
    settings = parts.settings
    policy = RetryPolicy(
        lease=timedelta(seconds=settings.effect_lease_s),
        timeout=timedelta(seconds=settings.effect_timeout_s),
        attempts=settings.effect_attempts,
        base=timedelta(seconds=settings.retry_base_s),
        longest=timedelta(seconds=settings.retry_longest_s),
        give_up_after=timedelta(seconds=settings.give_up_s),
    )
    own = {lane: _policy(policy, each.retry) for lane, each in lanes(parts.configuration).items()}
    return EffectRunner(parts.effects, handlers, policy, own, told=_counted(parts.metrics))


def _counted(metrics: Metrics) -> Told:
    def told(claim: Claim, became: Became, took_s: float) -> None:
        kind = claim.effect.kind
        metrics.attempts.add(QUEUE_OF[kind], kind, became)
        if became == "done":
            metrics.effect_seconds.add(claim.age.total_seconds() + took_s, QUEUE_OF[kind], kind)

    return told


def _policy(policy: RetryPolicy, retry: RetryConfig) -> RetryPolicy:
    return replace(
        policy,
        attempts=retry.attempts or policy.attempts,
        base=retry.first or policy.base,
        longest=retry.longest or max(policy.longest, retry.first or policy.base),
        give_up_after=retry.give_up_after or policy.give_up_after,
    )


def lanes(configuration: Configuration) -> Mapping[str, Treated]:
    """Return every lane there is, and how what it leads to is treated."""
    providers = {provider_lane(name): each for name, each in configuration.providers.items()}
    return {**providers, **configuration.integrations}


def archivist(parts: Parts) -> Archivist | None:
    """Return what archives closed instances; None where no archive is configured."""
    settings = parts.settings
    if settings.archive_dir is None:
        return None
    return Archivist(
        tenants(parts.configuration),
        parts.store,
        parts.checkpoints,
        parts.archives,
        parts.clock,
        directory=settings.archive_dir,
        retention=timedelta(days=settings.retention_days),
    )
