"""What a request costs on its way through a gateway, beside other proxies:  python -m benchmarks.gateway [--seconds N]

One proxy at a time, one worker, on a core of its own; the upstream (nginx) and the clients have the other cores. Rounds
are interleaved and the median counts. ``cpu``: microseconds of the proxy's CPU time for each request, which a busy
machine disturbs least; ``rate``: requests a second that the clients got.

Scenarios: ``1k`` (responses of 1 kB over kept connections), ``1m`` (1 MB), ``tunnels`` (resident memory for each
WebSocket that is open and idle). Ours runs as it is (``ours``), with 600 routes (``ours-600``), and with JWT, a limit
and metrics (``ours-policies``). haproxy takes part where it is installed, Node with http-proxy where that is among the
modules of ``benchmarks/load``, and with its own modules alone (``node``) in any case.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.facts import machine_facts, tell
from framework.net.loop import run as run_loop

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".venv-bench" / "bin" / "python"
TICKS = os.sysconf("SC_CLK_TCK")
SECRET = "a secret of at least thirty-two bytes"
SMALL, LARGE = 1024, 1_048_576

AIOHTTP = """
import sys, aiohttp
from aiohttp import web
upstream, port = sys.argv[1], int(sys.argv[2])
async def proxy(request):
    headers = {name: value for name, value in request.headers.items() if name.lower() not in ("host", "connection")}
    body = request.content if request.can_read_body else None
    async with request.app["client"].request(request.method, upstream + request.path_qs, headers=headers, data=body,
        allow_redirects=False, auto_decompress=False) as answer:
        response = web.StreamResponse(status=answer.status, headers={n: v for n, v in answer.headers.items()
            if n.lower() not in ("connection", "transfer-encoding", "date", "server")})
        await response.prepare(request)
        async for piece in answer.content.iter_any():
            await response.write(piece)
        await response.write_eof()
        return response
async def client(app):
    app["client"] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256))
    yield
    await app["client"].close()
app = web.Application()
app.cleanup_ctx.append(client)
app.router.add_route("*", "/{path:.*}", proxy)
try:
    import uvloop; uvloop.install()
except ImportError:
    pass
