"""The example site in a real browser: the pages, the echo, and thumbnails that arrive by socket."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from tests.acceptance.browser import PHONE, Page, Site, clean_page, example_site
from tests.acceptance.processes import Process, wait_until

pytestmark = pytest.mark.browser

SIZES = ["small", "medium", "large"]


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


def upload(page: Page, file: Path) -> None:
    page.visit("/thumbnails/")
    page.find("#photo").send_keys(str(file))
    page.find("#send").click()


def shown_sizes(page: Page) -> dict[str, list[int]]:
    """Each thumbnail that has arrived and decoded, with its natural width and height."""
    found: dict[str, list[int]] = page.run(
        """
        const images = [...document.querySelectorAll("[data-size] img")];
        const loaded = images.filter((image) => image.complete && image.naturalWidth);
        return Object.fromEntries(loaded.map((image) => [
            image.closest("[data-size]").dataset.size,
            [image.naturalWidth, image.naturalHeight],
        ]));
        """
    )
    return found


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sky, a sun and grainy hills, stored as a camera held upright does: turned, with a note."""
    width, height = 1200, 1600
    dusk, dawn = ((64, 112, 176), (250, 208, 160))
    shade = Image.linear_gradient("L").resize((width, height))
    sky = [Image.new("RGB", (width, height), colour) for colour in (dawn, dusk)]
    image = Image.composite(*sky, shade)
    sun = Image.radial_gradient("L").resize((420, 420)).point(lambda v: max(0, 255 - 2 * v))
    image.paste((255, 246, 224), (640, 560), sun)
    draw = ImageDraw.Draw(image)
    for top, bend, colour in [
        (1000, 190, (112, 128, 152)),
        (1180, 140, (72, 100, 112)),
        (1370, 110, (36, 62, 64)),
    ]:
        ridge = [(x, top + 70 * math.sin(x / bend + top)) for x in range(0, width + 10, 10)]
        draw.polygon([*ridge, (width, height), (0, height)], fill=colour)
    grain = Image.effect_noise((width, height), 40).convert("RGB")
    upright = Image.blend(image, grain, 0.07)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to the right to see it upright
    file = tmp_path_factory.mktemp("camera") / "holiday.jpg"
    upright.rotate(90, expand=True).save(file, "JPEG", quality=92, exif=exif)
    return file


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
    answers = [line.text.splitlines()[0] for line in page.all("#log .answer")]
    assert answers == ["You said: hello world", *(f"You said: number {n}" for n in range(20))]
    page.screenshot("echo")


def test_the_echo_shows_markup_as_the_text_it_is(page):
    page.visit("/echo/")
    page.wait_for_text("#state", "Connected")
    say(page, '<b>ünïcode</b> & "quotes" ✓')
    page.wait_for_text("#log", 'You said: <b>ünïcode</b> & "quotes" ✓')


def test_a_photograph_becomes_three_upright_thumbnails_without_a_reload(page, photograph):
    upload(page, photograph)
    wait_until(
        lambda: re.search(r"/thumbnails/[0-9a-f-]{36}/$", page.driver.current_url),
        15,
        "the page of the photograph",
    )
    page.run("window.sameDocument = true")
    wait_until(lambda: len(shown_sizes(page)) == 3, 20, "three thumbnails on the page")
    assert shown_sizes(page) == {"small": [120, 160], "medium": [360, 480], "large": [900, 1200]}
    page.wait_for_text("#status", "All three sizes are ready.")
    assert page.run("return window.sameDocument")
    page.screenshot("thumbnails")


def test_the_page_of_a_finished_photograph_shows_it_again(page, photograph):
    upload(page, photograph)
    wait_until(lambda: len(shown_sizes(page)) == 3, 20, "three thumbnails on the page")
    page.driver.refresh()
    wait_until(lambda: sorted(shown_sizes(page)) == sorted(SIZES), 10, "the same after a reload")
    assert page.text("#status") == "All three sizes are ready."


def test_a_text_file_renamed_is_refused_with_a_clear_message(page, tmp_path):
    file = tmp_path / "holiday.jpg"
    file.write_text("Dear diary\n" * 100)
    upload(page, file)
    page.wait_for_text("#problem", "This file is not a picture we can read.")
    assert shown_sizes(page) == {}
    assert page.text("#status") == ""
    page.screenshot("not-a-picture")


def test_a_photograph_cut_off_is_refused_with_a_clear_message(page, photograph, tmp_path):
    file = tmp_path / "half.jpg"
    file.write_bytes(photograph.read_bytes()[: photograph.stat().st_size // 2])
    upload(page, file)
    page.wait_for_text("#problem", "The picture is damaged")


def test_a_file_too_large_is_refused_before_it_travels(page, tmp_path):
    file = tmp_path / "huge.jpg"
    with file.open("wb") as huge:
        huge.truncate(11 * 1024 * 1024)
    upload(page, file)
    page.wait_for_text("#problem", "the limit is 10.0 MB")
    assert page.driver.current_url == page.site.url + "/thumbnails/"


def test_sending_nothing_is_answered_with_a_clear_message(page):
    page.visit("/thumbnails/")
    page.find("#send").click()
    page.wait_for_text("#problem", "Choose a photograph first.")
    page.screenshot("nothing-chosen")


def test_no_page_scrolls_sideways_on_a_phone(page, photograph):
    page.resize(*PHONE)
    for name, path in [
        ("start", "/"),
        ("echo", "/echo/"),
        ("headlines", "/headlines/"),
        ("upload", "/thumbnails/"),
    ]:
        page.visit(path)
        page.screenshot(f"phone-{name}")
        assert page.sideways_scroll() <= 0, path
    upload(page, photograph)
    wait_until(lambda: len(shown_sizes(page)) == 3, 20, "three thumbnails on the page")
    page.screenshot("phone-thumbnails")
    assert page.sideways_scroll() <= 0


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
    return [line.text for line in page.all("#headlines li")]


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
