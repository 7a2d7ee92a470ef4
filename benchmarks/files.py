"""``python -m benchmarks.files``: files beside bytes at hand, and the memory that a large transfer takes.

Needs curl, and wrk for the rates. The server runs in a process of its own; its memory is read from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from framework import App, Request, Response
from framework.http.files import FileResponse
from framework.http.multipart import read_multipart
from framework.http.static import StaticFiles
from framework.http.uploads import save_body

SMALL = 50_000
MIB = 1024 * 1024
ROOT = Path(__file__).resolve().parents[1]


def make_app(directory: Path) -> App:
    app = App(max_body=1 << 40, request_timeout=None)
    content = (directory / "small.txt").read_bytes()
    app.get("/static/{path:path}")(StaticFiles(directory).serve)

    @app.get("/bytes")
    async def plain() -> Response:
        return Response(content, media_type="text/plain; charset=utf-8")

    @app.get("/file")
    async def file(request: Request) -> Response:
        return await FileResponse.open(request, directory / "small.txt")

    @app.put("/body")
    async def body(request: Request) -> int:
        return await save_body(request, directory / "uploaded")

    @app.post("/form")
    async def form(request: Request) -> int:
        return sum([await part.save_to(directory / "uploaded") async for part in read_multipart(request)])

    return app


def serve(directory: Path) -> None:
    """The server process: prints its port, and serves until it is told to stop."""
    from framework import Server, ServerSettings
    from framework.net.loop import run

    async def main() -> None:
        runtime = make_app(directory).build(environ={}, overrides={"server.port": 0})
        async with runtime.running():
            server = Server(runtime, runtime.settings.section(ServerSettings))
            await server.start()
            print(server.port, flush=True)
            await server.run()

    run(main())


@dataclass(frozen=True, slots=True)
class Running:
    port: int
    pid: int

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def memory(self, field: str = "VmRSS") -> float:
        """MiB: VmRSS now, VmHWM the most since the last ``reset``."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
        return int(found[1]) / 1024 if found else 0.0

    def reset(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(directory: Path) -> Iterator[Running]:
    command = [sys.executable, "-m", "benchmarks.files", "--serve", str(directory)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Running(int(process.stdout.readline()), process.pid)
    finally:
        process.terminate()
        process.wait()


def curl(*arguments: str) -> None:
    subprocess.run(["curl", "--silent", "--fail", "--output", os.devnull, *arguments], check=True)


def watch_memory(running: Running, name: str, size: int, transfer: Callable[[], object]) -> None:
    """Twice: the first time brings in what is loaded once."""
    for again in (False, True):
        running.reset()
        before, cpu, start = running.memory(), running.cpu(), time.perf_counter()
        transfer()
        seconds = time.perf_counter() - start
        grown = running.memory("VmHWM") - before
        print(
            f"{name:<34} {'again' if again else 'first':<6} {before:7.1f} MiB {grown:+7.1f} MiB at most "
            f"{size / seconds / MIB:8.0f} MiB/s {(running.cpu() - cpu) / size * 1e9:6.2f} s CPU/GB"
        )


def watch_rate(running: Running, path: str, seconds: int) -> None:
    cpu = running.cpu()
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", running.url(path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    requests = int((re.search(r"(\d+) requests in", output) or ["", "0"])[1])
    bad = re.search(r"Non-2xx.*|Socket errors.*", output)
    print(
        f"{path:<34} {requests / seconds:9.0f} requests/s {(running.cpu() - cpu) / max(requests, 1) * 1e6:7.1f} "
        f"µs CPU each{' ' + bad[0] if bad else ''}"
    )


async def read_slowly(running: Running, clients: int) -> None:
    """Many clients that ask for the large file and read a little of it."""
    connections = await asyncio.gather(
        *(asyncio.open_connection("127.0.0.1", running.port, limit=4096) for _ in range(clients))
    )
    for reader, writer in connections:
        writer.write(b"GET /static/large.bin HTTP/1.1\r\nhost: bench\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(1)
    print(f"{clients} clients that do not read: {running.memory():.1f} MiB")
    for _, writer in connections:
        writer.transport.abort()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.files", description=__doc__)
    parser.add_argument(
        "--size", type=int, default=1024, metavar="MIB", help="of a large transfer, default 1024"
    )
    parser.add_argument("--seconds", type=int, default=3, metavar="N", help="of each load, default 3")
    parser.add_argument("--clients", type=int, default=200, metavar="N", help="that read slowly, default 200")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve)
        return
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), options.size * MIB, options.seconds, options.clients)


def measure(directory: Path, size: int, seconds: int, clients: int) -> None:
    (directory / "small.txt").write_bytes(b"x" * SMALL)
    large = directory / "large.bin"
    with large.open("wb") as file:
        file.truncate(size)
    with serving(directory) as running:
        if shutil.which("wrk"):
            for path in ("/bytes", "/file", "/static/small.txt", "/bytes"):
                watch_rate(running, path, seconds)
        watch_memory(running, "download", size, lambda: curl(running.url("/static/large.bin")))
        watch_memory(running, "upload of a body", size, lambda: curl(running.url("/body"), "-T", str(large)))
        chunked = ["-H", "transfer-encoding: chunked", "-H", "expect:"]
        watch_memory(
            running,
            "upload of a body, chunked",
            size,
            lambda: curl(running.url("/body"), "-T", str(large), *chunked),
        )
        watch_memory(
            running, "upload of a form", size, lambda: curl(running.url("/form"), "-F", f"file=@{large}")
        )
        asyncio.run(read_slowly(running, clients))


if __name__ == "__main__":
    main()
