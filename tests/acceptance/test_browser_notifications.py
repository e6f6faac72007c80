"""Notifications in two browsers, on a server, a worker and a Redis of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from tests.acceptance.accessibility import violations
from tests.acceptance.browser import DESKTOP, PHONE, Page, SplitSite, clean_page, split_site
from tests.acceptance.processes import wait_until
from tests.conftest import RedisServer

pytestmark = pytest.mark.browser

PATH = "/notifications/"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, redis: RedisServer) -> Iterator[SplitSite]:
    with split_site(tmp_path_factory.mktemp("site"), redis.url) as site:
        site.add_worker()
        yield site


class Visitor(Page):
    """Somebody who is signed in, with any number of tabs, of which one is looked at."""

    def open_tab(self, path: str) -> None:
        self.driver.switch_to.new_window("tab")
        self.visit(path)

    def look_at_tab(self, number: int) -> None:
        self.driver.switch_to.window(self.driver.window_handles[number])

    def send(self, text: str, *, level: str = "Info", to: str = "") -> None:
        self.visit(PATH)
        for field, value in (("#to", to), ("#level", level), ("#text", text + Keys.ENTER)):
            self.find(field).send_keys(value)

    def toasts(self) -> list[str]:
        """What is shown, the most urgent first."""
        found: list[str] = self.run(
            "return [...document.querySelectorAll('.toast .text')].map((text) => text.textContent)"
        )
        return found

    def wait_for_toasts(self, *texts: str) -> None:
        wait_until(lambda: self.toasts() == list(texts), 40, f"{texts}, not {self.toasts()}")

    def press(self, key: str) -> None:
        self.driver.switch_to.active_element.send_keys(key)

    def focused(self) -> str:
        """What has the focus, by its name for those who do not see it."""
        element = self.driver.switch_to.active_element
        return element.get_attribute("aria-label") or element.get_attribute("id") or ""

    def dismiss_all(self) -> None:
        while self.toasts():
            self.press(Keys.ESCAPE)


def visitor(driver: webdriver.Chrome, site: SplitSite, name: str) -> Iterator[Visitor]:
    with clean_page(driver, site) as page:
        visitor = Visitor(page.driver, page.site)
        visitor.sign_in(name, PATH)
        yield visitor
        for handle in driver.window_handles[1:]:
            driver.switch_to.window(handle)
            driver.close()
        driver.switch_to.window(driver.window_handles[0])
        visitor.dismiss_all()


@pytest.fixture
def ann(driver: webdriver.Chrome, site: SplitSite) -> Iterator[Visitor]:
    yield from visitor(driver, site, "ann")


@pytest.fixture
def bob(second_driver: webdriver.Chrome, site: SplitSite) -> Iterator[Visitor]:
    yield from visitor(second_driver, site, "bob")


def notify(site: SplitSite, name: str, *texts: str) -> None:
    """As a script does that knows nothing of pages."""
    code = (
        "from django.contrib.auth.models import User; from notifications.notify import notify\n"
        f"for text in {texts!r}: notify(User.objects.get(username={name!r}), text)"
    )
    site.manage("shell", "-c", code)


def test_what_one_sends_shows_in_all_tabs_of_the_other_until_it_is_dismissed_in_one(ann, bob):
    ann.open_tab("/echo/")
    ann.look_at_tab(0)
    ann.run("window.sameDocument = true")
    text = "<b>The 8:15</b> leaves from platform 3 today, and it does not wait for anybody."
    bob.send(text, to="ann", level="Warning")
    bob.wait_for_toasts("Sent to ann.")
    for tab in (0, 1):
        ann.look_at_tab(tab)
        ann.wait_for_toasts(f"bob says: {text}")
    ann.find(".toast button").click()
    for tab in (1, 0):
        ann.look_at_tab(tab)
        ann.wait_for_toasts()
    assert ann.run("return window.sameDocument")
    ann.wait_for_text("#latest", "bob says: <b>The 8:15</b>")
    wait_until(lambda: "not seen yet" not in ann.text("#latest li"), 15, "the list knows of it")
    ann.driver.refresh()
    ann.wait_for_text("#latest", "bob says")
    assert ann.toasts() == []


def test_what_a_script_says_to_somebody_who_is_away_shows_when_they_come(ann, site):
    ann.driver.get("about:blank")
    notify(site, "ann", "while you were away", "and another one")
    ann.visit("/echo/")
    ann.wait_for_toasts("and another one", "while you were away")


def test_all_can_be_done_by_keyboard_alone(ann):
    for text in ["first", "second", "third"]:
        ann.send(text)
        ann.wait_for_text("#notes", text)
    ann.visit(PATH)
    ann.wait_for_toasts("third", "second", "first")
    ann.press("a text that is not sent")
    ann.press(Keys.ESCAPE)
    ann.wait_for_toasts("second", "first")
    assert ann.find("#text").get_attribute("value") == "a text that is not sent"
    assert ann.focused() == "text"
    for _ in range(20):
        ann.press(Keys.TAB)
        if ann.focused().startswith("Dismiss"):
            break
    assert ann.focused() == "Dismiss: second"
    ann.press(Keys.ENTER)
    ann.wait_for_toasts("first")
    assert ann.focused() == "Dismiss: first"
    ann.press(Keys.SPACE)
    ann.wait_for_toasts()
    assert ann.focused() == "main"


def test_urgent_ones_interrupt_those_who_listen_and_others_wait_their_turn(ann):
    for level in ["Info", "Success", "Warning", "Error"]:
        ann.send(f"of level {level}", level=level)
        ann.wait_for_text(".toasts", f"of level {level}")
    ann.visit(PATH)
    ann.wait_for_toasts(*(f"of level {level}" for level in ("Error", "Warning", "Success", "Info")))
    assert [each.get_attribute("role") for each in ann.all(".toasts > div")] == ["alert", "status"]
    for size, prefix in ((DESKTOP, ""), (PHONE, "phone-")):
        ann.resize(*size)
        ann.screenshot(f"{prefix}notifications")
        assert ann.sideways_scroll() <= 0
        assert violations(ann) == []
    ann.resize(*DESKTOP)
    ann.find("#dismiss-all").click()
    ann.wait_for_toasts()


def test_who_cannot_be_found_is_said(ann):
    ann.send("hello", to="nobody")
    ann.wait_for_text("#problem-to", "Nobody here is called nobody.")
    ann.screenshot("notification-to-nobody")


def test_pages_come_back_after_a_restart_with_what_was_said_and_dismissed_meanwhile(ann, site):
    ann.send("before")
    ann.wait_for_text("#notes", "before")
    ann.open_tab("/echo/")
    ann.wait_for_toasts("before")
    site.server.terminate()
    ann.wait_for_text("#state", "Connection lost.")
    notify(site, "ann", "meanwhile")
    ann.press(Keys.ESCAPE)  # "before", in this tab alone as yet
    ann.wait_for_toasts()
    ann.look_at_tab(0)
    assert ann.toasts() == ["before"]
    site.server.start()
    for tab in (0, 1):
        ann.look_at_tab(tab)
        ann.wait_for_toasts("meanwhile")
    assert all("WebSocket connection" in complaint for complaint in ann.complaints())
