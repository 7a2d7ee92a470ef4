"""Encoded slashes: what goes on as it came, and what is refused; judged by what the upstream received."""

from __future__ import annotations

from typing import Any

import pytest

from framework.errors import HTTPError
from framework.plugins.gateway.slashes import other_reading
from tests.support.gateways import Front, gateway_before
from tests.support.scripted import Peer

pytestmark = pytest.mark.anyio

ROUTES: dict[str, Any] = {
    "all": {},
    "files": {"match": {"path": "/files"}},
    "private": {"match": {"path": "/files/private"}},
    "api": {"match": {"path": "/api"}, "strip": "/api"},
    "projects": {"match": {"pattern": "/projects/{id}/issues"}, "encoded_slash": "always"},
    "renamed": {
        "match": {"pattern": "/names/{name}"},
        "rewrite": "/v2/{name}/x",
        "encoded_slash": "always",
    },
    "tree": {"match": {"pattern": "/tree/{rest:escaped}"}, "rewrite": "/v2/{rest}"},
    "leaves": {"match": {"pattern": "/leaves/{name:path}"}, "rewrite": "/v2/{name}"},
    "twigs": {"match": {"pattern": "/twigs/{name:escaped}"}, "rewrite": "/v2/{name}"},
    "strict": {"match": {"path": "/strict"}, "encoded_slash": "reject"},
    "posts": {"match": {"path": "/posts/new", "methods": ["POST"]}},
    "gone": {"match": {"path": "/gone"}, "redirect": {"to": "/new{path}"}},
}


class Backend:
    def __init__(self) -> None:
        self.targets: list[str] = []

    async def play(self, peer: Peer) -> None:
        while True:
            self.targets.append((await peer.head()).split(b" ")[1].decode())
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


def config(urls: dict[str, str]) -> dict[str, Any]:
    routes = {
        name: route if "redirect" in route else {"cluster": "c", **route} for name, route in ROUTES.items()
    }
    return {"clusters": {"c": {"endpoints": [urls["a"]]}}, "routes": routes}


async def asked(front: Front, target: str) -> tuple[int, bytes]:
    raw = await front.dial()
    raw.write(f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
    answer = await raw.read_to_end()
    return int(answer.split(b" ", 2)[1]), answer


async def test_what_goes_on_goes_on_as_it_came() -> None:
    """Route and target that the upstream gets; the same bytes where no route writes the path anew."""
    backend = Backend()
    async with gateway_before({"a": backend.play}, config) as front:
        for target, sent in {
            "/files/a%2Fb": "/files/a%2Fb",
            "/files/a%2fb?c=d%2fe": "/files/a%2fb?c=d%2fe",
            "/files/%2F": "/files/%2F",
            "/a%2Fb": "/a%2Fb",
            "/url/http%3A%2F%2Fexample.com%2F": "/url/http:%2F%2Fexample.com%2F",
            "http://h/files/a%2fb": "/files/a%2fb",
            "/files/%C3%a9%2f%20": "/files/%C3%a9%2f%20",
            "/files/a%252Fb": "/files/a%252Fb",
            "/files/private/a%2Fb": "/files/private/a%2Fb",
            "/files/./x/../a%2fb": "/files/a%2Fb",
            "/api/a%2fb": "/a%2Fb",
            "/projects/group%2Fname/issues": "/projects/group%2Fname/issues",
            "/names/group%2fname": "/v2/group%2Fname/x",
            "/names/%2Fname": "/v2/%2Fname/x",
            "/tree/a%2Fb/c": "/v2/a%2Fb/c",
            "/leaves/a/b%25": "/v2/a/b%25",
            "/twigs/a%2Fb/%25": "/v2/a%2Fb/%25",
            "/posts%2Fnew": "/posts%2Fnew",  # as /posts/new goes by GET
        }.items():
            status, answer = await asked(front, target)
            assert (status, backend.targets[-1:]) == (200, [sent]), (target, answer)


async def test_what_another_reading_would_lead_elsewhere_is_refused() -> None:
    backend = Backend()
    async with gateway_before({"a": backend.play}, config) as front:
        for target in (
            "/files%2Fa",
            "/files/private%2Fa",
            "/files%2Fprivate",
            "/api%2Fa",
            "/x%2F..%2Ffiles",
            "/files/..%2F..%2Fetc",
            "/files/a%2F..%2F..%2Fetc",
            "/files/%2e%2e%2fetc",
            "/files/a%2F.%2Fb",
            "/files/a%2F..;x%2Fb",
            "/projects/..%2F..%2Fadmin/issues",
            "/names/%2F..%2Fadmin",
            "/names/a%2F..",
            "/strict/a%2Fb",
            "/leaves/a%2Fb",
        ):
            status, answer = await asked(front, target)
            assert (status, backend.targets) == (400, []), (target, answer)


async def test_a_redirect_keeps_it_encoded() -> None:
    async with gateway_before({"a": Backend().play}, config) as front:
        status, answer = await asked(front, "/gone/a%2Fb")
        assert status == 308
        assert b"location: /new/gone/a%2Fb\r\n" in answer


async def test_an_app_of_this_process_gets_it_decoded_and_as_it_came() -> None:
    seen: list[tuple[str, bytes]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        seen.append((scope["path"], scope["raw_path"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    tree = {"routes": {"r": {"handler": "app"}}}
    async with gateway_before({}, lambda urls: tree, handlers={"app": app}) as front:
        assert (await asked(front, "/files/a%2Fb"))[0] == 200
        assert (await asked(front, "/files/..%2Fb"))[0] == 400
    assert seen == [("/files/a/b", b"/files/a%2Fb")]


@pytest.mark.parametrize(
    ("path", "read"),
    [
        ("/a%2Fb", "/a/b"),
        ("/%2Fa", "/a"),
        ("/a/%2F/b%2F", "/a/b/"),
        ("/a%252Fb", "/a%252Fb"),
        ("/...%2Fb", "/.../b"),
    ],
)
def test_the_other_reading(path: str, read: str) -> None:
    assert other_reading(path) == read


@pytest.mark.parametrize("path", ["/..%2Fa", "/a%2F..", "/a%2F.%2Fb", "/a%2F..;b%2Fc", "/a%2F.;b"])
def test_dot_segments_of_the_other_reading_are_refused(path: str) -> None:
    with pytest.raises(HTTPError) as caught:
        other_reading(path)
    assert caught.value.status == 400
