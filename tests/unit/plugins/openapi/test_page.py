"""The page: what it loads, and what its policy lets it do."""

from __future__ import annotations

import re

from framework.plugins.openapi.page import Assets, content_security_policy, load_assets, page

ASSETS = Assets("abc", {"main.js": (b"", "text/javascript"), "dom.js": (b"", "text/javascript")})


def test_every_link_is_relative() -> None:
    html = page(
        "T", at="/api/docs", document="/api/openapi.json", assets=ASSETS, folder="/api/docs/assets/abc"
    )
    assert re.findall(r'(?:href|src)="([^"]*)"', html) == [
        "docs/assets/abc/icon.svg",
        "docs/assets/abc/style.css",
        "docs/assets/abc/dom.js",
        "docs/assets/abc/main.js",
        "openapi.json",
    ]
    assert 'data-document="openapi.json"' in html


def test_links_where_page_and_document_are_apart() -> None:
    html = page("T", at="/", document="/spec/v1.json", assets=ASSETS, folder="/assets/abc")
    assert 'data-document="spec/v1.json"' in html
    assert 'src="assets/abc/main.js"' in html


def test_titles_are_text() -> None:
    html = page('<script>"&', at="/docs", document="/o", assets=ASSETS, folder="/docs/assets/abc")
    assert "<title>&lt;script&gt;&quot;&amp;</title>" in html


def test_the_page_has_no_inline_script_or_style() -> None:
    html = page("T", at="/docs", document="/o", assets=load_assets(), folder="/docs/assets/abc")
    assert re.findall(r"<script[^>]*>([^<]*)</script>", html) == [""]
    assert "<style" not in html
    assert "style=" not in html
    assert not re.search(r"\son\w+=", html)


def test_the_assets_ask_no_foreign_host_and_make_no_code_of_text() -> None:
    assets = load_assets()
    assert {"main.js", "style.css", "icon.svg"} <= assets.files.keys()
    for name, (content, _) in assets.files.items():
        text = content.decode()
        # Examples of data may hold an address; nothing loads one.
        assert not re.search(r"(?:import|fetch|url|src|href)\W{1,6}https?://", text), name
        assert not re.search(
            r"\beval\b|new Function|innerHTML|outerHTML|insertAdjacent|document\.write", text
        ), name


def test_the_version_changes_with_any_file() -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", load_assets().version)
    assert load_assets().version == load_assets().version


def test_the_policy() -> None:
    policy = content_security_policy()
    assert policy.startswith(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    )
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy


def test_declared_servers_may_be_asked_too() -> None:
    servers: list[str | dict[str, str]] = [
        "https://api.example.com/v1",
        {"url": "http://b.example.com:8080"},
        "/v2",
        "https://{x}.example.com",
    ]
    policy = content_security_policy(servers)
    assert "connect-src 'self' http://b.example.com:8080 https://api.example.com; " in policy


def test_a_server_cannot_widen_the_policy() -> None:
    assert (
        content_security_policy(["https://a;script-src *", "https://b 'unsafe-eval'"])
        == content_security_policy()
    )
