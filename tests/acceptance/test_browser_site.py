"""Each page of the example site in a real browser, wide and on a phone, by day and by night."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.acceptance.accessibility import tab_problems, violations
from tests.acceptance.browser import (
    DESKTOP,
    MANAGE,
    PHONE,
    Page,
    Site,
    clean_page,
    example_site,
)
from tests.acceptance.processes import Process, wait_until

pytestmark = pytest.mark.browser

#: Pages that the nav does not name.
MORE = ["/headlines/htmx/", "/increment/", "/chat/lobby/"]
#: Pages whose address is not below that of any in the nav, and such with a look of their own.
BESIDE = ["/increment/"]
OF_OTHERS = ["/monitor/"]
PASSWORD = "a password for tests"
#: Somebody of the staff, and something on each page; more than fits, where there may be more.
FURNISH = f"""
from uuid import uuid4
from chat.models import Room
from dashboard.models import Week
from django.contrib.auth.models import User
from headlines.models import Headline
staff = User.objects.create_superuser("staff", password={PASSWORD!r})
somebody = User.objects.create_user("somebody")
room = Room.objects.create(name="Lobby", slug="lobby")
for number in range(40):
    Headline.objects.create(text="Bus %s is on time" % number)
    room.say(somebody if number % 2 else staff, "Line %s" % number, uuid4())
Week.push([12, 19, 3, 5, 2, 3, 9])
Week.push([7, 9, 16, 3, 8, 1, 4])
"""
STILL = {"name": "prefers-reduced-motion", "value": "reduce"}
DARK = {"name": "prefers-color-scheme", "value": "dark"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site with something to see on each page, and somebody who may see it."""
    folder = tmp_path_factory.mktemp("site")
    with example_site(folder) as site:
        command = [*MANAGE, "shell", "-c", FURNISH]
        with Process(command, log=folder / "shell.log", env=site.server.env) as process:
            assert process.wait(60) == 0, process.report()
        yield site


@pytest.fixture
def page(driver: webdriver.Chrome, site: Site) -> Iterator[Page]:
    with clean_page(driver, site) as page:
        yield page


@pytest.fixture
def staff(page: Page) -> Page:
    """The page of somebody who is logged in and may see everything."""
    page.visit("/")
    if page.driver.get_cookie("sessionid") is None:
        page.visit("/admin/login/?next=/")
        page.find("#id_username").send_keys("staff")
        page.find("#id_password").send_keys(PASSWORD + Keys.ENTER)
        wait_until(lambda: page.all("#drawing"), 15, "the start page, logged in")
    return page


def paths(page: Page) -> list[str]:
    """The pages of the site: those in the nav, and some more."""
    page.visit("/")
    named = page.run("return [...document.querySelectorAll('.nav ul a')].map((a) => a.pathname)")
    assert named[:2] == ["/", "/echo/"]
    return [*named, *MORE]


def settle(page: Page, path: str) -> None:
    """Visit a page, and wait for its connection if it shows one."""
    page.visit(path)
    wait_until(
        lambda: all(state == "open" for state in page.run(STATES)), 20, f"{path} to be connected"
    )


STATES = "return [...document.querySelectorAll('.state')].map((state) => state.dataset.state)"


def name_of(path: str) -> str:
    return path.strip("/").replace("/", "-") or "start"


def emulate(page: Page, *features: dict[str, str]) -> None:
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [STILL, *features]})


def assert_none(problems: dict[str, list[str]]) -> None:
    """That no page has a problem; else all of them, by page."""
    found = {path: said for path, said in problems.items() if said}
    assert not found, "\n".join(f"{path}: {text}" for path, said in found.items() for text in said)


