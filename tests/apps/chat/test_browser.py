"""Two people in two windows of Chromium: they talk, lose the network, and lose nothing else.

A message on the console, or a request to another host, fails each of these tests.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from framework.plugins.chat.events import Role
from framework.plugins.chat.protocol import Create, Done, Join, Joined, Mute, Post, SetRole
from tests.support.browser import Visit, browsing, needs_chromium

from .serving import Serve, people

pytestmark = [pytest.mark.anyio, needs_chromium, pytest.mark.timeout(120)]

NETWORK = re.compile(r"net::ERR_|WebSocket connection to .* failed")


PLACE_AFTER_LOADING = """async (text) => {
  const scroller = document.getElementById("scroller");
  const find = () => [...document.querySelectorAll("#messages .text")].find((each) => each.textContent === text);
  const count = () => document.querySelectorAll("#messages .message").length;
  const had = count();
  scroller.scrollTop = 10;
  const before = find().getBoundingClientRect().top;
  await new Promise((resolve) => {
    new MutationObserver((_, observer) => {
      if (count() > had) { observer.disconnect(); resolve(); }
    }).observe(document.getElementById("messages"), { childList: true });
    if (count() > had) resolve();
  });
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  return { before, after: find().getBoundingClientRect().top };
}"""
"""Scrolls near the top, and tells where a message was in the window before older ones came, and where after."""


class Windows:
    """Windows of different people, closed at the end, each without a complaint."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.visits: list[Visit] = []

    async def open(self, url: str, name: str, **options: Any) -> Page:
        """A window in which somebody has just come into the lobby."""
        visit = await self._stack.enter_async_context(browsing(**options))
        self.visits.append(visit)
        page = visit.page
        await page.goto(f"{url}/")
        await page.get_by_label("Your name").fill(name)
        await page.get_by_role("button", name="Join the chat").click()
        await expect(page.get_by_role("heading", name="Lobby")).to_be_visible()
        await expect(composer(page)).to_be_enabled()
        return page

    def check(self, *, network_was_lost: bool = False) -> None:
        for visit in self.visits:
            complaints = [
                each for each in visit.complaints if not (network_was_lost and NETWORK.search(each))
            ]
            assert complaints == []
            assert len(visit.hosts) == 1, visit.hosts


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Once is enough: which loop serves makes no difference to a page."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
async def windows() -> AsyncIterator[Windows]:
    async with AsyncExitStack() as stack:
        yield Windows(stack)


def line(index: int, number: int) -> Post:
    """The request that posts one of many numbered lines."""
    return Post(number, "lobby", f"m{index}", f"line {index}")


