"""Files of forms as parameters of handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from msgspec import Struct

from framework import App, Body, Form, Request, Scope
from framework.app.binding import File
from framework.errors import BindingError
from framework.http import multipart_form
from framework.http.multipart_form import UploadedFile
from framework.testing import TestClient

pytestmark = pytest.mark.anyio

Part = tuple[str, str | None, bytes]


class About(Struct):
    title: str
    tags: list[str] = []
    stars: int = 0


def form(*parts: Part) -> dict[str, Any]:
    body = b""
    for name, filename, content in parts:
        told = f'; filename="{filename}"' if filename is not None else ""
        head = f'--edge\r\ncontent-disposition: form-data; name="{name}"{told}\r\n\r\n'
        body += head.encode() + content + b"\r\n"
    return {
        "content": body + b"--edge--\r\n",
        "headers": {"content-type": "multipart/form-data; boundary=edge"},
    }


def app_with(handler: Any, **options: Any) -> TestClient:
    app = App()
    app.post("/", **options)(handler)
    return TestClient(app)


async def test_a_file_is_given_by_its_name() -> None:
    async def upload(photo: UploadedFile) -> dict[str, object]:
        return {"name": photo.filename, "content": (await photo.read()).decode()}

    async with app_with(upload) as client:
        answer = await client.post("/", **form(("other", "o.txt", b"o"), ("photo", "p.txt", b"hello")))
        assert answer.json() == {"name": "p.txt", "content": "hello"}


async def test_files_fields_and_all_other_parameters_together() -> None:
    async def upload(
        album: int,
        about: Annotated[About, Form],
        cover: Annotated[UploadedFile, File("the-cover")],
        photos: Annotated[list[UploadedFile], File],
        notes: Annotated[UploadedFile | None, File] = None,
        *,
        request: Request,
    ) -> list[object]:
        names = [photo.filename for photo in photos]
        return [album, about.title, about.tags, about.stars, cover.size, names, notes, request.method]

    parts: list[Part] = [
        ("title", None, b"spring"),
        ("tags", None, b"a"),
        ("photos", "1.png", b"1"),
        ("tags", None, b"b"),
        ("stars", None, b"3"),
        ("the-cover", "c.png", b"12345"),
        ("photos", "2.png", b"2"),
    ]
    async with app_with(upload) as client:
        answer = await client.post("/?album=7", **form(*parts))
        expected = [7, "spring", ["a", "b"], 3, 5, ["1.png", "2.png"], None, "POST"]
        assert (answer.status, answer.json()) == (200, expected)


async def test_every_fault_is_told_at_once() -> None:
    async def upload(
        album: int, about: Annotated[About, Form], photo: UploadedFile, more: list[UploadedFile]
    ) -> None: ...

    async with app_with(upload) as client:
        answer = await client.post("/?album=x", **form(("stars", None, b"many")))
        assert answer.status == 422
        faults = [(fault["in"], fault["pointer"]) for fault in answer.json()["errors"]]
        assert faults == [
            ("query", "/album"),
            ("form", "/title"),
            ("form", "/stars"),
            ("file", "/photo"),
            ("file", "/more"),
        ]


async def test_a_file_nobody_chose_is_none() -> None:
    async def upload(photo: UploadedFile | None) -> bool:
        return photo is None

    async def must(photo: UploadedFile) -> None: ...

    async with app_with(upload) as client:
        assert (await client.post("/", **form(("photo", "", b"")))).json() is True
        assert (await client.post("/", **form(("photo", "", b"x")))).json() is False
        assert (await client.post("/")).json() is True
        plain = {"content-type": "application/x-www-form-urlencoded"}
        assert (await client.post("/", content=b"a=b", headers=plain)).json() is True
    async with app_with(must) as client:
        answer = await client.post("/", **form(("photo", "", b"")))
        assert (answer.status, answer.json()["errors"][0]["pointer"]) == (422, "/photo")


async def test_sizes_are_bounded() -> None:
    async def upload(small: Annotated[UploadedFile, File(max_size=10)]) -> int:
        return small.size

    async def two(
        small: Annotated[UploadedFile, File(max_size=10)], large: Annotated[UploadedFile, File(max_size=100)]
    ) -> int:
        return small.size

    async with app_with(upload) as client:
        assert (await client.post("/", **form(("small", "s", b"x" * 10)))).json() == 10
        assert (await client.post("/", **form(("small", "s", b"x" * 11)))).status == 413
    async with app_with(two) as client:
        large: Part = ("large", "l", b"x" * 100)
        assert (await client.post("/", **form(large, ("small", "s", b"x" * 10)))).json() == 10
        assert (await client.post("/", **form(large, ("small", "s", b"x" * 11)))).status == 413
    async with app_with(upload, max_body=200) as client:
        assert (await client.post("/", **form(("other", "o", b"x" * 500)))).status == 413


async def test_other_media_types_and_broken_forms() -> None:
    async def upload(photo: UploadedFile) -> None: ...

    async with app_with(upload) as client:
        fields = {"content-type": "application/json"}
        assert (await client.post("/", content=b"{}", headers=fields)).status == 415
        broken = form(("photo", "p", b"x"))
        broken["content"] = broken["content"][:-10]
        assert (await client.post("/", **broken)).status == 400


class Session:
    """A dependency that keeps a file until its clean-up."""

    def __init__(self, photo: list[UploadedFile]) -> None:
        self.photo = photo


class Closing:
    """Notes which files were closed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        close = multipart_form._Spool.close

        async def noted(spool: multipart_form._Spool) -> None:
            self.log.append("closed")
            await close(spool)

        monkeypatch.setattr(multipart_form._Spool, "close", noted)


