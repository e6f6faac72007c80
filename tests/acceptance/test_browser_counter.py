"""The counter in two browsers at once: what one presses, the other shows."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from tests.acceptance.accessibility import tab_problems, violations
from tests.acceptance.browser import (
    DESKTOP,
    PHONE,
    Happens,
    Page,
    Site,
    clean_page,
    example_site,
    socket_in_hand,
)
from tests.acceptance.processes import wait_until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with example_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def page(driver: webdriver.Chrome, site: Site) -> Iterator[Page]:
    with clean_page(driver, site) as page:
        yield page


@pytest.fixture
def other(second_driver: webdriver.Chrome, site: Site) -> Iterator[Page]:
    with clean_page(second_driver, site) as page:
        yield page


def api(site: Site, *, add: bool = False) -> int:
    """What the API reads, or what it has raised the counter to."""
    path = "/api/counter/increment/" if add else "/api/counter/"
    request = urllib.request.Request(site.url + path, method="POST" if add else "GET")
    with urllib.request.urlopen(request, timeout=20) as answer:
        value: int = json.load(answer)["value"]
        return value


def open_live(page: Page, path: str) -> None:
    page.visit(path)
    page.wait_for_text("#state", "Connected")
    page.run("window.sameDocument = true")


def shown(page: Page) -> tuple[int, str]:
    """The number as it is read out, and the digits on the flaps."""
    digits = "return [...document.querySelectorAll('.flap')].map((f) => f.dataset.digit).join('')"
    return int(page.run("return document.getElementById('value').textContent")), page.run(digits)


def wait_for(page: Page, value: int) -> None:
    wait_until(lambda: shown(page) == (value, f"{value:04d}"), 40, f"the counter at {value}")


def test_a_press_in_one_browser_shows_in_the_other_without_a_reload(page, other, site):
    before = api(site)
    open_live(page, "/increment/")
    open_live(other, "/counter/")
    wait_for(other, before)
    for _ in range(3):
        page.find("#press").click()
    page.wait_for_text("#presses", "You added 3.")
    for each in (page, other):
        wait_for(each, before + 3)
        assert each.run("return window.sameDocument")
    assert api(site) == before + 3
    page.screenshot("counter-increment")
    other.screenshot("counter")


def test_what_the_api_adds_shows_in_every_browser(page, other, site):
    open_live(page, "/counter/")
    open_live(other, "/increment/")
    value = [api(site, add=True) for _ in range(5)][-1]
    wait_for(page, value)
    wait_for(other, value)


def test_the_button_is_pressed_by_keyboard_alone(page, other, site):
    before = api(site)
    open_live(other, "/counter/")
    open_live(page, "/counter/")
    for _ in range(30):
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        if "/increment/" in (page.driver.switch_to.active_element.get_attribute("href") or ""):
            break
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.wait_for_text("h1", "Raise the counter")
    page.wait_for_text("#state", "Connected")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)  # the button has the focus already
    page.wait_for_text("#presses", "You added one.")
    page.driver.switch_to.active_element.send_keys(Keys.SPACE)
    wait_for(other, before + 2)


def test_without_scripts_the_form_does_it(page, other, site):
    before = api(site)
    open_live(other, "/counter/")
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.visit("/increment/")
        page.find("#press").click()
        wait_for(other, before + 1)
        wait_for(page, before + 1)
        page.screenshot("counter-without-scripts")
    finally:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@pytest.fixture
def happens(page: Page) -> Iterator[Happens]:
    with socket_in_hand(page) as happens:
        yield happens


def test_a_late_smaller_value_never_replaces_a_larger_one(page, site, happens):
    value = api(site, add=True)
    open_live(page, "/counter/")
    wait_for(page, value)
    for late in (value + 2, value + 1, value):
        happens("message", value=late)
        assert shown(page)[0] == value + 2


def test_a_connection_starts_from_the_stored_value_whatever_overtakes_it(page, site, happens):
    value = api(site, add=True)
    open_live(page, "/counter/")
    wait_for(page, value)
    happens("open")
    happens("message", value=value - 1)
    assert shown(page)[0] == value
    happens("message", value=value + 3)
    happens("message", value=value + 2, stored=True)
    assert shown(page)[0] == value + 3
    happens("open")
    happens("message", value=12345678, stored=True)
    assert shown(page) == (12345678, "12345678")
    happens("open")
    happens("message", value=7, stored=True)  # as when the database was emptied
    assert shown(page) == (7, "0007")


def test_after_a_reconnect_the_page_shows_the_current_value(page, site):
    open_live(page, "/counter/")
    assert site.server.terminate() == 0
    page.wait_for_text("#state", "Connection lost.")
    page.screenshot("counter-lost")
    site.server.start()
    site.server.wait_for_port(int(site.url.rpartition(":")[2]))
    value = api(site, add=True)
    wait_for(page, value)
    assert page.run("return window.sameDocument")
    assert all("WebSocket connection" in complaint for complaint in page.complaints())


def test_a_press_while_the_server_is_away_is_answered_with_a_clear_message(page, site):
    open_live(page, "/increment/")
    assert site.server.terminate() == 0
    page.find("#press").click()
    page.wait_for_text("#problem", "The server cannot be reached. Try again.")
    page.screenshot("counter-away")
    site.server.start()
    page.wait_for_text("#state", "Connected", 60)  # it is tried again after 15 s at most
    page.find("#press").click()
    page.wait_for_text("#presses", "You added one.")
    assert not page.find("#problem").is_displayed()
    assert all("ERR_CONNECTION_REFUSED" in complaint for complaint in page.complaints())


@pytest.mark.parametrize(("name", "path"), [("counter", "/counter/"), ("increment", "/increment/")])
def test_pages_fit_a_phone_and_a_desktop(page, name, path):
    for width, size in (("phone", PHONE), ("desktop", DESKTOP)):
        page.resize(*size)
        open_live(page, path)
        page.screenshot(f"counter-{width}-{name}")
        assert page.sideways_scroll() <= 0
        assert violations(page) + tab_problems(page) == []
