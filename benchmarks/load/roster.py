"""Who is measured: how each server is started, what it can be asked, and whether it is installed here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.load.scenarios import SCENARIOS, Scenario
from benchmarks.load.work import Settings

__all__ = [
    "FLOOR",
    "OURS",
    "PURE",
    "ROOT",
    "SERVERS",
    "Installed",
    "Server",
    "distributions",
    "find_twin",
    "select",
    "short",
]

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent
PEERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
FLOOR = "floor"
OURS = "framework"

ALL = frozenset(scenario.name for scenario in SCENARIOS)
# A server without a framework has neither a table whose size could matter nor a stack of middlewares.
BARE = ALL - {"param600", "onions"}


@dataclass(frozen=True, slots=True)
class Server:
    """One entry of the roster.

    ``runtime`` says what runs ``source``: "project" (this interpreter) or "peers" (their environment), each
    with a module of ``benchmarks.load.servers``; "node" with a script there; "nginx" with none. ``needs`` are
    distributions (npm packages under node). ``strict`` is False for servers that answer constants.
    """

    name: str
    title: str
    runtime: str
    source: str
    needs: tuple[str, ...] = ()
    scenarios: frozenset[str] = ALL
    strict: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)

    def supports(self, scenario: Scenario) -> bool:
        return scenario.name in self.scenarios

    def command(self, settings: Settings, scratch: Path) -> list[str]:
        """The command that serves in the foreground until SIGTERM; ``scratch`` is a folder for its files."""
        if self.runtime == "nginx":
            config = scratch / "nginx.conf"
            config.write_text(_nginx_config(settings.port, scratch))
            return ["nginx", "-c", str(config), "-e", str(scratch / "error.log")]
        if self.runtime == "node":
            return ["node", str(FOLDER / "servers" / self.source)]
        python = sys.executable if self.runtime == "project" else str(PEERS_PYTHON)
        return [python, "-m", f"benchmarks.load.servers.{self.source}"]


SERVERS: tuple[Server, ...] = (
    Server(FLOOR, "raw uvloop, constant bytes (the floor)", "project", "floor", ("uvloop",), strict=False),
    Server(OURS, "framework", "project", "ours", environment={"FRAMEWORK_PURE": ""}),
    Server(
        "framework-pure", "framework, pure Python", "project", "ours", environment={"FRAMEWORK_PURE": "1"}
    ),
    Server("httptools", "uvloop + httptools, bare", "peers", "httptools_bare", ("uvloop", "httptools"), BARE),
    Server("nginx", "nginx, return 200", "nginx", "", (), frozenset({"text", "browser", "pipeline"})),
    Server("fastpysgi", "fastpysgi WSGI, bare", "peers", "fastpysgi_wsgi", ("fastpysgi",), BARE),
    Server(
        "socketify", "socketify (uWebSockets)", "peers", "socketify_app", ("socketify",), ALL - {"onions"}
    ),
    Server("granian-rsgi", "granian RSGI, bare", "peers", "granian_rsgi", ("granian", "uvloop"), BARE),
    Server("granian-asgi", "granian ASGI, bare", "peers", "granian_asgi", ("granian", "uvloop"), BARE),
    Server("node", "Node http", "node", "node_http.mjs", ("ajv",), BARE),
    Server("fastify", "Node fastify", "node", "node_fastify.mjs", ("fastify",)),
    Server(
        "uvicorn", "uvicorn, bare ASGI", "peers", "uvicorn_bare", ("uvicorn", "httptools", "uvloop"), BARE
    ),
    Server("starlette", "uvicorn + starlette", "peers", "uvicorn_starlette", ("uvicorn", "starlette")),
    Server(
        "starlette-pydantic",
        "uvicorn + starlette + pydantic",
        "peers",
        "uvicorn_starlette_pydantic",
        ("uvicorn", "starlette", "fastapi"),
        frozenset({"post"}),
    ),
    Server("blacksheep", "uvicorn + blacksheep", "peers", "uvicorn_blacksheep", ("uvicorn", "blacksheep")),
    Server("falcon", "uvicorn + falcon", "peers", "uvicorn_falcon", ("uvicorn", "falcon")),
    Server("litestar", "uvicorn + litestar", "peers", "uvicorn_litestar", ("uvicorn", "litestar")),
    Server("fastapi", "uvicorn + fastapi", "peers", "uvicorn_fastapi", ("uvicorn", "fastapi")),
    Server("sanic", "sanic", "peers", "sanic_app", ("sanic",)),
    Server("aiohttp", "aiohttp", "peers", "aiohttp_app", ("aiohttp", "uvloop")),
    Server("robyn", "robyn", "peers", "robyn_app", ("robyn",), ALL - {"onions"}),
)
PURE = "framework-pure"


def short(twin: str | None) -> tuple[str, ...]:
    """The servers of a short run; without compiled leaves the pure twin stands for the framework."""
    return (FLOOR, OURS if twin == "compiled" else PURE, "granian-rsgi", "starlette")


def select(names: str | Iterable[str] | None) -> tuple[Server, ...]:
    """The servers named (comma-separated or a collection), in the roster's order; all for None.

    Raises:
        ValueError: a name that no server has.
    """
    if names is None:
        return SERVERS
    parts = names.split(",") if isinstance(names, str) else names
    wanted = {part.strip() for part in parts if part.strip()}
    unknown = wanted - {server.name for server in SERVERS}
    if unknown:
        known = ", ".join(server.name for server in SERVERS)
        raise ValueError(f"unknown server {', '.join(sorted(unknown))}; known are {known}")
    return tuple(server for server in SERVERS if server.name in wanted)


@dataclass(frozen=True, slots=True)
class Installed:
    """What this machine has: versions by name, per runtime, and the twin of the leaves the framework runs."""

    project: Mapping[str, str]
    peers: Mapping[str, str]
    node: Mapping[str, str]
    programs: Mapping[str, str]
    twin: str | None

    @classmethod
    def look(cls) -> Installed:
        programs = {name: version for name in ("node", "nginx", "wrk") if (version := _program_version(name))}
        return cls(
            project=distributions(Path(sys.executable)),
            peers=distributions(PEERS_PYTHON),
            node=_node_packages(),
            programs=programs,
            twin=find_twin(),
        )

    def absence(self, server: Server) -> str | None:
        """Why the server cannot be started here, or None if it can."""
        if server.source == "ours":
            if self.twin is None:
                return "framework.wire.leaves does not import"
            pure = server.environment.get("FRAMEWORK_PURE") == "1"
            return None if pure or self.twin == "compiled" else "the leaves are not compiled"
        if server.runtime in ("node", "nginx") and server.runtime not in self.programs:
            return f"{server.runtime} is not installed"
        have = {"project": self.project, "peers": self.peers, "node": self.node, "nginx": {}}[server.runtime]
        missing = [name for name in server.needs if name not in have]
        where = {
            "project": "this environment",
            "peers": ".venv-bench",
            "node": "benchmarks/load/node_modules",
        }
        return f"{', '.join(missing)} not in {where[server.runtime]}" if missing else None


def distributions(python: Path) -> dict[str, str]:
    """The versions an environment has, by name in lower case; nothing where there is no such interpreter."""
    if not python.exists():
        return {}
    code = (
        "import json,importlib.metadata as m;"
        "print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))"
    )
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True, cwd="/")
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _node_packages() -> dict[str, str]:
    manifests = sorted((FOLDER / "node_modules").glob("*/package.json"))
    return {path.parent.name: str(json.loads(path.read_text()).get("version", "?")) for path in manifests}


def _program_version(name: str) -> str | None:
    if shutil.which(name) is None:
        return None
    done = subprocess.run([name, "-v"], capture_output=True, text=True, check=False)
    first = (done.stdout or done.stderr).splitlines()[:1]
    return first[0].strip() if first else "?"


def find_twin() -> str | None:
    code = "from framework.wire.leaves import TWIN; print(TWIN)"
    environment = {key: value for key, value in os.environ.items() if key != "FRAMEWORK_PURE"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT, env=environment
    )
    return done.stdout.strip() if done.returncode == 0 else None


def _nginx_config(port: int, scratch: Path) -> str:
    temporary = "\n".join(
        f"  {kind}_temp_path {scratch}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""daemon off;
master_process off;
worker_processes 1;
pid {scratch}/nginx.pid;
error_log {scratch}/error.log crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 19000; }}
http {{
  access_log off;
  keepalive_timeout 3600;
  keepalive_requests 1000000000;
  default_type "text/plain";
{temporary}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /hello {{ return 200 "Hello, World!"; }}
    location / {{ return 404; }}
  }}
}}
"""
