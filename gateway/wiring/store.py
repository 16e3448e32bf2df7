"""Where the store is, and what its commits must survive: as the settings say."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.configuration import ConfigurationError
from gateway.settings import Settings
from gateway.storage.addresses import with_options
from gateway.storage.durability import Durability
from gateway.storage.embedded import EmbeddedServer


@contextmanager
def store_url(settings: Settings) -> Iterator[str]:
    """
    Yield the URL of the store: the configured one, or an embedded server's that is started on demand.

    Raises:
        ConfigurationError: If the embedded server's data directory cannot be used.
        StoreUnavailable, Rejected: If the embedded server does not start.
    """
    if settings.redis_url:
        yield _configured_url(settings, settings.redis_url.get_secret_value())
        return
    server = EmbeddedServer(settings.data_dir / "store")
    try:
        url = server.start()
    except OSError as error:
        raise ConfigurationError(
            f"the store cannot keep its data in {server.data_dir}: {error.strerror or error}; set LOOPGATE_DATA_DIR to "
            "a directory of yours, or LOOPGATE_REDIS_URL to a server"
        ) from error
    try:
        yield url
    finally:
        server.stop()


def _configured_url(settings: Settings, url: str) -> str:
    """Return *url* with what the environment keeps apart from it."""
    files = {
        "ssl_ca_certs": settings.redis_ca_file,
        "ssl_certfile": settings.redis_cert_file,
        "ssl_keyfile": settings.redis_key_file,
    }
    for path in filter(None, files.values()):
        if not url.startswith("rediss"):
            raise ConfigurationError(f"{path} is for a TLS connection; begin LOOPGATE_REDIS_URL with rediss")
        if not path.is_file():
            raise ConfigurationError(f"{path} is not a file; see LOOPGATE_REDIS_CA_FILE, _CERT_FILE and _KEY_FILE")
    passwords = {"password": settings.redis_password, "sentinel_password": settings.redis_sentinel_password}
    kept_apart = {name: value.get_secret_value() for name, value in passwords.items() if value}
    return with_options(url, kept_apart | {name: str(path.absolute()) for name, path in files.items() if path})


def durability(settings: Settings) -> Durability:
    """Return where a commit must be before it is acknowledged."""
    return Durability(settings.durability, settings.replicas)
