"""A store behind TLS: its certificate is checked, and ours shown, by every client of a process."""

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.configuration import ConfigurationError
from gateway.settings import Settings
from gateway.storage.connect import connect, connect_sync
from gateway.storage.embedded import EmbeddedServer
from gateway.storage.redis_store import RedisStore
from gateway.wiring.store import store_url
from loops.errors import StoreUnavailable

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make certificates")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a certificate of it for 127.0.0.1, and another authority, each with its key."""
    home = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=home, check=True, capture_output=True)

    for name in ("ca", "other"):
        openssl(
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            f"/CN={name}",
            "-addext",
            "keyUsage=critical,keyCertSign",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.pem",
        )
    openssl(
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=store",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        "own.key",
        "-out",
        "own.csr",
    )
    openssl(
        "x509",
        "-req",
        "-in",
        "own.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-days",
        "2",
        "-copy_extensions",
        "copy",
        "-out",
        "own.pem",
    )
    return home


@pytest.fixture
async def port(certificates: Path, redis_server: EmbeddedServer) -> AsyncIterator[int]:
    """The port of a TLS end in front of a server with a password, open to who shows a certificate of the authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.pem"))
    context.load_cert_chain(certificates / "own.pem", certificates / "own.key")
    context.verify_mode = ssl.CERT_REQUIRED
    with connect_sync(redis_server.url) as admin:
        behind = admin.connection_pool.connection_kwargs["path"]
        admin.execute_command("ACL", "SETUSER", "tls", "on", ">open sesame", "~*", "&*", "+@all")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(1 << 16):
                    writer.write(data)
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(behind)
        await asyncio.gather(pump(reader, to_server), pump(from_server, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


def _settings(port: int, certificates: Path, ca: str = "ca.pem", password: str = "open sesame") -> Settings:
    return Settings(
        redis_url=f"rediss://tls@127.0.0.1:{port}/0",
        redis_password=password,
        redis_ca_file=certificates / ca,
        redis_cert_file=certificates / "own.pem",
        redis_key_file=certificates / "own.key",
    )


async def test_both_clients_come_in_with_certificate_and_password(port: int, certificates: Path) -> None:
    """What the settings say reaches the async client and the sync one of the relay and RQ."""
    with store_url(_settings(port, certificates)) as url:
        async with connect(url) as client:
            assert await client.ping()
        with connect_sync(url) as client:
            assert await asyncio.to_thread(client.ping)


@pytest.mark.parametrize("wrong", [{"ca": "other.pem"}, {"password": "close"}])
async def test_nobody_is_trusted_who_cannot_show_it(port: int, certificates: Path, wrong: dict[str, str]) -> None:
    """A server with another authority's certificate is not spoken to, a wrong password is an outage that is told."""
    with store_url(_settings(port, certificates, **wrong)) as url:
        async with connect(url) as client:
            with pytest.raises(StoreUnavailable):
                await RedisStore(client).load("acme", "li_1")
        with connect_sync(url, patience_s=0) as client, pytest.raises(RedisConnectionError):
            await asyncio.to_thread(client.ping)


def test_files_that_cannot_be_meant_are_refused(certificates: Path) -> None:
    """Certificates for a connection without TLS, and files that are not there, are named before anything connects."""
    for settings, said in (
        (
            Settings(redis_url="redis://h", redis_ca_file=certificates / "ca.pem"),
            "LOOPGATE_REDIS_URL with rediss",
        ),
        (Settings(redis_url="rediss://h", redis_ca_file=certificates / "gone.pem"), "is not a file"),
    ):
        with pytest.raises(ConfigurationError, match=said), store_url(settings):
            pass