def missing_parts(page: Page, path: str) -> list[str]:
    """What each page has one of; that the nav says where one is; and the language."""
    wanted = {"h1": 1, "body > header": 1, "main": 1, "[lang=en]": 1}
    if path not in OF_OTHERS:
        wanted |= {"nav": 1, ".nav [aria-current]": int(path not in BESIDE)}
    counts = {part: len(page.all(part)) for part in wanted}
    return [f"it has {counts[part]} {part}" for part in wanted if counts[part] != wanted[part]]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_each_page_fits_can_be_read_and_used_by_all_and_has_a_name_of_its_own(staff, size):
    titles: dict[str, str] = {}
    problems: dict[str, list[str]] = {}
    prefix = "phone-" if size == PHONE else ""
    for path in paths(staff):
        staff.resize(*size)
        settle(staff, path)
        staff.screenshot(f"{prefix}page-{name_of(path)}")
        problems[path] = violations(staff)
        if staff.sideways_scroll() > 0:
            problems[path].append("it scrolls sideways")
        problems[path] += missing_parts(staff, path)
        problems[path] += tab_problems(staff)
        problems[path] += [f"the console says {text}" for text in staff.complaints()]
        titles.setdefault(staff.driver.title, path)
    assert_none(problems)
    assert sorted(titles.values()) == sorted(paths(staff))


def test_each_page_can_be_read_by_night(staff):
    emulate(staff, DARK)
    try:
        problems = {}
        for path in paths(staff):
            settle(staff, path)
            staff.screenshot(f"dark-page-{name_of(path)}")
            problems[path] = violations(staff, ["color-contrast"])
        assert_none(problems)
    finally:
        emulate(staff)


def test_the_content_is_one_key_away(page):
    page.visit("/thumbnails/")
    page.find("body").send_keys(Keys.TAB)
    skip = page.driver.switch_to.active_element
    assert skip.text == "Skip to the content"
    skip.send_keys(Keys.ENTER)
    assert page.driver.switch_to.active_element.get_attribute("id") == "main"


def test_on_a_phone_the_nav_opens_and_closes_by_keyboard(page):
    page.resize(*PHONE)
    page.visit("/thumbnails/")
    assert not page.find("#nav").is_displayed()
    page.find(".menu").send_keys(Keys.ENTER)
    assert page.find("#nav").is_displayed()
    page.screenshot("phone-nav")
    focused = page.driver.switch_to.active_element
    focused.send_keys(Keys.TAB)
    assert page.driver.switch_to.active_element.text == "Start"
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not page.find("#nav").is_displayed()
    page.find(".menu").click()
    page.driver.find_element(By.LINK_TEXT, "Echo").click()
    wait_until(lambda: page.driver.current_url.endswith("/echo/"), 15, "the echo's page")


def test_who_is_nobody_yet_can_read_the_page_to_sign_in(page):
    page.driver.delete_all_cookies()
    page.visit("/")
    page.find(".who a").click()
    wait_until(lambda: page.all("#username"), 15, "the page to sign in")
    look_at(page, "page-sign-in")


def test_who_is_not_of_the_staff_is_told_so_on_a_page_that_can_be_read(driver, site):
    page = Page(driver, site)  # Django logs the refusal with a traceback
    page.resize(*DESKTOP)
    page.complaints()
    page.driver.delete_all_cookies()
    page.visit("/")
    page.find(".who a").click()
    wait_until(lambda: page.all("#username"), 15, "the page to sign in")
    page.find("#username").send_keys("ann" + Keys.ENTER)
    wait_until(lambda: page.all("#drawing"), 15, "the start page, signed in")
    page.visit("/monitor/")
    assert page.text("h1") == "Not for you"
    look_at(page, "page-refused")
    assert ["403" in complaint for complaint in page.complaints()] == [True]


def look_at(page: Page, name: str) -> None:
    """A page that is not in the nav, wide and on a phone."""
    for size, prefix in [(DESKTOP, ""), (PHONE, "phone-")]:
        page.resize(*size)
        page.run("document.activeElement.blur()")
        page.screenshot(f"{prefix}{name}")
        assert violations(page) == []
        assert tab_problems(page) == []
        assert page.sideways_scroll() <= 0