def composer(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Message", exact=True)


async def say(page: Page, text: str) -> None:
    await composer(page).fill(text)
    await composer(page).press("Enter")


def message(page: Page, text: str) -> Locator:
    return page.locator("#messages .message", has_text=text)


async def texts(page: Page) -> list[str]:
    return await page.locator("#messages .message .text").all_inner_texts()


async def test_two_people_talk_and_see_each_other_typing(serve: Serve, windows: Windows) -> None:
    async with serve() as server:
        ada = await windows.open(server.url, "Ada")
        bob = await windows.open(server.url, "Bob")
        await composer(ada).press_sequentially("Hello B")
        await expect(bob.locator("#typing")).to_have_text("Ada is typing")
        await say(ada, "Hello Bob")
        await expect(message(bob, "Hello Bob")).to_be_visible()
        await expect(bob.locator("#typing")).to_have_text("")
        await expect(bob.locator("#announcer")).to_contain_text("Ada: Hello Bob")
        await say(bob, "Hello Ada <img src=x onerror=alert(1)> https://example.org/a.b).")
        theirs = message(ada, "Hello Ada")
        await expect(theirs).to_contain_text("<img src=x onerror=alert(1)>")
        link = theirs.get_by_role("link")
        assert await link.get_attribute("href") == "https://example.org/a.b"
        assert await link.get_attribute("rel") == "noopener noreferrer nofollow ugc"
        await expect(ada.locator(".message.pending")).to_have_count(0)
        await expect(message(bob, "Hello Ada")).to_contain_text("Seen by Ada")
        windows.check()


async def test_reactions_edits_replies_and_deletions_reach_the_other(serve: Serve, windows: Windows) -> None:
    async with serve() as server:
        ada = await windows.open(server.url, "Ada")
        bob = await windows.open(server.url, "Bob")
        await say(ada, "Tea at fore")
        await message(bob, "Tea at fore").hover()
        await message(bob, "Tea at fore").get_by_role("button", name="React").click()
        await bob.get_by_role("group", name="Emoji").get_by_role("button", name="🎉").click()
        reaction = message(ada, "Tea at fore").get_by_role("button", name="🎉 1: Bob")
        await reaction.click()
        await expect(message(bob, "Tea at fore").get_by_role("button", name="🎉 2")).to_be_visible()
        await composer(ada).press("ArrowUp")
        await expect(ada.locator("#answering")).to_contain_text("Editing your message")
        await say(ada, "Tea at four")
        await expect(message(bob, "Tea at four")).to_contain_text("edited")
        await message(bob, "Tea at four").hover()
        await message(bob, "Tea at four").get_by_role("button", name="Reply").click()
        await say(bob, "I shall be there")
        await expect(message(ada, "I shall be there").locator(".quote")).to_contain_text("Tea at four")
        await message(ada, "You: ").first.hover()
        await message(ada, "You: ").first.get_by_role("button", name="Delete").click()
        await ada.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(bob.locator("#messages .bubble.gone")).to_have_text(
            re.compile("This message was deleted")
        )
        await expect(message(bob, "I shall be there").locator(".quote")).to_contain_text("was deleted")
        windows.check()


async def test_history_comes_by_scrolling_back_and_the_place_is_kept(serve: Serve, windows: Windows) -> None:
    async with serve() as server, people(server.url) as others:
        bob = await others.come("Bob")
        await bob.ask(Joined, lambda number: Create(number, room="lobby", name="Lobby"))
        for index in range(180):
            await bob.ask(Done, partial(line, index))
        ada = await windows.open(server.url, "Ada")
        await expect(message(ada, "line 179")).to_be_in_viewport()
        count = await ada.locator("#messages .message").count()
        assert count < 180, "not all of it came at once"
        # Scrolled to the first that is here: what is before comes, and it stays where it was in the window.
        first = (await texts(ada))[0]
        place = await ada.evaluate(PLACE_AFTER_LOADING, first)
        assert place["after"] == pytest.approx(place["before"], abs=2), place
        while await ada.locator("#beginning").is_hidden():
            await ada.evaluate("document.getElementById('scroller').scrollTop = 0")
            await expect(ada.locator("#messages .message .text").first).not_to_have_text(first)
            first = (await texts(ada))[0]
            if first == "line 0":
                break
        await ada.evaluate("document.getElementById('scroller').scrollTop = 0")
        await expect(ada.locator("#beginning")).to_be_visible()
        shown = [text for text in await texts(ada) if text.startswith("line ")]
        assert shown == [f"line {index}" for index in range(180)]
        await bob.ask(Done, lambda number: Post(number, "lobby", "late", "news from below"))
        await expect(ada.get_by_role("button", name="1 new message: go to the newest")).to_be_visible()
        await expect(message(ada, "line 0").first).to_be_in_viewport()
        await ada.get_by_role("button", name="1 new message: go to the newest").click()
        await expect(message(ada, "news from below")).to_be_in_viewport()
        windows.check()


async def test_the_network_is_lost_and_nothing_else(serve: Serve, windows: Windows) -> None:
    async with serve() as server:
        ada = await windows.open(server.url, "Ada")
        bob = await windows.open(server.url, "Bob")
        await say(ada, "before")
        await expect(message(bob, "before")).to_be_visible()
        await ada.context.set_offline(True)
        await expect(ada.locator("#banner")).to_contain_text("You are offline")
        await say(ada, "written offline 1")
        await say(ada, "written offline 2")
        await expect(message(ada, "written offline 1")).to_contain_text("Will be sent when you are connected")
        for index in range(5):
            await say(bob, f"meanwhile {index}")
        await expect(bob.locator(".message.pending")).to_have_count(0)
        await ada.context.set_offline(False)
        await expect(ada.locator("#status")).to_have_text("Connected")
        await expect(ada.locator(".message.pending")).to_have_count(0)
        await expect(message(bob, "written offline 2")).to_be_visible()
        expected = [
            "before",
            *(f"meanwhile {index}" for index in range(5)),
            "written offline 1",
            "written offline 2",
        ]
        assert await texts(ada) == expected
        assert await texts(bob) == expected
        windows.check(network_was_lost=True)


async def test_the_server_is_gone_and_comes_back_elsewhere_in_time(serve: Serve, windows: Windows) -> None:
    """The outbox outlives a reload without a server, and the resume is whole."""
    async with serve() as server:
        port = int(server.url.rpartition(":")[2])
        ada = await windows.open(server.url, "Ada")
        await say(ada, "one")
        await expect(ada.locator(".message.pending")).to_have_count(0)
    await expect(ada.locator("#banner")).to_contain_text("The connection was lost")
    await say(ada, "two")
    async with serve(port=port) as server, people(server.url) as others:
        heard: list[Any] = []
        bob = await others.come("Bob", heard)
        await bob.ask(Joined, lambda number: Join(number, "lobby"))
        await bob.ask(Done, lambda number: Post(number, "lobby", "x", "while you were away"))
        if await ada.get_by_role("button", name="Try now").is_visible():
            await ada.get_by_role("button", name="Try now").click()
        await expect(ada.locator("#status")).to_have_text("Connected", timeout=20_000)
        await expect(message(ada, "while you were away")).to_have_count(1)
        await expect(message(ada, "two")).to_have_count(1)
        await expect(ada.locator(".message.pending")).to_have_count(0)
        await ada.reload()
        await expect(message(ada, "two")).to_have_count(1)
        assert sorted(await texts(ada)) == ["one", "two", "while you were away"]
        windows.check(network_was_lost=True)


async def test_rooms_unread_counts_and_search(serve: Serve, windows: Windows) -> None:
    async with serve() as server, people(server.url) as others:
        bob = await others.come("Bob")
        await bob.ask(Joined, lambda number: Create(number, room="tea", name="Tea", topic="and cake"))
        ada = await windows.open(server.url, "Ada")
        await ada.get_by_role("button", name=re.compile("^Tea")).click()
        await expect(ada.get_by_role("heading", name="Tea", exact=True)).to_be_visible()
        await ada.get_by_role("button", name=re.compile("^Lobby")).click()
        await bob.ask(Done, lambda number: Post(number, "tea", "a", "lemon cake is here"))
        await bob.ask(Done, lambda number: Post(number, "tea", "b", "and gone"))
        await expect(ada.locator("[data-room=tea] .badge")).to_have_text("2")
        await expect(ada).to_have_title("(2) Lobby")
        await ada.get_by_role("button", name="Search messages").click()
        await ada.get_by_role("searchbox", name="Words in messages").fill("cake")
        await ada.locator(".hit", has_text="lemon cake is here").click()
        await expect(ada.get_by_role("heading", name="Tea", exact=True)).to_be_visible()
        await expect(message(ada, "lemon cake is here")).to_be_focused()
        await expect(ada.locator("[data-room=tea] .badge")).to_have_count(0)
        windows.check()


async def test_a_room_is_made_and_its_owner_moderates(serve: Serve, windows: Windows) -> None:
    async with serve() as server:
        ada = await windows.open(server.url, "Ada")
        bob = await windows.open(server.url, "Bob")
        await ada.get_by_role("button", name="New room or conversation").click()
        await ada.get_by_role("dialog").get_by_label("Name").fill("Garden shed")
        await ada.get_by_role("dialog").get_by_role("button", name="Start").click()
        await expect(ada.get_by_role("heading", name="Garden shed")).to_be_visible()
        await bob.get_by_role("searchbox", name="Find a room").fill("garden")
        await bob.get_by_role("button", name=re.compile("^Garden shed")).click()
        await expect(bob.get_by_role("heading", name="Garden shed")).to_be_visible()
        await ada.get_by_role("button", name="Members, 2 here now").click()
        await ada.locator("#side").get_by_role("button", name="Bob").click()
        await ada.get_by_role("dialog").get_by_role("button", name="Mute 10 min").click()
        await expect(bob.locator("#toasts")).to_contain_text("You are muted in Garden shed")
        await expect(composer(bob)).to_be_disabled()
        await ada.locator("#side").get_by_role("button", name="Bob").click()
        await ada.get_by_role("dialog").get_by_label("Role in this room").select_option("reader")
        await expect(bob.locator("#toasts")).to_contain_text("You are reader in Garden shed")
        await ada.locator("#side").get_by_role("button", name="Bob").click()
        await ada.get_by_role("dialog").get_by_role("button", name="Write to them alone").click()
        await expect(ada.get_by_role("heading", name="Bob")).to_be_visible()
        await say(ada, "just you and me")
        await expect(bob.locator(".room-item", has_text="just you and me")).to_be_visible()
        windows.check()


async def test_what_is_refused_is_shown_and_can_be_given_up(serve: Serve, windows: Windows) -> None:
    async with serve() as server, people(server.url) as others:
        boss = await others.come("Boss")
        await boss.ask(Joined, lambda number: Create(number, room="lobby", name="Lobby"))
        ada = await windows.open(server.url, "Ada")
        await ada.context.set_offline(True)
        await say(ada, "too late")
        user = str(await ada.evaluate("JSON.parse(sessionStorage['chat.person']).user"))
        await boss.ask(Done, lambda number: Mute(number, "lobby", "m", user, 2**42))
        await ada.context.set_offline(False)
        await expect(message(ada, "too late").get_by_role("alert")).to_contain_text("Not sent: you are muted")
        await message(ada, "too late").get_by_role("button", name="Discard").click()
        await expect(message(ada, "too late")).to_have_count(0)
        await boss.ask(Done, lambda number: SetRole(number, "lobby", "r", user, Role.MODERATOR))
        windows.check(network_was_lost=True)


async def test_everything_by_keyboard_alone(serve: Serve, windows: Windows) -> None:
    async with serve() as server, people(server.url) as others:
        bob = await others.come("Bob")
        await bob.ask(Joined, lambda number: Create(number, room="lobby", name="Lobby"))
        await bob.ask(Joined, lambda number: Create(number, room="tea", name="Tea"))
        await bob.ask(Done, lambda number: Post(number, "lobby", "a", "can you hear me?"))
        visit = await windows._stack.enter_async_context(browsing())  # pyright: ignore[reportPrivateUsage]
        windows.visits.append(visit)
        ada = visit.page
        await ada.goto(f"{server.url}/")
        await expect(ada.get_by_label("Your name")).to_be_focused()
        await ada.keyboard.type("Ada")
        await ada.keyboard.press("Enter")
        await expect(composer(ada)).to_be_focused()
        await ada.keyboard.press("Shift+ArrowUp")
        await expect(message(ada, "can you hear me?")).to_be_focused()
        await ada.keyboard.press("+")
        await expect(ada.get_by_role("group", name="Emoji").get_by_role("button").first).to_be_focused()
        await ada.keyboard.press("ArrowRight")
        await ada.keyboard.press("Enter")
        await expect(message(ada, "can you hear me?").locator(".reaction")).to_have_text("❤️1")
        await message(ada, "can you hear me?").focus()
        await ada.keyboard.press("r")
        await expect(composer(ada)).to_be_focused()
        await ada.keyboard.type("loud and clear")
        await ada.keyboard.press("Enter")
        await expect(message(ada, "loud and clear").locator(".quote")).to_be_visible()
        await ada.keyboard.press("Control+k")
        await ada.keyboard.type("tea")
        await expect(ada.get_by_role("button", name=re.compile("^Tea"))).to_be_visible()
        await ada.keyboard.press("Enter")
        await expect(ada.get_by_role("heading", name="Tea", exact=True)).to_be_visible()
        await ada.keyboard.press("Control+Shift+F")
        await expect(ada.get_by_role("searchbox", name="Words in messages")).to_be_focused()
        await ada.keyboard.press("Escape")
        await expect(ada.locator("#side")).to_be_hidden()
        windows.check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_on_a_phone(scheme: str, serve: Serve, windows: Windows) -> None:
    async with serve() as server, people(server.url) as others:
        bob = await others.come("Bob")
        await bob.ask(Joined, lambda number: Create(number, room="tea", name="Tea"))
        ada = await windows.open(
            server.url, "Ada", width=360, height=740, color_scheme=scheme, has_touch=True, is_mobile=True
        )
        await expect(ada.locator("#sidebar")).not_to_be_in_viewport()
        await composer(ada).fill("from a phone, with a word that is " + "long" * 40)
        await ada.get_by_role("button", name="Send").tap()
        await expect(message(ada, "from a phone")).to_be_visible()
        assert await ada.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await ada.get_by_role("button", name="Rooms", exact=True).tap()
        await expect(ada.locator("#sidebar")).to_be_in_viewport()
        await ada.get_by_role("button", name=re.compile("^Tea")).tap()
        await expect(ada.locator("#sidebar")).not_to_be_in_viewport()
        await expect(ada.get_by_role("heading", name="Tea", exact=True)).to_be_visible()
        await ada.get_by_role("button", name=re.compile("^Members")).tap()
        await expect(ada.locator("#side").get_by_role("button", name="Bob")).to_be_visible()
        await ada.get_by_role("button", name="Close members").tap()
        await expect(ada.locator("#side")).to_be_hidden()
        windows.check()