web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)
"""

NODE = """
const http = require("node:http");
const [upstream, port] = [new URL(process.argv[2]), +process.argv[3]];
const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
http.createServer((request, response) => {
  const onward = http.request({ host: upstream.hostname, port: upstream.port, path: request.url, method: request.method,
    headers: request.headers, agent }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  onward.on("error", () => response.writeHead(502).end());
  request.pipe(onward);
}).listen(port, "127.0.0.1");
"""

HTTP_PROXY = """
const proxy = require("http-proxy").createProxyServer({ target: process.argv[2], ws: true,
  agent: new (require("node:http").Agent)({ keepAlive: true, maxSockets: 256 }) });
proxy.on("error", (error, request, response) => response.writeHead && response.writeHead(502).end());
proxy.listen(+process.argv[3], "127.0.0.1");
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# -- contestants -----------------------------------------------------------------------------------


def ours(folder: Path, upstream: str, port: int, *, routes: int = 1, policies: bool = False) -> list[str]:
    lines = [
        f"[server]\nport = {port}",
        "[logging]\naccess = 'never'\nlevel = 'error'",
        "[gateway]\nwatch = false",
        f"[gateway.clusters.c]\nendpoints = ['{upstream}']\noutliers = {{ max_ejected = 0 }}",
        "[gateway.routes.all]\ncluster = 'c'",
    ]
    lines += [
        f"[gateway.routes.r{number}]\ncluster = 'c'\nmatch.path = '/api/v{number % 7}/r{number}'"
        for number in range(routes - 1)
    ]
    if policies:
        lines.append(
            "[gateway.routes.all.policies]\nlimits = { all = { quota = 1000000, key = 'user' } }\n"
            f"jwt = {{ algorithms = ['HS256'], secret = '{SECRET}' }}"
        )
    else:
        lines.append("[metrics]\nenabled = false")
    file = folder / f"gateway-{port}.toml"
    file.write_text("\n".join(lines))
    return [sys.executable, "-m", "framework", "gateway", "run", str(file)]


def nginx(folder: Path, upstream: str, port: int) -> list[str] | None:
    server = (
        f"upstream u {{ server {upstream.removeprefix('http://')}; keepalive 256; }} server {{ listen 127.0.0.1:{port};"
        "location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection $connection_upgrade;"
        "proxy_set_header Upgrade $http_upgrade; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
        "proxy_read_timeout 600s; } }"
    )
    return nginx_command(folder, port, server)


def nginx_command(folder: Path, port: int, server: str) -> list[str] | None:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        return None
    file = folder / f"nginx-{port}.conf"
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.getuid() == 0 else ""
    file.write_text(
        f"{user} daemon off; master_process off; worker_processes 1; pid {folder}/{port}.pid;"
        f"error_log {folder}/error.log crit; worker_rlimit_nofile 30000; events {{ worker_connections 20000; }}"
        f"http {{ access_log off; keepalive_requests 100000000; {temporary}"
        "map $http_upgrade $connection_upgrade { default upgrade; '' ''; }"
        f"{server} }}"
    )
    return [program, "-p", str(folder), "-c", str(file)]


def haproxy(folder: Path, upstream: str, port: int) -> list[str] | None:
    program = shutil.which("haproxy")
    if program is None:
        return None
    file = folder / "haproxy.cfg"
    file.write_text(
        "global\n  nbthread 1\n  maxconn 20000\ndefaults\n  mode http\n  timeout connect 2s\n  timeout client 600s\n"
        "  timeout server 600s\n  timeout tunnel 600s\n  option http-keep-alive\n  option forwardfor\n"
        f"frontend f\n  bind 127.0.0.1:{port}\n  default_backend b\nbackend b\n  http-reuse always\n"
        f"  server s {upstream.removeprefix('http://')}\n"
    )
    return [program, "-q", "-db", "-f", str(file)]


def script(folder: Path, text: str, command: list[str], suffix: str, upstream: str, port: int) -> list[str]:
    file = folder / f"proxy-{port}{suffix}"
    file.write_text(text)
    return [*command, str(file), upstream, str(port)]


def node(folder: Path, upstream: str, port: int) -> list[str] | None:
    program = shutil.which("node")
    return None if program is None else script(folder, NODE, [program], ".cjs", upstream, port)


def http_proxy(folder: Path, upstream: str, port: int) -> list[str] | None:
    program, modules = shutil.which("node"), ROOT / "benchmarks" / "load" / "node_modules"
    if program is None or not (modules / "http-proxy").exists():
        return None
    return script(folder, HTTP_PROXY, ["env", f"NODE_PATH={modules}", program], ".cjs", upstream, port)


def aiohttp(folder: Path, upstream: str, port: int) -> list[str] | None:
    for python in (str(PEERS), sys.executable):
        if (
            Path(python).exists()
            and not subprocess.run(
                [python, "-c", "import aiohttp"], capture_output=True, check=False
            ).returncode
        ):
            return script(folder, AIOHTTP, [python], ".py", upstream, port)
    return None


Command = Callable[[Path, str, int], list[str] | None]
CONTESTANTS: dict[str, Command] = {
    "ours": ours,
    "ours-600": lambda folder, upstream, port: ours(folder, upstream, port, routes=600),
    "ours-policies": lambda folder, upstream, port: ours(folder, upstream, port, policies=True),
    "nginx": nginx,
    "haproxy": haproxy,
    "http-proxy": http_proxy,
    "node": node,
    "aiohttp": aiohttp,
}


# -- measuring -------------------------------------------------------------------------------------


class Sender(asyncio.Protocol):
    """Sends one request after another; counts answers by their length, which is known."""

    def __init__(self, request: bytes, state: dict[str, Any]) -> None:
        self._request = request
        self._state = state
        self._need = 0
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        made: Any = transport
        self._transport: Any = made
        made.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._need:
            self._took(len(data))
            return
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return
        head, rest = self._head[:end].lower(), len(self._head) - end - 4
        self._head = b""
        if b" 200 " not in head[:13]:
            raise RuntimeError(head.decode("latin-1"))
        at = head.find(b"content-length: ") + 16
        self._need = int(head[at : head.find(b"\r", at) if b"\r" in head[at:] else len(head)])
        self._took(rest)

    def _took(self, count: int) -> None:
        self._need -= count
        if self._need <= 0:
            self._need = 0
            self._state["done"] += 1
            if not self._state["over"]:
                self._transport.write(self._request)


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_of(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) * 1024


async def loaded(
    port: int, pid: int, path: str, fields: str, connections: int, seconds: float
) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    state: dict[str, Any] = {"done": 0, "over": False}
    request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n{fields}\r\n".encode()
    transports = [
        (await loop.create_connection(lambda: Sender(request, state), "127.0.0.1", port))[0]
        for _ in range(connections)
    ]
    await asyncio.sleep(min(1.0, seconds / 3))
    done, cpu, began = state["done"], cpu_of(pid), time.perf_counter()
    await asyncio.sleep(seconds)
    done, cpu, took = state["done"] - done, cpu_of(pid) - cpu, time.perf_counter() - began
    state["over"] = True
    rss = rss_of(pid)
    for transport in transports:
        transport.close()
    await asyncio.sleep(0.1)
    return {"rate": done / took, "cpu": cpu / max(done, 1) * 1e6, "rss": rss}


async def tunnelled(port: int, pid: int, count: int) -> dict[str, Any]:
    """Opens WebSockets and leaves them be: what does each hold?"""
    before = rss_of(pid)
    writers: list[asyncio.StreamWriter] = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET /ws HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        if b" 101 " not in await reader.readuntil(b"\r\n\r\n"):
            return {"bytes": None}
        writers.append(writer)
    await asyncio.sleep(0.5)
    held = (rss_of(pid) - before) / count
    for writer in writers:
        writer.close()
    return {"bytes": round(held)}


class Switching(asyncio.Protocol):
    """An upstream of tunnels: switches, and says nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            self._transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
            )


@asynccontextmanager
async def process(command: list[str], port: int, core: int) -> AsyncGenerator[int]:
    """The pid of a server on a core of its own, once it listens."""
    started = subprocess.Popen(  # noqa: ASYNC220 - before anything is measured
        ["taskset", "-c", str(core), *command], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(400):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if started.poll() is not None:
                raise RuntimeError(f"{command[0]} ended with {started.returncode}")
            await asyncio.sleep(0.025)
        yield started.pid
    finally:
        started.send_signal(signal.SIGKILL)
        started.wait()


def token() -> str:
    import jwt

    return jwt.encode({"sub": "ada", "exp": int(time.time()) + 3600}, SECRET, algorithm="HS256")


async def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    results: dict[str, dict[str, list[dict[str, Any]]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "small").write_bytes(b"x" * SMALL)
        (folder / "large").write_bytes(b"x" * LARGE)
        backing = free_port()
        served = nginx_command(
            folder, backing, f"sendfile on; server {{ listen 127.0.0.1:{backing}; root {folder}; }}"
        )
        if served is None:
            raise SystemExit("nginx is the upstream: apt-get install nginx")
        switching = await asyncio.get_running_loop().create_server(Switching, "127.0.0.1", 0, backlog=4096)
        switcher = f"http://127.0.0.1:{switching.sockets[0].getsockname()[1]}"
        async with process(served, backing, 1):
            for _ in range(arguments.rounds):
                for contestant in arguments.contestants:
                    await one_round(contestant, folder, backing, switcher, arguments, results)
        switching.close()
    return {"facts": machine_facts(), "results": summed(results)}


async def one_round(
    contestant: str,
    folder: Path,
    backing: int,
    switcher: str,
    arguments: argparse.Namespace,
    results: dict[str, dict[str, list[dict[str, Any]]]],
) -> None:
    fields = f"authorization: Bearer {token()}\r\n" if contestant == "ours-policies" else ""
    for scenario in arguments.scenarios:
        port = free_port()
        upstream = switcher if scenario == "tunnels" else f"http://127.0.0.1:{backing}"
        command = CONTESTANTS[contestant](folder, upstream, port)
        if command is None or (scenario == "tunnels" and contestant in ("aiohttp", "node", "ours-policies")):
            continue
        async with process(command, port, 0) as pid:
            if scenario == "tunnels":
                found = await tunnelled(port, pid, arguments.tunnels)
            else:
                path, connections = ("/small", arguments.connections) if scenario == "1k" else ("/large", 8)
                found = await loaded(port, pid, path, fields, connections, arguments.seconds)
        results.setdefault(scenario, {}).setdefault(contestant, []).append(found)
        sys.stderr.write(f"{scenario:8} {contestant:14} {json.dumps(found)}\n")


def summed(results: dict[str, dict[str, list[dict[str, Any]]]]) -> dict[str, dict[str, dict[str, float]]]:
    return {
        scenario: {
            contestant: {
                key: round(statistics.median(one[key] for one in rounds), 1)
                for key in rounds[0]
                if rounds[0][key] is not None
            }
            for contestant, rounds in contestants.items()
        }
        for scenario, contestants in results.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--tunnels", type=int, default=5000)
    parser.add_argument(
        "--scenarios", nargs="+", choices=("1k", "1m", "tunnels"), default=["1k", "1m", "tunnels"]
    )
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--out", type=Path, help="write the results here as JSON")
    arguments = parser.parse_args()
    tell(run_loop(measure(arguments)), arguments.out)


if __name__ == "__main__":
    main()
