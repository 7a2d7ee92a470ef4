"""Several workers under load: balance, reloads, crashes, hangs, limits, shutdown. Real processes and sockets."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.support.load import Load
from tests.support.served import cut, fetch, gone, served, workers_of

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # the loop of the clients; the workers choose theirs


async def test_both_workers_serve(shop: Path) -> None:
    async with served("shop:app", shop) as server:
        pids = {(await fetch(server.port))[1] for _ in range(64)}
        assert pids == {str(pid) for pid in workers_of(server.pid)}


async def test_workers_start_without_a_warning(shop: Path) -> None:
    """runpy's "found in sys.modules after import of package", among others."""
    async with served("shop:app", shop) as server:
        assert (await fetch(server.port))[0] == 200
        server.signal(signal.SIGTERM)
        assert await server.ended() == 0
    assert [line for line in server.lines if "Warning" in line or "runpy" in line] == []


async def test_the_app_is_told_how_many_workers_there_are(shop: Path) -> None:
    async with served("shop:app", shop, workers=3) as server:
        assert await fetch(server.port, "/workers") == (200, "3")


async def test_reloads_under_load_lose_no_request(shop: Path) -> None:
    async with served("shop:app", shop) as server:
        kept = Load(server.port, clients=4)
        opened = Load(server.port, clients=4, per_connection=2)
        async with kept, opened:
            for _ in range(4):
                server.signal(signal.SIGHUP)
                await server.says("serving: ")
                await kept.more(20)
                await opened.more(20)
        assert kept.failures + opened.failures == {}
        assert len(kept.bodies.keys() | opened.bodies.keys()) == 10, "two workers, four times two more"


async def test_reloads_lose_no_request_on_plain_asyncio(shop: Path) -> None:
    with (shop / "shop.py").open("a") as code:
        code.write("\nsys.modules['uvloop'] = None\n@app.get('/loop')\nasync def loop() -> str:\n")
        code.write("    return type(asyncio.get_running_loop()).__module__\n")
    async with served("shop:app", shop) as server:
        assert await fetch(server.port, "/loop") == (200, "asyncio.unix_events")
        kept = Load(server.port, clients=4)
        opened = Load(server.port, clients=4, per_connection=2)
        async with kept, opened:
            for _ in range(3):
                server.signal(signal.SIGHUP)
                await server.says("serving: ")
                await kept.more(20)
                await opened.more(20)
        assert kept.failures + opened.failures == {}


async def test_a_reload_brings_new_code(shop: Path) -> None:
    async with served("shop:app", shop) as server:
        code = shop / "shop.py"
        code.write_text(code.read_text().replace("return str(os.getpid())", "return 'new'"))
        server.signal(signal.SIGHUP)
        await server.says("serving: ")
        assert await fetch(server.port) == (200, "new")


async def test_a_reload_to_broken_code_keeps_the_old_workers(shop: Path) -> None:
    async with served("shop:app", shop) as server:
        before = set(workers_of(server.pid))
        (shop / "shop.py").write_text("def broken(:\n")
        server.signal(signal.SIGHUP)
        await server.says("the old workers go on")
        await server.says("SyntaxError")
        await server.says("serving: ")
        assert set(workers_of(server.pid)) == before
        assert (await fetch(server.port))[0] == 200


async def test_a_killed_worker_loses_its_own_requests_only_and_comes_back(shop: Path) -> None:
    async with served("shop:app", shop) as server:
        victim, other = workers_of(server.pid)
        kept = Load(server.port, clients=6)
        opened = Load(server.port, clients=6, per_connection=2)
        async with kept, opened:
            await kept.more(50)
            os.kill(victim, signal.SIGKILL)
            await server.says("was ended by SIGKILL")
            await server.says("is ready")
            await kept.more(50)
            await opened.more(50)
        failures = kept.failures + opened.failures
        assert sum(failures.values()) <= 12, "at most what each client had under way"
        assert not [what for what in failures if what.startswith("connecting")], "nobody was turned away"
        assert len(workers_of(server.pid)) == 2
        assert other in workers_of(server.pid)


