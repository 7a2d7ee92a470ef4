"""The client against servers that others (and we) wrote: our own, nginx, and the WebSockets of ``websockets``."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from framework import App, Request, Response
from framework.net.client import HTTPClient, StaleConnection, UpgradeRefused, client_tls, connect_websocket
from framework.net.server import Server
from framework.net.settings import ServerSettings
from framework.net.websocket.socket import WebSocket
from tests.support.certificates import Authority

pytestmark = pytest.mark.anyio


# -- our own ----------------------------------------------------------------------------------------------------------


def own_app() -> App:
    app = App()

    @app.get("/hello")
    def hello() -> str:
        return "hello"

    @app.post("/echo")
    async def echo(request: Request) -> Response:
        return Response(
            await request.body(), headers={"x-length": request.headers.get("content-length", "none")}
        )

    @app.get("/stream")
    async def stream() -> AsyncIterator[bytes]:
        for number in range(1000):
            yield b"%04d" % number * 100

    @app.websocket("/ws", compression=True)
    async def talk(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    return app


@asynccontextmanager
async def own_server(**settings: object) -> AsyncGenerator[Server]:
    overrides = {"server.port": 0, "server.drain_timeout": 1.0} | settings
    runtime = own_app().build(environ={}, overrides=overrides)
    async with runtime.running():
        server = Server(runtime, runtime.settings.section(ServerSettings), on_not_ready=runtime.not_ready)
        await server.start()
        try:
            yield server
        finally:
            await server.shutdown()


async def test_our_own_server() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 50_000

    async with own_server() as server, HTTPClient(f"http://127.0.0.1:{server.port}") as client:
        assert (await client.get("/hello")).text == "hello"
        assert (await client.head("/hello")).headers["content-length"] == "5"
        assert (await client.get("/nope")).status == 404
        response = await client.post("/echo", body=pieces())
        assert (len(response.body), response.headers["x-length"]) == (500_000, "none")
        response = await client.post("/echo", body=pieces(), length=500_000, expect_continue=True)
        assert (len(response.body), response.headers["x-length"]) == (500_000, "500000")
        async with client.stream("GET", "/stream") as stream:
            assert sum([len(piece) async for piece in stream]) == 400_000
        assert client.pools.connections == 1
        results = await asyncio.gather(*(client.get("/hello") for _ in range(50)))
        assert {response.text for response in results} == {"hello"}


async def test_a_websocket_of_our_own_server() -> None:
    async with own_server() as server:
        url = f"ws://127.0.0.1:{server.port}"
        for compression in (False, True):
            async with connect_websocket(url + "/ws", compression=compression) as ws:
                assert (ws.deflater is not None) == compression
                for message in ("ä" * 1000, b"\0" * 200_000, ""):
                    await ws.send(message)
                    assert await ws.receive() == message
            assert ws.close_code == 1000
        with pytest.raises(UpgradeRefused) as caught:
            async with connect_websocket(url + "/hello"):
                raise AssertionError("it was opened")
        assert caught.value.response_status != 101


# -- websockets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_the_websockets_package(compression: str | None) -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)
            if message == "go":
                await connection.close(4000, "gone")

    async with serve(echo, "127.0.0.1", 0, compression=compression, subprotocols=["b"]) as server:  # type: ignore[list-item]
        port = next(iter(server.sockets)).getsockname()[1]
        async with connect_websocket(
            f"ws://127.0.0.1:{port}/", subprotocols=("a", "b"), compression=True
        ) as ws:
            assert ws.subprotocol == "b"
            assert (ws.deflater is not None) == (compression is not None)
            for message in ("text" * 5000, bytes(100_000), "go"):
                await ws.send(message)
                assert await ws.receive() == message
            assert [message async for message in ws] == []
            assert (ws.close_code, ws.close_reason) == (4000, "gone")


# -- nginx ------------------------------------------------------------------------------------------------------------

NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log stderr warn;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e; gzip on; gzip_types text/plain; gzip_min_length 10;
  default_type text/plain;
  server {{
    listen 127.0.0.1:{port}; listen 127.0.0.1:{tls} ssl; listen unix:{folder}/s;
    ssl_certificate {certificate}; ssl_certificate_key {key};
    root {folder}; keepalive_requests 3; keepalive_timeout 20s 20s; client_max_body_size 1k;
    location = /go {{ return 302 /file.txt; }}
    location = /none {{ return 204; }}
    location = /close {{ keepalive_timeout 0; return 200 "bye"; }}
  }}
}}
"""


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


@asynccontextmanager
async def nginx(folder: Path, certificate: tuple[str, str]) -> AsyncGenerator[tuple[int, int]]:
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("nginx is not installed")
        pytest.skip("install nginx to run this")
    port, tls = free_ports(2)
    config = folder / "nginx.conf"
    config.write_text(
        NGINX.format(folder=folder, port=port, tls=tls, certificate=certificate[0], key=certificate[1])
    )
    process = await asyncio.create_subprocess_exec(
        program, "-e", "stderr", "-c", str(config), stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", tls)
                except OSError:
                    assert process.returncode is None
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    await writer.wait_closed()
                    break
        yield port, tls
    finally:
        process.terminate()
        await process.communicate()
        await asyncio.sleep(0)


async def test_nginx(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate = authority.issue("localhost")
    (tmp_path / "file.txt").write_bytes(b"contents " * 1000)
    tls = client_tls(ca_file=str(authority.file))
    async with nginx(tmp_path, certificate) as (port, tls_port):
        async with HTTPClient(f"http://127.0.0.1:{port}", tls=tls, decompress=True) as client:
            part = {"range": "bytes=0-7", "accept-encoding": "identity"}
            # nginx closes after every third request, and says so.
            for _ in range(10):
                response = await client.get("/file.txt")
                assert response.body == b"contents " * 1000
                assert response.headers["content-encoding"] == "gzip"
            assert (await client.get("/file.txt", headers=part)).body == b"contents"
            assert (await client.get("/none")).status == 204
            assert (await client.get("/close")).body == b"bye"
            assert (await client.get("/go", follow_redirects=True)).url.endswith("/file.txt")
            assert (await client.head("/file.txt")).body == b""
            assert (await client.get(f"https://localhost:{tls_port}/file.txt")).ok
        async with HTTPClient("http://nginx", unix_socket=f"{tmp_path}/s") as client:
            assert (await client.get("/file.txt")).ok


async def test_nginx_refuses_an_upload_early(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0)

    certificate = Authority(tmp_path).issue("localhost")
    async with nginx(tmp_path, certificate) as (port, _), HTTPClient(f"http://127.0.0.1:{port}") as client:
        response = await client.post("/file.txt", body=endless(), length=1_000_000_000_000)
        assert response.status == 413
        assert client.pool("/").open == 0


async def test_a_server_that_restarts_between_two_requests() -> None:
    """Its kept connections are stale: a GET never notices, a POST at most as an error that tells so."""
    async with own_server() as server:
        port = server.port
        client = HTTPClient(f"http://127.0.0.1:{port}")
        assert (await client.get("/hello")).ok
    async with own_server(**{"server.port": port}):
        assert (await client.get("/hello")).ok
    async with own_server(**{"server.port": port}):
        try:
            assert (await client.post("/echo", body=b"a")).body == b"a"
        except StaleConnection:
            pass
        await client.aclose()
