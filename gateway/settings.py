"""Settings: what the environment says, read once. What people, loops and systems there are is in `loopgate.yaml`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

#: Where a commit must be before it is acknowledged. `gateway.storage.durability` says what each means.
DurabilityMode = Literal["local", "replicated", "synced"]

#: How Slack's deliveries come in.
SlackMode = Literal["http", "socket"]


class Settings(BaseSettings):
    """One process's settings, from `LOOPGATE_*` variables. Spans are seconds."""

    model_config = SettingsConfigDict(env_prefix="LOOPGATE_", frozen=True, extra="ignore")

    config: Path = Field(default=Path("loopgate.yaml"), description="the configuration file")
    data_dir: Path = Field(default=Path(".loopgate"), description="where the embedded server keeps its data")
    redis_url: SecretStr | None = Field(
        default=None, description="a Redis >= 7.0 or Valkey >= 7.2; without it an embedded server is started"
    )
    redis_password: SecretStr | None = Field(default=None, description="the server's password, unless in the URL")
    redis_sentinel_password: SecretStr | None = Field(default=None, description="the sentinels' own password")
    redis_ca_file: Path | None = Field(default=None, description="the authority that the server's certificate is from")
    redis_cert_file: Path | None = Field(default=None, description="the certificate to show the server")
    redis_key_file: Path | None = Field(default=None, description="its key")
    durability: DurabilityMode = Field(default="local", description="where a commit must be before it is acknowledged")
    replicas: Annotated[int, Field(ge=0, le=16)] = Field(
        default=1, description="how many replicas must have a commit that is not only `local`"
    )
    unfit_store: bool = Field(
        default=False, description="work on a store that is set up so that it loses what was acknowledged"
    )
    host: str = Field(default="127.0.0.1", description="where `serve` listens")
    port: Annotated[int, Field(ge=0, le=65_535)] = 8_080
    serve_processes: Annotated[int, Field(ge=1, le=64)] | None = Field(
        default=None, description="gateway processes behind that address, watched; without it `serve` is the one"
    )
    slack_mode: SlackMode = Field(
        default="http", description="how Slack delivers: to the request URL, or over connections that `serve` opens"
    )
    log_format: Literal["console", "json"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    effect_lease_s: Annotated[float, Field(ge=0.2, le=600)] = Field(
        default=6.0, description="how long a claim on an effect outlives its worker; renewed while it lives"
    )
    effect_grace_s: Annotated[float, Field(ge=0.2, le=600)] = Field(
        default=5.0, description="how long an effect may wait in a queue before the sweep queues it again"
    )
    effect_timeout_s: Annotated[float, Field(ge=1, le=3_600)] = Field(
        default=120.0, description="how long one attempt at an effect may take"
    )
    effect_attempts: Annotated[int, Field(ge=1, le=100)] = Field(
        default=8, description="attempts before an effect is given up"
    )
    effect_concurrency: Annotated[int, Field(ge=1, le=64)] = Field(
        default=8, description="effects of each queue that one worker carries out at a time"
    )
    max_backlog: Annotated[int, Field(ge=0, le=100_000_000)] = Field(
        default=10_000, description="effects that may wait before new work is told to come again; 0 for any number"
    )
    worker_memory_mb: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=512, description="resident memory over which a process of a pool is replaced; 0 for any"
    )
    worker_host: str = Field(default="127.0.0.1", description="where `work` answers probes")
    worker_port: Annotated[int | None, Field(ge=0, le=65_535)] = Field(
        default=None, description="the port on which `work` answers probes; without it on none"
    )
    worker_stuck_s: Annotated[float, Field(ge=1, le=3_600)] = Field(
        default=30.0, description="how long the event loop of a watched process may stand still before it ends itself"
    )
    retry_base_s: Annotated[float, Field(ge=0.01, le=60)] = Field(
        default=1.0, description="the first back-off; it doubles with every attempt"
    )
    retry_longest_s: Annotated[float, Field(ge=0.01, le=86_400)] = Field(
        default=300.0, description="the longest back-off of our own choosing"
    )
    give_up_s: Annotated[float, Field(ge=1, le=31_622_400)] = Field(
        default=86_400.0, description="how long an effect is tried at all"
    )
    sweep_every_s: Annotated[float, Field(ge=0.05, le=60)] = Field(default=0.5, description="pause between sweeps")
    seal_every_s: Annotated[float, Field(ge=0.1, le=86_400)] = Field(
        default=600.0, description="pause between checkpoints, which seal the ledgers that moved"
    )
    archive_dir: Path | None = Field(default=None, description="where closed instances go; without it none does")
    retention_days: Annotated[float, Field(ge=0, le=36_500)] = Field(
        default=90.0, description="how long a closed instance stays in the store before it is archived"
    )
    archive_every_s: Annotated[float, Field(ge=0.1, le=86_400)] = Field(
        default=3_600.0, description="pause between rounds of archiving"
    )
    api_key_limit: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=600, description="requests a minute of an API key that has no limit of its own"
    )
    api_tenant_limit: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        default=6_000, description="requests a minute of all API keys of a tenant together"
    )
