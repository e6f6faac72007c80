"""The dashboard in two browsers, by a server, two workers and Redis: a POST redraws both."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from io import BytesIO

import pytest
from PIL import Image, ImageChops
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.acceptance.accessibility import tab_problems, violations
from tests.acceptance.browser import (
    DESKTOP,
    PHONE,
    Page,
    SplitSite,
    clean_page,
    socket_in_hand,
    split_site,
)
from tests.acceptance.processes import wait_until
from tests.conftest import RedisServer

pytestmark = pytest.mark.browser

SLOW_WEEK = [4, 6, 5, 9, 7, 3, 2]
STILL = {"name": "prefers-reduced-motion", "value": "reduce"}
BUSY_WEEK = [31, 38, 29, 44, 52, 61, 35]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    redis = RedisServer(tmp_path_factory.mktemp("redis"))
    redis.start()
    yield redis
    redis.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, redis: RedisServer) -> Iterator[SplitSite]:
    with split_site(tmp_path_factory.mktemp("site"), redis.url) as site:
        for _ in range(2):
            site.add_worker()
        yield site


@pytest.fixture
def page(driver: webdriver.Chrome, site: SplitSite) -> Iterator[Page]:
    with clean_page(driver, site) as page:
        yield page


@pytest.fixture
def other(second_driver: webdriver.Chrome, site: SplitSite) -> Iterator[Page]:
    with clean_page(second_driver, site) as page:
        yield page


def push(site: SplitSite, data: list[int]) -> None:
    """POST a week, as curl does."""
    request = urllib.request.Request(
        site.url + "/dashboard/ingest/",
        json.dumps({"data": data}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 201


def open_live(page: Page) -> None:
    page.visit("/dashboard/")
    page.wait_for_text("#state", "Connected")
    page.run("window.sameDocument = true")


def drawn(page: Page) -> list[list[int]]:
    """What Chart.js has on its canvas: this week, and the week before."""
    script = """
        const chart = Chart.getChart("week");
        return chart ? chart.data.datasets.map((dataset) => dataset.data) : [];
    """
    found: list[list[int]] = page.run(script)
    return found


def wait_for(page: Page, week: list[int]) -> None:
    wait_until(lambda: drawn(page)[:1] == [week], 40, f"a chart of {week}")


def canvas(page: Page, name: str = "week") -> Image.Image:
    """The pixels of a chart, as the browser shows them."""
    png = page.driver.find_element(By.ID, name).screenshot_as_png
    return Image.open(BytesIO(png)).convert("RGB")


def share_that_differs(one: Image.Image, two: Image.Image) -> float:
    assert one.size == two.size
    difference = ImageChops.difference(one, two).convert("L")
    return sum(difference.histogram()[40:]) / (one.width * one.height)


def test_a_post_redraws_the_charts_of_both_browsers_without_a_reload(page, other, site):
    push(site, SLOW_WEEK)
    for each in (page, other):
        open_live(each)
        wait_for(each, SLOW_WEEK)
    before = [canvas(each) for each in (page, other)]
    push(site, BUSY_WEEK)
    for each, old in zip((page, other), before, strict=True):
        wait_for(each, BUSY_WEEK)
        assert drawn(each) == [BUSY_WEEK, SLOW_WEEK]
        assert share_that_differs(old, canvas(each)) > 0.005
        assert each.run("return window.sameDocument")
    assert share_that_differs(canvas(page), canvas(other)) < 0.001
    page.screenshot("dashboard")


def test_a_push_takes_less_than_a_second(page, site):
    open_live(page)
    took = []
    for number in range(5):
        week = [number, *BUSY_WEEK[1:]]
        started = time.monotonic()
        push(site, week)
        wait_for(page, week)
        took.append(time.monotonic() - started)
    assert min(took) < 1, took  # the others may have met a machine that stalled


def test_a_new_page_shows_the_last_week_without_a_push(page, site):
    push(site, BUSY_WEEK)
    open_live(page)
    wait_for(page, BUSY_WEEK)
    assert page.text("#total") == str(sum(BUSY_WEEK))
    assert page.text("#best") == "Saturday, 61"


def test_what_is_typed_into_the_form_is_drawn_in_both_browsers(page, other, site):
    for each in (page, other):
        open_live(each)
    for day, number in zip(page.all("#days input"), SLOW_WEEK, strict=True):
        day.clear()
        day.send_keys(str(number))
    page.find("#send").click()
    for each in (page, other):
        wait_for(each, SLOW_WEEK)
    before = drawn(page)
    page.find("#random").click()
    wait_until(lambda: drawn(other)[1:] == before[:1], 15, "a random week in the other browser")
    wait_until(lambda: drawn(page) == drawn(other), 15, "the same in both")


def test_a_form_with_a_gap_is_answered_with_the_reason(page, site):
    open_live(page)
    before = drawn(page)
    page.find("[name=wednesday]").clear()
    page.find("#send").click()
    page.wait_for_text("#problem", "Wednesday: A number is missing.")
    page.screenshot("dashboard-gap")
    assert drawn(page) == before
    page.find("#random").click()
    wait_until(lambda: not page.find("#problem").is_displayed(), 15, "no problem any more")
    assert [c for c in page.complaints() if "status of 400" not in c] == []


def test_the_browsable_api_redraws_the_dashboard(page, other, site):
    push(site, BUSY_WEEK)
    open_live(other)
    wait_for(other, BUSY_WEEK)
    page.visit("/dashboard/ingest/")
    text = page.find("[name=_content]")
    assert json.loads(text.get_attribute("value")) == {"data": [12, 19, 3, 5, 2, 3, 9]}
    page.run("arguments[0].scrollIntoView({block: 'center'})", text)
    page.screenshot("dashboard-api")
    page.find("#post-generic-content-form button").click()
    wait_for(other, [12, 19, 3, 5, 2, 3, 9])
    page.wait_for_text(".response-info", "HTTP 201 Created")
    assert drawn(other)[1] == BUSY_WEEK


def test_the_form_is_used_by_keyboard_alone(page, other, site):
    open_live(other)
    open_live(page)
    for _ in range(40):
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        if page.driver.switch_to.active_element.get_attribute("name") == "monday":
            break
    for number in BUSY_WEEK:
        page.driver.switch_to.active_element.send_keys(Keys.CONTROL + "a")
        page.driver.switch_to.active_element.send_keys(str(number + 1) + Keys.TAB)
    assert page.driver.switch_to.active_element.get_attribute("id") == "send"
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    wait_for(other, [number + 1 for number in BUSY_WEEK])


def test_a_page_that_sends_an_object_and_not_its_json_goes_on_living(page, site):
    push(site, BUSY_WEEK)
    open_live(page)
    page.run("""
        window.careless = new WebSocket(location.href.replace("http", "ws"));
        careless.onmessage = ({data}) => { window.heard = JSON.parse(data).weeks.at(-1).data; };
        careless.onopen = () => careless.send({some: "object"});
    """)
    wait_until(lambda: page.run("return window.heard"), 15, "the stored weeks")
    push(site, SLOW_WEEK)
    wait_until(lambda: page.run("return window.heard") == SLOW_WEEK, 15, "the next week")
    assert page.run("return careless.readyState === WebSocket.OPEN")
    wait_for(page, SLOW_WEEK)
    assert not [worker for worker in site.workers if "Traceback" in worker.output()]


def test_after_a_reconnect_the_page_shows_what_it_missed(page, site):
    push(site, SLOW_WEEK)
    open_live(page)
    wait_for(page, SLOW_WEEK)
    assert site.server.terminate() == 0
    page.wait_for_text("#state", "Connection lost.")
    site.server.start().wait_for_port(site.port)
    push(site, BUSY_WEEK)
    wait_for(page, BUSY_WEEK)
    assert page.run("return window.sameDocument")
    assert all("WebSocket connection" in complaint for complaint in page.complaints())


def test_a_late_week_never_hides_a_later_one(page, site):
    push(site, SLOW_WEEK)
    with socket_in_hand(page) as happens:
        open_live(page)
        wait_for(page, SLOW_WEEK)
        later, latest = ({"number": 10**6 + n, "data": [n] * 7} for n in (1, 2))
        happens("message", weeks=[latest])
        happens("message", weeks=[later])
        assert drawn(page) == [[2] * 7, [1] * 7]
        happens("open")  # a new connection starts from what is stored, and what overtakes it waits
        happens("message", weeks=[latest])
        happens("message", weeks=[{"number": 1, "data": BUSY_WEEK}], stored=True)
        assert drawn(page) == [[2] * 7, BUSY_WEEK]


def test_without_the_script_of_others_the_page_says_what_to_do(page, site):
    page.driver.execute_cdp_cmd("Network.enable", {})
    page.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/vendor/chart.js/*"]})
    try:
        page.visit("/dashboard/")
        page.wait_for_text("#missing", "Run make assets and reload this page.")
        assert not page.find("#state").is_displayed()
    finally:
        page.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
    assert all("ERR_BLOCKED_BY_CLIENT" in complaint for complaint in page.complaints())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_full_charts_fit_a_phone_and_a_desktop_by_day_and_by_night(page, site, scheme):
    for number in range(12):
        push(site, [day + 3 * number + (number * day) % 7 for day in SLOW_WEEK])
    features = [{"name": "prefers-color-scheme", "value": scheme}, STILL]
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        for name, (width, _) in (("phone", PHONE), ("desktop", DESKTOP)):
            page.resize(width, 2000)
            open_live(page)
            wait_until(lambda: len(drawn(page)) == 2, 15, "two weeks")
            page.screenshot(f"dashboard-{name}-{scheme}")
            assert page.sideways_scroll() <= 0
            assert violations(page) + tab_problems(page) == []
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [STILL]})
