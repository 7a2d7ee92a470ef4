"""TLS settings: what is wrong with them is said by key; a broken file never replaces a good one."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from framework.errors import SetupError
from framework.net.settings import ServerSettings, TLSFiles
from framework.net.tls import TLS, Handshakes, renewing
from tests.support.certificates import Authority

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def files(authority: Authority) -> tuple[str, str]:
    return authority.issue("localhost")


def settings(files: tuple[str, str], **more: Any) -> ServerSettings:
    return ServerSettings(**{"tls_certificate": files[0], "tls_key": files[1], **more})


def problems(wrong: ServerSettings) -> tuple[str, ...]:
    with pytest.raises(SetupError) as caught:
        TLS.of(wrong)
    return caught.value.problems


def test_without_a_certificate_there_is_no_tls() -> None:
    assert TLS.of(ServerSettings()) is None


def test_settings_that_need_a_certificate_are_refused_without_one() -> None:
    assert problems(ServerSettings(tls_key="k.pem", tls_client_auth="required")) == (
        "server.tls_key: has no effect without server.tls_certificate",
        "server.tls_client_auth: has no effect without server.tls_certificate",
    )


def test_a_missing_file_is_named_with_its_key(files: tuple[str, str]) -> None:
    assert problems(settings(files, tls_key="/no/key.pem")) == (
        "server.tls_key: /no/key.pem: No such file or directory",
    )
    assert problems(settings(files, tls_certificate="/no/cert.pem")) == (
        "server.tls_certificate: /no/cert.pem: No such file or directory",
    )


def test_the_key_of_another_certificate_is_refused(authority: Authority, files: tuple[str, str]) -> None:
    other = authority.issue("other", stem="other")
    (problem,) = problems(settings(files, tls_key=other[1]))
    assert problem == f"server.tls_key: {other[1]} is not the key of the certificate {files[0]}"


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(
    files: tuple[str, str], tmp_path: Path
) -> None:
    secret = str(tmp_path / "encrypted.key")
    subprocess.run(
        ["openssl", "pkey", "-in", files[1], "-aes256", "-passout", "pass:x", "-out", secret],
        check=True,
        capture_output=True,
    )
    (problem,) = problems(settings(files, tls_key=secret))
    assert problem.startswith(f"server.tls_key: {secret} is encrypted")


def test_files_that_hold_something_else_are_refused(files: tuple[str, str], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("hello")
    assert problems(settings(files, tls_certificate=str(wrong))) == (
        f"server.tls_certificate: {wrong} holds no certificate in PEM form",
    )
    assert problems(settings(files, tls_key=str(wrong))) == (
        f"server.tls_key: {wrong} holds no private key in PEM form",
    )
    wrong.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (problem,) = problems(settings(files, tls_certificate=str(wrong)))
    assert problem.startswith(f"server.tls_certificate: OpenSSL refuses {wrong}")


def test_every_problem_is_told_at_once(files: tuple[str, str]) -> None:
    wrong = settings(
        files,
        tls_ciphers="NONSENSE",
        tls_client_ca="/no/ca.pem",
        tls_client_auth="none",
        tls_hosts={"a_b.example": TLSFiles(certificate="x")},
    )
    assert problems(wrong) == (
        "server.tls_ciphers: OpenSSL knows no cipher of 'NONSENSE'",
        'server.tls_client_ca: has no effect while server.tls_client_auth is "none"',
        "server.tls_client_ca: /no/ca.pem: No such file or directory",
        'server.tls_hosts."a_b.example": is no host name, nor "*." and one',
    )


def test_client_authentication_needs_an_authority(files: tuple[str, str]) -> None:
    (problem,) = problems(settings(files, tls_client_auth="required"))
    assert problem.startswith("server.tls_client_auth: needs server.tls_client_ca")


def test_the_files_of_a_host_are_checked_too(files: tuple[str, str]) -> None:
    wrong = settings(files, tls_hosts={"*.example.com": TLSFiles(certificate=files[0], key="/no/key")})
    assert problems(wrong) == ('server.tls_hosts."*.example.com".key: /no/key: No such file or directory',)


def test_certificate_and_key_may_share_a_file(files: tuple[str, str], tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(Path(files[0]).read_bytes() + Path(files[1]).read_bytes())
    assert TLS.of(ServerSettings(tls_certificate=str(both))) is not None


def test_a_change_of_any_file_is_noticed_once(authority: Authority, tmp_path: Path) -> None:
    own = Authority(tmp_path)
    files = own.issue("localhost")
    tls = TLS(settings(files, tls_client_ca=str(own.file), tls_client_auth="optional"))
    assert not tls.has_changed()
    own.issue("localhost")
    assert tls.has_changed()
    tls.reload()
    assert not tls.has_changed()
    own.file.unlink()
    assert tls.has_changed()
    with pytest.raises(SetupError, match=r"server\.tls_client_ca"):
        tls.reload()
    assert not tls.has_changed(), "a broken file is tried once"


async def test_renewing_looks_again_and_again_and_keeps_the_old_certificate(tmp_path: Path) -> None:
    own = Authority(tmp_path)
    files = own.issue("localhost")
    tls = TLS(settings(files, tls_check_interval=0.01))
    log = logging.getLogger("framework.server")
    with heard(log) as said:
        async with renewing(tls):
            spoil(files[1])
            assert (await said.get()).startswith("the old certificates are kept: server.tls_key")
            own.issue("localhost")
            assert await said.get() == "the certificates were read anew"
    assert said.empty()


@contextmanager
def heard(log: logging.Logger) -> Generator[asyncio.Queue[str]]:
    """What is logged meanwhile."""
    said: asyncio.Queue[str] = asyncio.Queue()
    handler = logging.Handler()
    handler.emit = lambda record: said.put_nowait(record.getMessage())  # type: ignore[method-assign]
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield said
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def spoil(path: str) -> None:
    Path(path).write_text("broken")


async def test_no_handshakes_are_settled_at_once() -> None:
    handshakes = Handshakes()
    assert handshakes.emptied().done()


async def test_a_connection_that_vanishes_in_its_handshake_is_not_waited_for() -> None:
    class Fake:
        pass

    handshakes = Handshakes()
    first, second = Fake(), Fake()
    handshakes.begin(first)  # type: ignore[arg-type]
    handshakes.begin(second)  # type: ignore[arg-type]
    waiting = handshakes.emptied()
    handshakes.end(first)  # type: ignore[arg-type]
    assert not waiting.done()
    del second
    gc.collect()
    assert waiting.done()
    assert len(handshakes) == 0
