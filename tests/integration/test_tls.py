"""TLS on real sockets: SNI, client certificates, new certificates under old connections, deadlines."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from framework import App, Request, Server, ServerSettings
from framework.errors import SetupError
from framework.net.settings import TLSFiles
from framework.net.tls import TLS, tls_session
from tests.support.certificates import Authority

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def own(tmp_path: Path) -> Authority:
    """An authority whose files a test may change."""
    return Authority(tmp_path)


def make_app() -> App:
    app = App()

    @app.get("/")
    async def session(request: Request) -> dict[str, Any]:
        found = tls_session(request)
        assert found is not None
        subject = None if found.peer is None else dict(pair[0] for pair in found.peer["subject"])
        return {
            "scheme": request.scheme,
            "version": found.version,
            "cipher": found.cipher,
            "protocol": found.protocol,
            "peer": subject,
            "peer_der": found.peer_der is not None,
        }

    @app.get("/large")
    async def large() -> bytes:
        return b"x" * 3_000_000

    return app


class Secured:
    """A server on a free port, and its clients."""

    def __init__(self, server: Server, tls: TLS, authority: Authority) -> None:
        self.server = server
        self.tls = tls
        self.authority = authority

    async def connect(
        self, name: str = "localhost", *, context: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            "127.0.0.1", self.server.port, ssl=context or self.authority.client(), server_hostname=name
        )

    async def get(
        self, name: str = "localhost", target: str = "/", *, context: ssl.SSLContext | None = None
    ) -> bytes:
        reader, writer = await self.connect(name, context=context)
        try:
            return await exchange(reader, writer, target)
        finally:
            await shut(writer)

    async def names(self, name: str, *, context: ssl.SSLContext | None = None) -> list[str]:
        """The names in the certificate that is shown to who asks for ``name``."""
        _, writer = await self.connect(name, context=context)
        shown = writer.get_extra_info("peercert")
        await shut(writer)
        return [value for _, value in shown["subjectAltName"]]


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str = "/") -> bytes:
    writer.write(f"GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
        return await reader.readexactly(int(length.split(b":")[1]))


async def shut(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        await writer.wait_closed()
    except (OSError, ssl.SSLError):
        pass


@asynccontextmanager
async def secured(authority: Authority, files: tuple[str, str], **more: Any) -> AsyncGenerator[Secured]:
    settings = ServerSettings(
        **{
            "port": 0,
            "tls_certificate": files[0],
            "tls_key": files[1],
            "drain_timeout": 2.0,
            "idle_grace": 0.0,
            "tls_shutdown_timeout": 1.0,
            **more,
        }
    )
    runtime = make_app().build(environ={})
    tls = TLS(settings)
    async with runtime.running():
        server = Server(runtime, settings, tls=tls)
        await server.start()
        try:
            yield Secured(server, tls, authority)
        finally:
            await server.shutdown()


async def test_requests_come_over_tls(authority: Authority) -> None:
    async with secured(authority, authority.issue("localhost")) as server:
        found = json.loads(await server.get())
        assert found["scheme"] == "https"
        assert found["version"] == "TLSv1.3"
        assert found["protocol"] == "http/1.1"
        assert found["peer"] is None
        assert server.server.urls == [f"https://127.0.0.1:{server.server.port}"]


async def test_a_large_response_arrives_whole(authority: Authority) -> None:
    async with secured(authority, authority.issue("localhost")) as server:
        assert len(await server.get(target="/large")) == 3_000_000


async def test_a_client_that_only_speaks_http_2_gets_no_protocol(authority: Authority) -> None:
    context = authority.client()
    context.set_alpn_protocols(["h2"])
    async with secured(authority, authority.issue("localhost")) as server:
        _, writer = await server.connect(context=context)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() is None
        await shut(writer)


async def test_certificates_are_chosen_by_host_name(authority: Authority) -> None:
    shop = authority.issue("shop.example", stem="shop")
    wild = authority.issue("*.example.com", stem="wild")
    hosts = {
        "Shop.example": TLSFiles(certificate=shop[0], key=shop[1]),
        "*.example.com": TLSFiles(certificate=wild[0], key=wild[1]),
    }
    trusting = ssl.create_default_context(cafile=str(authority.file))
    trusting.check_hostname = False
    async with secured(authority, authority.issue("localhost"), tls_hosts=hosts) as server:
        assert await server.names("shop.example") == ["shop.example"]
        assert await server.names("a.example.com") == ["*.example.com"]
        assert await server.names("a.b.example.com", context=trusting) == ["localhost"], "one label only"
        assert await server.names("example.com", context=trusting) == ["localhost"]
        assert await server.names("unknown", context=trusting) == ["localhost"]
        assert json.loads(await server.get("shop.example"))["protocol"] == "http/1.1"


async def test_a_client_certificate_reaches_the_handler(authority: Authority) -> None:
    client = authority.issue("ada@example.com", stem="client", common_name="Ada")
    more = {"tls_client_ca": str(authority.file), "tls_client_auth": "optional"}
    async with secured(authority, authority.issue("localhost"), **more) as server:
        found = json.loads(await server.get(context=authority.client(client)))
        assert found["peer"]["commonName"] == "Ada"
        assert found["peer_der"]
        assert json.loads(await server.get())["peer"] is None


async def test_a_required_client_certificate_is_required_and_checked(
    authority: Authority, own: Authority
) -> None:
    more = {"tls_client_ca": str(authority.file), "tls_client_auth": "required"}
    stranger = authority.client(own.issue("eve@example.com", stem="eve"))
    async with secured(authority, authority.issue("localhost"), **more) as server:
        for context in (None, stranger):
            with pytest.raises((OSError, EOFError)):
                await server.get(context=context)
        client = authority.issue("ada@example.com", stem="client", common_name="Ada")
        assert json.loads(await server.get(context=authority.client(client)))["peer"]["commonName"] == "Ada"


async def test_a_client_certificate_is_required_for_every_host(authority: Authority) -> None:
    other = authority.issue("other.example", stem="other")
    more = {
        "tls_client_ca": str(authority.file),
        "tls_client_auth": "required",
        "tls_hosts": {"other.example": TLSFiles(certificate=other[0], key=other[1])},
    }
    async with secured(authority, authority.issue("localhost"), **more) as server:
        with pytest.raises((OSError, EOFError)):
            await server.get("other.example")
        client = authority.client(authority.issue("ada@example.com", stem="client"))
        assert await server.get("other.example", context=client)


async def test_old_tls_versions_are_refused(authority: Authority) -> None:
    context = authority.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with secured(authority, authority.issue("localhost"), tls_min_version="1.3") as server:
        with pytest.raises(ConnectionResetError):
            await server.connect(context=context)
    async with secured(authority, authority.issue("localhost"), tls_ciphers="ECDHE+AESGCM") as server:
        found = json.loads(await server.get(context=context))
        assert found["version"] == "TLSv1.2"
        assert found["cipher"].startswith("ECDHE-")


async def test_a_new_certificate_is_shown_while_a_kept_connection_goes_on(own: Authority) -> None:
    files = own.issue("localhost", "old.example")
    async with secured(own, files) as server:
        reader, writer = await server.connect()
        await exchange(reader, writer)
        own.issue("localhost", "new.example")
        server.tls.reload()
        await exchange(reader, writer)
        assert "old.example" in [value for _, value in writer.get_extra_info("peercert")["subjectAltName"]]
        assert "new.example" in await server.names("localhost")
        await exchange(reader, writer)
        await shut(writer)


async def test_a_broken_new_certificate_keeps_the_old_one(own: Authority) -> None:
    files = own.issue("localhost", "old.example")
    async with secured(own, files) as server:
        shutil.copy(files[1], f"{files[1]}.kept")
        breaks(files[1])
        with pytest.raises(SetupError, match=r"server\.tls_key"):
            server.tls.reload()
        assert "old.example" in await server.names("localhost")
        own.issue("localhost", "new.example", stem="another")
        shutil.copy(own.folder / "another.pem", files[0])
        shutil.copy(f"{files[1]}.kept", files[1])
        with pytest.raises(SetupError, match="is not the key of the certificate"):
            server.tls.reload()
        assert "old.example" in await server.names("localhost")


async def test_a_session_is_resumed_across_a_reload(own: Authority) -> None:
    context = own.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with secured(own, own.issue("localhost")) as server:
        session = await asyncio.to_thread(resumed, server.server.port, context, None)
        server.tls.reload()
        assert await asyncio.to_thread(resumed, server.server.port, context, session[0])
        assert (await asyncio.to_thread(resumed, server.server.port, context, session[0]))[1]


def breaks(path: str) -> None:
    Path(path).write_text("broken")


def resumed(
    port: int, context: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[ssl.SSLSession | None, bool]:
    import socket

    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname="localhost", session=session) as sock,
    ):
        return sock.session, bool(sock.session_reused)


async def test_a_client_that_never_finishes_its_handshake_is_cut_off(authority: Authority) -> None:
    async with secured(authority, authority.issue("localhost"), tls_handshake_timeout=0.2) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.server.port)
        writer.write(b"\x16\x03\x01")
        async with asyncio.timeout(10):
            with pytest.raises((OSError, EOFError)):
                await reader.readexactly(1)
        writer.close()


async def test_plain_http_on_the_tls_port_is_closed(authority: Authority) -> None:
    async with secured(authority, authority.issue("localhost")) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.server.port)
        writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        async with asyncio.timeout(10):
            try:
                assert not (await reader.read()).startswith(b"HTTP")
            except ConnectionResetError:
                pass
        writer.close()
        assert await server.get()


async def test_a_handshake_under_way_at_shutdown_is_finished_and_its_request_answered(
    authority: Authority,
) -> None:
    async with secured(authority, authority.issue("localhost")) as server:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = authority.client().wrap_bio(incoming, outgoing, server_hostname="localhost")
        reader, writer = await asyncio.open_connection("127.0.0.1", server.server.port)
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        writer.write(outgoing.read())
        incoming.write(await reader.read(65536))
        assert len(server.tls.handshakes) == 1
        down = asyncio.create_task(server.server.shutdown())
        for _ in range(10):
            await asyncio.sleep(0)
        assert server.server.core.draining
        client.do_handshake()
        client.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        writer.write(outgoing.read())
        answer = b""
        async with asyncio.timeout(10):
            while b"peer_der" not in answer:
                received = await reader.read(65536)
                assert received, "the connection was cut"
                incoming.write(received)
                try:
                    answer += client.read(65536)
                except ssl.SSLWantReadError:
                    continue
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in answer.lower()
        writer.close()
        await down


async def test_a_failed_handshake_does_not_hold_up_the_shutdown(authority: Authority) -> None:
    distrusting = ssl.create_default_context()
    async with secured(authority, authority.issue("localhost"), drain_timeout=30.0) as server:
        for _ in range(3):
            with pytest.raises(ssl.SSLError):
                await server.connect(context=distrusting)
        async with asyncio.timeout(3):
            await server.server.shutdown()


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_openssl_is_content(authority: Authority, version: str) -> None:
    async with secured(authority, authority.issue("localhost")) as server:
        command = [
            "openssl", "s_client", "-connect", f"127.0.0.1:{server.server.port}", "-servername", "localhost",
            "-CAfile", str(authority.file), "-verify_return_error", "-alpn", "http/1.1", version, "-quiet",
        ]  # fmt: skip
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            input=b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
            capture_output=True,
            timeout=20,
            check=False,
        )
        assert b"HTTP/1.1 200 OK" in done.stdout, done.stderr