async def test_a_worker_that_hangs_shows_its_stack_and_is_replaced(shop: Path) -> None:
    async with served("shop:app", shop, worker_timeout=1.0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /hang HTTP/1.1\r\nhost: x\r\n\r\n")
        await server.says("hangs: its loop has not turned for 1.0 s")
        await server.says("was ended by SIGABRT")
        await server.says(r"shop\.py.* in hang")
        await server.says("is ready")
        assert await reader.read() == b""
        await cut(writer)
        assert {(await fetch(server.port))[0] for _ in range(8)} == {200}


async def test_nobody_waits_for_a_worker_whose_loop_stands_still(shop: Path) -> None:
    rules = {"stale_time": 0.5, "worker_timeout": None}
    async with served("shop:app", shop, rules=rules, worker_timeout=1.0) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /hang HTTP/1.1\r\nhost: x\r\n\r\n")
        await server.says("the loop stands still")
        answers = await asyncio.gather(*(fetch(server.port) for _ in range(32)))
        assert {status for status, _ in answers} == {200}, "half of them had come to the worker that hangs"
        assert len({pid for _, pid in answers}) == 1
        await cut(writer)


async def test_a_worker_is_replaced_after_its_requests_without_losing_one(shop: Path) -> None:
    rules = {"max_requests": 300, "settle_time": 0.0}
    async with served("shop:app", shop, rules=rules, max_requests=300, workers=1) as server:
        async with Load(server.port, clients=4, per_connection=5) as load:
            await server.says(r"has served \d+ requests and is replaced")
            await server.says(r"has served \d+ requests and is replaced")
            await server.says("is ready")
            await load.more(50)
        assert load.failures == {}
        assert len(load.bodies) >= 3


async def test_a_worker_is_replaced_when_it_holds_too_much_memory(shop: Path) -> None:
    rules = {"max_rss": 10 << 20, "settle_time": 0.5}
    async with served("shop:app", shop, rules=rules, workers=1) as server:
        (before,) = workers_of(server.pid)
        await server.says(r"holds \d+ MiB of memory and is replaced")
        await server.says("is ready")
        await gone(before)


async def test_sigterm_to_a_worker_replaces_it_without_losing_a_request(shop: Path) -> None:
    async with served("shop:app", shop) as server, Load(server.port, clients=4, per_connection=2) as load:
        victim, _ = workers_of(server.pid)
        os.kill(victim, signal.SIGTERM)
        await server.says("was told to go and is replaced")
        await gone(victim)
        await load.more(50)
        assert load.failures == {}


async def test_sigterm_lets_requests_under_way_finish(shop: Path) -> None:
    async with served("shop:app", shop) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /slow?seconds=1 HTTP/1.1\r\nhost: x\r\n\r\n")
        await server.says("the slow handler has begun")
        server.signal(signal.SIGTERM)
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        await cut(writer)
        assert await server.ended() == 0


async def test_a_second_signal_cuts_the_waits_short(shop: Path) -> None:
    async with served("shop:app", shop) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /slow?seconds=500 HTTP/1.1\r\nhost: x\r\n\r\n")
        await server.says("the slow handler has begun")
        server.signal(signal.SIGTERM)
        await server.says("stopping")
        server.signal(signal.SIGTERM)
        assert await server.ended(deadline=8) == 0
        await cut(writer)


async def test_workers_do_not_outlive_a_killed_supervisor(shop: Path) -> None:
    async with served("shop:app", shop) as server:
        pids = workers_of(server.pid)
        server.signal(signal.SIGKILL)
        for pid in pids:
            await gone(pid)
        with pytest.raises(OSError, match="Connect"):
            await fetch(server.port)


async def test_an_app_that_cannot_start_ends_the_program_and_says_why(shop: Path) -> None:
    async with served("shop:nothing", shop, wait=False) as server:
        assert await server.ended() == 2
        assert any("no nothing in shop" in line for line in server.lines)


async def test_a_start_that_fails_is_tried_again(shop: Path) -> None:
    with (shop / "shop.py").open("a") as code:
        code.write(
            "\nfrom contextlib import asynccontextmanager\n"
            "@app.lifespan\n@asynccontextmanager\nasync def database(app):\n"
            "    if not Path(__file__).with_name('database').exists():\n"
            "        raise OSError('no database')\n"
            "    yield\n"
        )
    async with served("shop:app", shop, rules={"first_delay": 0.2}, wait=False) as server:
        await server.says("before it was ready; it starts again in 0.2 s")
        await server.says("no database")
        await server.says("before it was ready; it starts again in 0.4 s")
        (shop / "database").touch()
        await server.says("serving: ")


async def test_all_starts_failing_gives_up(shop: Path) -> None:
    with (shop / "shop.py").open("a") as code:
        code.write(
            "\nasync def broken(app):\n    raise OSError('no database')\n    yield\napp.lifespan(broken)\n"
        )
    rules = {"first_delay": 0.01, "max_failed_starts": 3}
    async with served("shop:app", shop, rules=rules, wait=False) as server:
        assert await server.ended() == 1
        assert "3 starts in a row failed" in server.lines[-1]


async def test_a_unix_socket_is_shared_kept_over_reloads_and_removed_at_the_end(shop: Path) -> None:
    path = str(shop / "socket")
    async with served("shop:app", shop, unix_socket=path) as server:
        server.signal(signal.SIGHUP)
        await server.says("serving: ")
        assert {(await fetch(0, path=path))[0] for _ in range(8)} == {200}
        server.signal(signal.SIGTERM)
        assert await server.ended() == 0
        assert not (shop / "socket").exists()


async def test_the_port_of_another_program_is_said_to_be_taken_by_it(shop: Path) -> None:
    async with (
        served("shop:app", shop) as first,
        served("shop:app", shop, port=first.port, wait=False) as second,
    ):
        assert await second.ended() == 2
        assert f"the port is taken by process {first.pid} (" in second.lines[-1]
