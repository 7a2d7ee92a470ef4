"""Endpoints that are looked up: names, SRV records, files; and name servers that fail."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from framework.balancing import Cluster, RoundRobin
from framework.plugins.gateway.config import ClusterConfig
from framework.plugins.gateway.discovery import Discovery, Found, Service, SystemResolver, read_list
from framework.plugins.gateway.upstreams import endpoints_of
from framework.testing import run_virtual


class Names:
    """A name server that says what it is told to say. An exception is raised."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked = 0

    async def addresses(self, host: str, port: int) -> list[str]:
        found: list[str] = self._answer(host)
        return found

    async def services(self, name: str) -> tuple[list[Service], float]:
        found: tuple[list[Service], float] = self._answer(name)
        return found

    def _answer(self, name: str) -> Any:
        self.asked += 1
        answer = self.answers[name.partition(".")[0].lstrip("_")]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Followed:
    def __init__(self, resolver: Names, **config: Any) -> None:
        self.told: list[list[Found]] = []
        self.discovery = Discovery(
            "c", msgspec.convert(config, ClusterConfig), resolver, lambda found: self.told.append(list(found))
        )

    def urls(self) -> list[str]:
        return [one.config.url for one in self.told[-1]]


def test_all_addresses_of_a_name_are_endpoints_and_the_last_good_answer_stays() -> None:
    async def main() -> None:
        names = Names(web=["10.0.0.2", "10.0.0.1", "fd00::1"])
        one = Followed(names, endpoints=["dns+https://web.example:8443", "http://127.0.0.1:1"])
        await one.discovery.open()
        expected = [
            "http://127.0.0.1:1",
            "https://10.0.0.1:8443",
            "https://10.0.0.2:8443",
            "https://[fd00::1]:8443",
        ]
        assert one.urls() == expected
        assert {found.name for found in one.told[-1]} == {None, "web.example"}
        wrong: list[Any] = [OSError("no name server"), [], TimeoutError()]
        for bad in wrong:
            names.answers["web"] = bad
            await asyncio.sleep(70)
            assert one.urls() == expected
        names.answers["web"] = ["10.0.0.9"]
        await asyncio.sleep(70)
        assert one.urls() == ["http://127.0.0.1:1", "https://10.0.0.9:8443"]
        await one.discovery.close()
        assert len(asyncio.all_tasks()) == 1

    run_virtual(main())


def test_srv_records_bring_ports_weights_and_priorities_and_are_asked_again_by_their_ttl() -> None:
    async def main() -> None:
        records = [Service("a", 81, 10, 3000), Service("b", 82, 10, 0), Service("c", 83, 20, 1500)]
        names = Names(http=(records, 120.0))
        one = Followed(names, endpoints=["srv+http://_http._tcp.example"], refresh_interval=30.0)
        await one.discovery.open()
        told = [(found.config.url, found.config.weight, found.config.priority) for found in one.told[-1]]
        assert told == [("http://a:81", 1000, 0), ("http://b:82", 1, 0), ("http://c:83", 500, 1)]
        await asyncio.sleep(100)
        early = names.asked
        await asyncio.sleep(100)
        assert (early, names.asked) == (2, 3)
        await one.discovery.close()

    run_virtual(main())


def test_a_ttl_of_0_g8_neither_spins_nor_stops() -> None:
    async def main() -> None:
        names = Names(http=([Service("a", 81, 0, 0)], 0.0))
        one = Followed(names, endpoints=["srv+http://_http._tcp.example"], refresh_interval=5.0)
        await one.discovery.open()
        await asyncio.sleep(100)
        assert 15 <= names.asked <= 25
        names.answers["http"] = ([Service("b", 82, 0, 0)], 0.0)
        await asyncio.sleep(12)
        assert one.urls() == ["http://b:82"]
        await one.discovery.close()

    run_virtual(main())


def test_health_g8_of_the_only_endpoint_survives_its_leaving_and_coming_back() -> None:
    """kong#5581: after the only target was taken away and put back, it was ill for ever."""
    cluster = Cluster("c", endpoints_of(["http://a:1"]), RoundRobin, clock=lambda: 0.0)
    cluster.update([])
    assert cluster.endpoints == ()
    cluster.update(endpoints_of(["http://a:1"]))
    assert cluster.begin().endpoint.key == "http://a:1"


def test_a_file_lists_endpoints_and_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "endpoints"
    file.write_text("# ours\nhttp://10.0.0.1:80 weight=3 priority=1\n\nunix:/run/app.sock  # a comment\n")
    listed = read_list(file)
    assert [(one.url, one.weight, one.priority) for one in listed] == [
        ("http://10.0.0.1:80", 3, 1),
        ("unix:/run/app.sock", 1, 0),
    ]
    for wrong in ("ftp://x\n", "http://x wieght=2\n", "http://x weight=0\n", "dns+http://x:1\n"):
        file.write_text(f"http://a\n{wrong}")
        with pytest.raises(ValueError, match=r"endpoints:2: "):
            read_list(file)

    async def main() -> None:
        file.write_text("http://a:1\n")
        one = Followed(Names(), file=str(file))
        await one.discovery.open()
        assert one.urls() == ["http://a:1"]
        for text, urls in (("nonsense\n", ["http://a:1"]), ("http://b:2\n", ["http://b:2"])):
            file.write_text(text)
            for _ in range(100):
                await asyncio.sleep(0.05)
                await asyncio.to_thread(lambda: None)
            assert one.urls() == urls
        await one.discovery.close()

    run_virtual(main())


@pytest.mark.anyio
async def test_the_systems_own_resolver_knows_localhost() -> None:
    assert "127.0.0.1" in await SystemResolver().addresses("localhost", 80)
    with pytest.raises(OSError, match=r"."):
        await SystemResolver().addresses("nobody.invalid", 80)
