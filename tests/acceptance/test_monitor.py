"""The live page in a real browser: its figures are what was sent, and what it does is done."""

from __future__ import annotations

import json
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from channels_classic.monitor import viewers
from tests.acceptance.browser import DESKTOP, PHONE, Page, Site
from tests.acceptance.monitored import WatchedSite
from tests.acceptance.processes import wait_until
from tests.conftest import RedisServer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

#: Messages that are sent to one channel while the page is looked at, and channels of a large site.
MANY, CHANNELS = 2000, 900
#: What the rows of a table say, by the first cell and then by the heads.
ROWS = """
const [table] = document.querySelectorAll(`${arguments[0]} table`);
const heads = [...table.querySelectorAll("thead tr:last-child th")].map((each) => each.innerText);
return Object.fromEntries([...table.querySelectorAll("tbody tr")].map((row) => [
    row.children[0].innerText,
    Object.fromEntries([...row.children].map((cell, index) => [heads[index], cell.innerText])),
]));
"""


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """One of its own: it goes away for a while."""
    folder = Path(tempfile.mkdtemp(prefix="channels-redis-"))
    server = RedisServer(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, redis: RedisServer) -> Iterator[WatchedSite]:
    """A server and two workers."""
    made = WatchedSite(tmp_path_factory.mktemp("watched"), redis.url)
    try:
        made.prepare()
        made.web = made.server()
        made.first, made.second = made.worker("--threads", "2"), made.worker()
        yield made
    finally:
        made.stop()


@pytest.fixture
def page(driver: webdriver.Chrome, site: WatchedSite) -> Iterator[Page]:
    """The live page as the boss sees it; its console must be clean in the end."""
    page = Page(driver, Site(site.url, site.web))
    page.resize(*DESKTOP)
    log_in(page, site, "boss")
    page.complaints()  # of the page before
    page.visit("/monitor/")
    page.wait_for_text("#state", "Live")
    yield page
    assert page.complaints() == []


def log_in(page: Page, site: WatchedSite, name: str) -> None:
    cookie = {"url": site.url, "name": "sessionid", "value": site.sessions[name]}
    page.driver.execute_cdp_cmd("Network.setCookie", cookie)


def channels(page: Page) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = page.run(ROWS, "#channels")
    return found


def figure(page: Page, name: str) -> str:
    return page.text(f"[data-figure={name}]")


