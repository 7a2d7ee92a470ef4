"""The proxies that are compared: how each is configured and started before one upstream, on one core."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.facts import ROOT
from benchmarks.load.roster import PEERS_PYTHON

__all__ = ["CONTESTANTS", "SECRET", "Absent", "fields_for", "nginx_command"]

SECRET = "a secret of at least thirty-two bytes"
MODULES = ROOT / "benchmarks" / "load" / "node_modules"


class Absent(Exception):
    """A contestant that is not on this machine; the text says why."""


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


def nginx(folder: Path, upstream: str, port: int) -> list[str]:
    server = (
        f"upstream u {{ server {upstream.removeprefix('http://')}; keepalive 256; }} server {{ listen 127.0.0.1:{port};"
        "location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection $connection_upgrade;"
        "proxy_set_header Upgrade $http_upgrade; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
        "proxy_read_timeout 600s; } }"
    )
    return nginx_command(folder, port, server)


def nginx_command(folder: Path, port: int, server: str) -> list[str]:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise Absent("not installed: nginx, a package of the system")
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


def haproxy(folder: Path, upstream: str, port: int) -> list[str]:
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise Absent("not installed: haproxy, a package of the system")
    file = folder / f"haproxy-{port}.cfg"
    file.write_text(
        "global\n  nbthread 1\n  maxconn 9000\ndefaults\n  mode http\n  timeout connect 2s\n  timeout client 600s\n"
        "  timeout server 600s\n  timeout tunnel 600s\n  option http-keep-alive\n  option forwardfor\n"
        f"frontend f\n  bind 127.0.0.1:{port}\n  default_backend b\nbackend b\n  http-reuse always\n"
        f"  server s {upstream.removeprefix('http://')}\n"
    )
    return [program, "-q", "-db", "-f", str(file)]


def script(folder: Path, text: str, command: list[str], suffix: str, upstream: str, port: int) -> list[str]:
    file = folder / f"proxy-{port}{suffix}"
    file.write_text(text)
    return [*command, str(file), upstream, str(port)]


def node_program() -> str:
    program = shutil.which("node")
    if program is None:
        raise Absent("not installed: node, a package of the system")
    return program


def node(folder: Path, upstream: str, port: int) -> list[str]:
    return script(folder, NODE, [node_program()], ".cjs", upstream, port)


def http_proxy(folder: Path, upstream: str, port: int) -> list[str]:
    program = node_program()
    if not (MODULES / "http-proxy").exists():
        raise Absent("not among the modules of benchmarks/load: python benchmarks/setup_peers.py")
    return script(folder, HTTP_PROXY, ["env", f"NODE_PATH={MODULES}", program], ".cjs", upstream, port)


def aiohttp(folder: Path, upstream: str, port: int) -> list[str]:
    for python in (str(PEERS_PYTHON), sys.executable):
        command = [python, "-c", "import aiohttp"]
        if Path(python).exists() and not subprocess.run(command, capture_output=True, check=False).returncode:
            return script(folder, AIOHTTP, [python], ".py", upstream, port)
    raise Absent("not in .venv-bench: python benchmarks/setup_peers.py")


Command = Callable[[Path, str, int], list[str]]
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


def fields_for(contestant: str) -> dict[str, str]:
    """What its clients send along."""
    if contestant != "ours-policies":
        return {}
    import jwt

    claims = {"sub": "ada", "exp": int(time.time()) + 3600}
    return {"authorization": f"Bearer {jwt.encode(claims, SECRET, algorithm='HS256')}"}