@pytest.mark.parametrize("way", ["answered", "raised", "refused"])
async def test_files_are_gone_with_the_request(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    closing = Closing(monkeypatch)

    async def upload(photo: UploadedFile, number: int = 0) -> int:
        closing.log.append("handler")
        if way == "raised":
            raise LookupError
        return photo.size

    async with app_with(upload) as client:
        query = "?number=x" if way == "refused" else ""
        answer = await client.post(f"/{query}", **form(("photo", "p", b"x" * 300_000)))
        assert answer.status == {"answered": 200, "raised": 500, "refused": 422}[way]
    assert closing.log == (["closed"] if way == "refused" else ["handler", "closed"])


async def test_a_streamed_answer_may_be_made_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    closing = Closing(monkeypatch)

    async def echo(photo: UploadedFile) -> AsyncIterator[bytes]:
        async for piece in photo:
            closing.log.append("piece")
            yield piece

    content = b"x" * 300_000
    async with app_with(echo) as client:
        answer = await client.post("/", **form(("photo", "p", content)))
        assert answer.body == content
    assert closing.log[-1] == "closed"
    assert closing.log.count("closed") == 1


async def test_what_no_parameter_asks_for_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    write = multipart_form._Spool.write

    async def noted(spool: multipart_form._Spool, data: bytes) -> None:
        written.append(len(data))
        await write(spool, data)

    monkeypatch.setattr(multipart_form._Spool, "write", noted)

    async def upload(photo: UploadedFile) -> int:
        return photo.size

    async with app_with(upload) as client:
        parts: list[Part] = [
            ("junk", "j", b"x" * 100_000),
            ("photo", "p", b"12"),
            ("junk", "j", b"x" * 100_000),
        ]
        assert (await client.post("/", **form(*parts))).json() == 2
    assert sum(written) == 2


async def test_dependencies_close_ahead_of_the_files() -> None:
    log: list[int] = []

    async def session() -> AsyncIterator[Session]:
        made = Session([])
        yield made
        log.append(len(await made.photo[0].read()))

    app = App()
    app.provide(session, scope=Scope.REQUEST)

    @app.post("/")
    async def upload(photo: UploadedFile, session: Session) -> None:
        session.photo.append(photo)

    async with TestClient(app) as client:
        assert (await client.post("/", **form(("photo", "p", b"abc")))).status == 204
    assert log == [3]


@pytest.mark.parametrize(
    ("annotation", "fault"),
    [
        (Annotated[bytes, File], "a file is an UploadedFile or a list of them, not bytes"),
        (Annotated[dict[str, UploadedFile], File], "a file is an UploadedFile or a list of them"),
    ],
)
def test_what_is_no_file_is_refused(annotation: Any, fault: str) -> None:
    def handler(photo): ...  # type: ignore[no-untyped-def]

    handler.__annotations__["photo"] = annotation
    app = App()
    app.post("/")(handler)
    with pytest.raises(BindingError, match=fault):
        app.build(environ={})


def test_a_body_is_a_form_or_json() -> None:
    app = App()

    @app.post("/")
    async def handler(photo: UploadedFile, about: Annotated[About, Body]) -> None: ...

    with pytest.raises(BindingError, match="photo and about both want the body"):
        app.build(environ={})


def test_a_request_without_a_body_has_no_files() -> None:
    app = App()

    @app.get("/")
    async def handler(photo: UploadedFile) -> None: ...

    with pytest.raises(BindingError, match="no body, and so no files"):
        app.build(environ={})