def totals(stats: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Of each channel what is counted, under the heads that page and terminal have."""
    keys = {
        "Sent": "messages_count",
        "Failed": "failed_count",
        "Retried": "retried_count",
        "Dead": "dead_count",
        "Refused": "channel_full_count",
        "Lost": "lost_count",
    }
    return {
        each["name"]: {
            "Completed": each["completed"],
            "Waiting": each["waiting"],
            "Delayed": each["delayed"],
            **{head: each["counts"].get(key, 0) for head, key in keys.items()},
        }
        for each in stats["channels"]
    }


#: What comes of each message to the channels of the site.
WELL = {"Sent": 1, "Completed": 1}
FAILING = {"Sent": 1, "Completed": 3, "Failed": 3, "Retried": 2, "Dead": 1}
UNREAD = {"Sent": 1, "Waiting": 1}
DELAYED = {"Sent": 1, "Delayed": 1}


def expected(
    before: dict[str, dict[str, int]], *sent: tuple[str, int, dict[str, int]]
) -> dict[str, dict[str, int]]:
    """The figures after some messages to some channels."""
    after = {name: dict(figures) for name, figures in before.items()}
    for name, number, each in sent:
        figures = after.setdefault(name, dict.fromkeys(after["work.well"], 0))
        for head, count in each.items():
            figures[head] += number * count
    return {name: after[name] for name, _, _ in sent}


def shown(found: dict[str, dict[str, Any]], wanted: dict[str, dict[str, int]]) -> dict[str, Any]:
    """Of what a page or terminal shows, that which is expected to be something."""
    return {
        name: {head: whole(found.get(name, {}).get(head)) for head in figures}
        for name, figures in wanted.items()
    }


def whole(cell: Any) -> int | None:
    return None if cell is None else int(float(str(cell).replace(",", "")))


def capitals(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The rows of ``top`` under the heads of the page."""
    return {
        name: {head.capitalize(): cell for head, cell in row.items()} for name, row in found.items()
    }


def eventually(get: Callable[[], Any], wanted: Any, within: float = 30) -> None:
    """Until ``get`` gives what is wanted; the error shows what it gave instead."""
    last: list[Any] = []

    def is_there() -> bool:
        last[:] = [get()]
        return bool(last[0] == wanted)

    try:
        wait_until(is_there, within)
    except AssertionError:
        assert last[0] == wanted


# What is shown ------------------------------------------------------------------------------


def test_page_terminal_and_script_show_what_was_sent(
    page: Page, site: WatchedSite, tmp_path: Path
) -> None:
    stats = site.stats()
    before, dead, delayed = totals(stats), stats["dead"], stats["delayed"]
    site.send("work.well", MANY)
    wait_until(lambda: figure(page, "in") not in ("0", "–"), 20, "messages come in")
    site.send("work.failing", 5, mended=str(tmp_path / "never"))
    site.send("work.unread", 7)
    site.send("work.slow", 1, until=str(tmp_path / "end"))
    for number in range(3):
        later = site.layer.prepare("work.well", {"number": number}, delay=3000)
        site.layer.deliver([later])
    wanted = expected(
        before,
        ("work.well", MANY, WELL),
        ("work.well", 3, DELAYED),
        ("work.failing", 5, FAILING),
        ("work.unread", 7, UNREAD),
    )
    eventually(lambda: shown(channels(page), wanted), wanted)
    eventually(lambda: figure(page, "sockets"), "1")  # the one of this page
    with site.sockets(6):
        eventually(lambda: figure(page, "sockets"), "7")
    assert figure(page, "letters") == str(dead + 5)
    assert figure(page, "delayed") == str(delayed + 3)
    assert channels(page)["work.unread"]["Workers"] == "0"
    assert channels(page)["work.well"]["Workers"] == "2"
    assert_slow_is_shown(page)
    eventually(lambda: shown(totals(site.stats()), wanted), wanted)
    line, rows = site.top()
    assert shown(capitals(rows), wanted) == wanted
    assert f"  dead {dead + 5}  " in line
    assert f"  delayed {delayed + 3}  " in line
    take_pictures(page)
    (tmp_path / "end").touch()
    eventually(lambda: page.texts("#workers [data-channel='work.slow']"), [])


def assert_slow_is_shown(page: Page) -> None:
    """With its channel, its consumer, and seconds that grow."""

    def running() -> list[str]:
        return page.texts("#workers [data-channel='work.slow']")

    eventually(lambda: len(running()), 1)
    assert "bus.consumers.slow" in running()[0]
    seconds = float(running()[0].split()[0])
    wait_until(lambda: float(running()[0].split()[0]) > seconds + 1, 20, "it goes on")


def take_pictures(page: Page) -> None:
    page.find("#letters summary").click()
    page.wait_for_text("#letters .inside", "ValueError: photo")
    assert "<b>no</b>" in page.text("#letters summary")  # it is text, and no markup
    page.resize(DESKTOP[0], page.run("return document.documentElement.scrollHeight"))
    page.screenshot("monitor")
    emulate(page, "prefers-color-scheme", "dark")
    page.screenshot("monitor-dark")
    emulate(page, "prefers-color-scheme", "light")
    page.resize(*PHONE)
    wait_until(lambda: page.sideways_scroll() <= 0, 10, "it fits a phone")
    page.screenshot("phone-monitor")
    page.resize(PHONE[0], page.run("return document.documentElement.scrollHeight"))
    page.screenshot("phone-monitor-whole")
    page.resize(*DESKTOP)


def emulate(page: Page, name: str, value: str) -> None:
    features = {
        "features": [
            {"name": name, "value": value},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
    }
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", features)


def test_the_chart_has_figures_when_the_page_is_opened(page: Page, site: WatchedSite) -> None:
    wait_until(lambda: len(site.layer.ledger.recorded(10)) > 5, 30, "some samples")
    page.visit("/monitor/")
    opening = json.loads(page.find("#opening").get_attribute("textContent"))
    assert len(opening["history"]) >= 5
    assert page.all("#charts polyline")
    page.find("#chart-table summary").click()
    wait_until(lambda: len(page.all("#chart-table tbody tr")) >= 5, 10, "the same as a table")
    page.wait_for_text("#state", "Live")


# What is done -------------------------------------------------------------------------------


def test_dead_letters_are_put_back_and_deleted_on_the_page(
    page: Page, site: WatchedSite, tmp_path: Path
) -> None:
    mended = tmp_path / "mended"
    site.layer.delete_dead(site.layer.dead_letters())

    def completed() -> int:
        return totals(site.stats())["work.failing"]["Completed"]

    before = completed()
    site.send("work.failing", 4, mended=str(mended))
    eventually(lambda: len(page.all("#letters .letter")), 4)
    eventually(completed, before + 4 * FAILING["Completed"])  # workers count once a second
    mended.touch()
    press(page, "#letters .letter", "Requeue")
    eventually(lambda: len(page.all("#letters .letter")), 3)
    page.wait_for_text("#letters-note", "1 dead letter put back.")
    eventually(completed, before + 4 * FAILING["Completed"] + 1)
    press(page, "#letters .letter", "Delete")
    eventually(lambda: figure(page, "letters"), "2")
    page.find("#deeds [value=requeue]").click()
    page.wait_for_text("#ask-text", "Put back all dead letters?")
    page.find("#ask [value=no]").click()
    page.find("#deeds [value=delete]").click()
    page.wait_for_text("#ask-text", "Delete for good all dead letters?")
    page.find("#ask-yes").click()
    page.wait_for_text("#letters-note", "2 dead letters deleted.")
    page.wait_for_text("#letters", "No dead letters.")
    assert list(site.layer.dead_letters()) == []
    said = site.first.output() + site.second.output()
    assert "boss has put back 1 dead letter(s): " in said
    assert "boss has deleted 2 dead letter(s): " in said


def test_who_uses_the_keyboard_keeps_the_place_when_something_goes(
    page: Page, site: WatchedSite, tmp_path: Path
) -> None:
    site.layer.delete_dead(site.layer.dead_letters())
    site.send("work.failing", 4, mended=str(tmp_path / "never"))
    eventually(lambda: len(page.all("#letters .letter")), 4)
    first, second, third, fourth = page.run(LETTERS)
    focus(page, f"[data-id='{second}'] summary")
    site.layer.delete_dead([each for each in site.layer.dead_letters() if each.id == first])
    eventually(lambda: page.run(LETTERS), [second, third, fourth])
    assert page.run(FOCUSED) == [second, "SUMMARY"]
    delete(page, second)
    eventually(lambda: page.run(LETTERS), [third, fourth])
    assert page.run(FOCUSED) == [third, "SUMMARY"]
    delete(page, fourth)
    eventually(lambda: page.run(LETTERS), [third])
    assert page.run(FOCUSED) == [third, "SUMMARY"]
    focus(page, "#deeds [value=delete]").send_keys(Keys.ENTER)
    page.wait_for_text("#ask-text", "Delete for good all dead letters?")
    page.find("#ask-yes").send_keys(Keys.ENTER)
    page.wait_for_text("#letters", "No dead letters.")
    assert page.run(FOCUSED) == ["letters", "UL"]
    focus(page, "#groups thead button")
    page.run(FILTER, "unheard-of")
    page.wait_for_text("#groups", "No groups.")
    assert page.run(FOCUSED) == ["groups", "DIV"]


LETTERS = "return [...document.querySelectorAll('.letter')].map((each) => each.dataset.id)"
#: Where the focus is: in which letter, or the id; and its tag.
FOCUSED = """
const element = document.activeElement;
return [element.closest(".letter")?.dataset.id ?? element.id, element.tagName];
"""
FILTER = """
const field = document.getElementById("filter-text");
field.value = arguments[0];
field.dispatchEvent(new Event("input"));
"""


def focus(page: Page, selector: str) -> WebElement:
    element = page.find(selector)
    page.run("arguments[0].focus()", element)
    return element


def delete(page: Page, letter: str) -> None:
    """By the keyboard."""
    focus(page, f"[data-id='{letter}'] .danger").send_keys(Keys.ENTER)


def press(page: Page, block: str, name: str) -> None:
    """The button with this name in the first of these blocks."""
    buttons = page.find(block).find_elements(By.TAG_NAME, "button")
    next(each for each in buttons if each.text == name).click()


def test_a_clerk_looks_and_has_no_buttons(
    driver: webdriver.Chrome, site: WatchedSite, tmp_path: Path
) -> None:
    site.send("work.failing", 1, mended=str(tmp_path / "never"))
    page = Page(driver, Site(site.url, site.web))
    log_in(page, site, "clerk")
    page.visit("/monitor/")
    wait_until(lambda: page.all("#letters .letter"), 30, "the dead letter")
    assert not [each for each in page.all("#letters button, #deeds") if each.is_displayed()]


@pytest.mark.parametrize("name", ["guest", ""])
def test_others_are_refused_page_and_socket(site: WatchedSite, name: str) -> None:
    headers = {"Cookie": f"sessionid={site.sessions[name]}"} if name else {}
    request = urllib.request.Request(f"{site.url}/monitor/", headers=headers)
    if name:
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=20)
    else:
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.url == f"{site.url}/admin/login/?next=/monitor/"
    address = f"ws://127.0.0.1:{site.port}/monitor/live/"
    with pytest.raises(InvalidStatus, match="403"):
        connect(address, additional_headers=headers, proxy=None)


def test_a_page_of_another_site_is_refused_the_socket(site: WatchedSite) -> None:
    headers = {"Cookie": f"sessionid={site.sessions['boss']}"}
    address = f"ws://127.0.0.1:{site.port}/monitor/live/"
    with connect(address, additional_headers=headers, proxy=None) as socket:
        assert "frame" in json.loads(socket.recv(20))
    with pytest.raises(InvalidStatus, match="403"):
        connect(address, additional_headers=headers, origin="https://evil.example", proxy=None)


# What goes away -----------------------------------------------------------------------------


def test_a_killed_worker_goes_and_an_outage_is_told_until_it_is_over(
    page: Page, site: WatchedSite
) -> None:
    def pids() -> set[str]:
        return set(
            page.run("return [...document.querySelectorAll('.worker')].map((e) => e.dataset.pid)")
        )

    eventually(pids, {str(site.first.pid), str(site.second.pid)})
    site.first.kill()
    eventually(pids, {str(site.second.pid)})
    page.wait_for_text("#state", "Live")
    site.second.kill()
    page.wait_for_text("#state", "Nothing heard since")
    page.wait_for_text("#problem", "No figures come: is a worker running")
    page.screenshot("monitor-silent")
    site.first, site.second = site.worker("--threads", "2"), site.worker()
    eventually(pids, {str(site.first.pid), str(site.second.pid)})
    page.wait_for_text("#state", "Live")
    assert not page.find("#problem").is_displayed()


def test_the_page_comes_back_by_itself_after_the_server_was_away(
    page: Page, site: WatchedSite
) -> None:
    page.run("window.sameDocument = true")
    site.web.terminate()
    page.wait_for_text("#state", "Connection lost")
    site.web = site.server()
    page.wait_for_text("#state", "Live")
    assert page.run("return window.sameDocument")
    assert all("WebSocket" in each for each in page.complaints())


def test_the_page_goes_on_when_redis_has_lost_everything(
    page: Page, site: WatchedSite, redis: RedisServer
) -> None:
    redis.stop()
    page.wait_for_text("#state", "Nothing heard since")
    redis.start()
    page.wait_for_text("#state", "Live")
    eventually(lambda: who_looks(site), [site.sessions["boss"]])  # who was asked for again
    page.wait_for_text("#state", "Live")


def who_looks(site: WatchedSite) -> list[str | None]:
    """The sessions of the sockets that get frames, as far as they are known."""
    members = list(site.layer.group_channels(viewers.GROUP))
    known = site.layer.attached(members, viewers.KEY)
    return [None if each is None else each["session"] for each in known]


# Last, as it leaves many channels behind, of which a page shows fifty ------------------------


def test_a_page_of_a_large_site_stays_quick_and_a_filter_looks_through_all_of_it(
    page: Page, site: WatchedSite
) -> None:
    for number in range(CHANNELS):
        site.send(f"many.number{number}", 1)
    wait_until(lambda: int(page.text("#channels-count").split()[-1]) > CHANNELS, 30, "all of them")
    assert len(channels(page)) == 50
    began = page.text("#clock")
    page.find("#filter-text").send_keys("number77")
    seventies = [f"many.number77{digit}" for digit in range(10)]
    eventually(lambda: sorted(channels(page)), ["many.number77", *seventies])
    page.find("#filter-text").clear()
    page.find("#filter-text").send_keys("unheard-of")
    page.wait_for_text("#channels", "No channels.")
    wait_until(lambda: page.text("#clock") != began, 10, "frames go on")


def test_the_page_is_used_by_keyboard(page: Page, site: WatchedSite) -> None:
    head = page.find("#channels thead tr:last-child th:nth-child(2)")
    head.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert head.get_attribute("aria-sort") == "descending"
    waiting = [whole(cell) for cell in page.texts("#channels tbody td:nth-child(2)")]
    assert waiting == sorted(waiting, reverse=True)
    summary = page.find("#chart-table summary")
    summary.send_keys(Keys.ENTER)
    wait_until(lambda: page.all("#chart-table tbody tr"), 10, "the table of the chart")
