"""The example site in a real browser: the start page, the echo, and headlines that all see."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from tests.acceptance.browser import Page, Site, clean_page, example_site
from tests.acceptance.processes import Process, wait_until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with example_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def page(driver: webdriver.Chrome, site: Site) -> Iterator[Page]:
    with clean_page(driver, site) as page:
        yield page


def say(page: Page, text: str) -> None:
    page.find("#text").send_keys(text + Keys.ENTER)


def test_the_start_page_names_the_layer_and_leads_to_each_app(page):
    page.visit("/")
    page.screenshot("start")
    assert page.text("#layer") == "InMemoryChannelLayer"
    for path in ["/echo/", "/headlines/", "/thumbnails/"]:
        page.visit("/")
        page.find(f"main a[href='{path}']").click()
        wait_until(lambda path=path: page.driver.current_url == page.site.url + path, 10, path)


def test_the_echo_answers_what_is_typed_in_order(page):
    page.visit("/echo/")
    page.wait_for_text("#state", "Connected")
    say(page, "hello world")
    page.wait_for_text("#log", "You said: hello world")
    for number in range(20):
        say(page, f"number {number}")
    page.wait_for_text("#log", "You said: number 19")
    answers = [line.splitlines()[0] for line in page.texts("#log .answer")]
    assert answers == ["You said: hello world", *(f"You said: number {n}" for n in range(20))]
    page.screenshot("echo")


def test_bytes_come_back_as_they_went_and_the_time_of_the_trips_is_told(page):
    page.visit("/echo/")
    page.wait_for_text("#state", "Connected")
    say(page, "hello")
    page.wait_for_text("#log", "You said: hello")
    page.find("#send-bytes").click()
    page.wait_for_text("#log .answer", "1,024 bytes came back, all the same")
    assert re.fullmatch(r"Round trips: 2, median \d+ ms, slowest \d+ ms", page.text("#trips"))


def test_the_echo_shows_markup_as_the_text_it_is(page):
    page.visit("/echo/")
    page.wait_for_text("#state", "Connected")
    say(page, '<b>ünïcode</b> & "quotes" ✓')
    page.wait_for_text("#log", 'You said: <b>ünïcode</b> & "quotes" ✓')


def test_the_echo_can_be_reached_and_used_by_keyboard_alone(page):
    page.visit("/")
    for _ in range(20):
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        if page.driver.switch_to.active_element.get_attribute("href") == page.site.url + "/echo/":
            break
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    wait_until(lambda: page.driver.current_url.endswith("/echo/"), 10, "the echo's page")
    page.wait_for_text("#state", "Connected")
    page.driver.switch_to.active_element.send_keys("by keyboard" + Keys.ENTER)
    page.wait_for_text("#log", "You said: by keyboard")


def test_the_echo_comes_back_by_itself_after_the_server_was_away(page):
    page.visit("/echo/")
    page.wait_for_text("#state", "Connected")
    page.site.server.terminate()
    page.wait_for_text("#state", "Connection lost.")
    assert not page.find("#send").is_enabled()
    page.site.server.start()
    page.wait_for_text("#state", "Connected")
    say(page, "still here?")
    page.wait_for_text("#log", "You said: still here?")
    assert all("WebSocket connection" in complaint for complaint in page.complaints())


# Headlines, by server-sent events -----------------------------------------------------------


def headlines(page):
    return page.texts("#headlines li")


def post(page, text):
    page.find("#text").send_keys(text + Keys.ENTER)
    page.wait_for_text("#headlines", text)


@pytest.mark.parametrize("path", ["/headlines/", "/headlines/htmx/"])
def test_a_headline_appears_without_a_reload_and_as_the_text_it_is(page, path):
    page.visit(path)
    texts = [f"Bus on time at {path}", f"<b>bold</b> & größer ✓ {path}"]
    for text in texts:
        post(page, text)
    assert headlines(page)[-2:] == texts
    page.screenshot("headlines" if path == "/headlines/" else "headlines-htmx")


def test_both_pages_show_the_same_headlines(page):
    page.visit("/headlines/")
    post(page, "Seen by all")
    seen = headlines(page)
    page.visit("/headlines/htmx/")
    page.wait_for_text("#headlines", "Seen by all")
    assert headlines(page) == seen


@pytest.mark.parametrize("path", ["/headlines/", "/headlines/htmx/"])
def test_a_browser_gets_what_it_missed_while_the_server_was_away(page, path):
    page.visit(path)
    before, missed, after = (f"{when} on {path}" for when in ("before", "missed", "after"))
    post(page, before)
    page.run("window.sameDocument = true")
    server = page.site.server
    assert server.terminate() == 0
    code = f"from headlines.models import Headline; Headline.objects.create(text={missed!r})"
    log = server.log.parent / "shell.log"
    with Process([*server.command[:2], "shell", "-c", code], log=log, env=server.env) as shell:
        assert shell.wait(60) == 0, shell.report()
    server.start()
    page.wait_for_text("#headlines", missed)
    post(page, after)
    assert headlines(page)[-3:] == [before, missed, after]
    assert page.run("return window.sameDocument")
    away = ("ERR_", "503", "[object Event]")  # what browser and htmx say then
    assert all(any(word in complaint for word in away) for complaint in page.complaints())


# The live page, on the layer of one process ---------------------------------------------------


def operator_of(server: Process) -> str:
    """The password that ``make demo`` prints."""
    log = server.log.parent / "operator.log"
    command = [*server.command[:2], "demooperator"]
    with Process(command, log=log, env=server.env) as process:
        assert process.wait(60) == 0, process.report()
        return process.wait_for_line(r"password (\S+)")[1]


def test_the_operator_of_the_demo_sees_what_goes_on_in_this_one_process(page):
    password = operator_of(page.site.server)
    page.visit("/monitor/")
    page.find("#id_username").send_keys("operator")
    page.find("#id_password").send_keys(password + Keys.ENTER)
    page.wait_for_text("#state", "Live")
    assert "InMemoryChannelLayer" in page.text("header")
    page.wait_for_text("#channels", "http.request")
    page.wait_for_text("#workers", "4 threads")
    page.wait_for_text("#groups", "channels_classic.monitor")
    wait_until(lambda: page.text("[data-figure=sockets]") == "1", 15, "the socket of the page")
    assert all("favicon" in complaint for complaint in page.complaints())  # of the admin
