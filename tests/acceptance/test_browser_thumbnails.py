"""The thumbnailer in a real browser, on processes of their own: progress, tries, dead letters."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from selenium import webdriver

from tests.acceptance.accessibility import violations
from tests.acceptance.browser import (
    DESKTOP,
    PHONE,
    Page,
    SplitSite,
    clean_page,
    socket_in_hand,
    split_site,
)
from tests.acceptance.processes import Process, wait_until
from tests.conftest import RedisServer

pytestmark = pytest.mark.browser

SIZES = ["small", "medium", "large"]
PHOTO = "00000000-0000-4000-8000-000000000001"
#: Notes whatever the page says of the photograph's course, from its first moment on.
WATCH = """
    window.seen = [];
    const note = () => {
        const texts = ["status", "attempt", "countdown"].map((id) => document.getElementById(id));
        if (texts[2]) seen.push(texts.map((element) => element.textContent).join(" | "));
    };
    new MutationObserver(note).observe(document, {
        subtree: true, childList: true, characterData: true,
    });
"""


class Photographs(Page):
    """The thumbnailer's pages, in the words of who sends photographs."""

    def upload(self, file: Path) -> None:
        self.visit("/thumbnails/")
        self.find("#photo").send_keys(str(file))
        self.find("#send").click()

    def send_sample(self, kind: str) -> None:
        self.visit("/thumbnails/")
        self.find(f"[name=sample][value={kind}]").click()
        wait_until(self.has_photograph, 15, "the page of the photograph")

    def has_photograph(self) -> bool:
        return bool(re.search(r"/thumbnails/[0-9a-f-]{36}/$", self.driver.current_url))

    def show_on_phone(self, name: str) -> None:
        """A screenshot at the width of a phone, which the page must fit; and what axe says."""
        self.resize(*PHONE)
        self.screenshot(f"phone-{name}")
        assert self.sideways_scroll() <= 0
        assert violations(self) == []
        self.resize(*DESKTOP)

    def seen(self) -> str:
        """All that the page has said so far, a line each time."""
        return "\n".join(self.run("return window.seen ?? []"))

    def wait_to_see(self, pattern: str) -> None:
        wait_until(lambda: re.search(pattern, self.seen()), 30, f"{pattern!r} in {self.seen()}")

    def shown_sizes(self) -> dict[str, list[int]]:
        """Each thumbnail that has arrived and decoded, with its natural width and height."""
        found: dict[str, list[int]] = self.run(
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

    def wait_for_all_sizes(self) -> None:
        wait_until(lambda: sorted(self.shown_sizes()) == sorted(SIZES), 30, "three thumbnails")


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, redis: RedisServer
) -> Iterator[tuple[SplitSite, Process]]:
    """The site, with a worker for pages and one for thumbnails; and the latter."""
    folder = tmp_path_factory.mktemp("site")
    with split_site(folder, redis.url, THUMBNAILER_PAUSE="0.2") as site:
        site.add_worker("--exclude-channels", "thumbnailer*")
        yield site, site.add_worker("--only-channels", "thumbnailer*")


@pytest.fixture
def maker(site: tuple[SplitSite, Process]) -> Process:
    """The worker that makes the thumbnails."""
    return site[1]


@pytest.fixture
def page(driver: webdriver.Chrome, site: tuple[SplitSite, Process]) -> Iterator[Photographs]:
    watch = driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    with clean_page(driver, site[0]) as page:
        yield Photographs(page.driver, page.site)
    driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", watch)


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


# What works --------------------------------------------------------------------------------


def test_a_photograph_becomes_three_upright_thumbnails_while_one_watches(page, maker, photograph):
    assert maker.terminate() == 0
    page.upload(photograph)
    wait_until(page.has_photograph, 15, "the page of the photograph")
    page.run("window.sameDocument = true")
    page.wait_to_see("Waiting for a worker")
    page.screenshot("thumbnails-waiting")
    maker.start()
    page.wait_for_all_sizes()
    assert page.shown_sizes() == {"small": [120, 160], "medium": [360, 480], "large": [900, 1200]}
    page.wait_for_text("#status", "All three sizes are ready.")
    for size, ready in [("small", 0), ("medium", 1), ("large", 2)]:
        assert f"Making the {size} one: {ready} of 3 are ready" in page.seen()
    assert page.run("return window.sameDocument")
    page.screenshot("thumbnails")
    page.show_on_phone("thumbnails")


def test_the_page_of_a_finished_photograph_shows_it_again(page):
    page.send_sample("good")
    page.wait_for_all_sizes()
    page.driver.refresh()
    page.wait_for_all_sizes()
    assert page.text("#status") == "All three sizes are ready."
    assert not page.find("#course").is_displayed()


def test_a_photograph_that_comes_late_is_tried_again_until_it_is_there(page):
    page.send_sample("late")
    page.wait_for_all_sizes()
    page.wait_for_text("#status", "All three sizes are ready. It took")
    assert re.search(r"Attempt 1 of 5 went wrong.* \| Attempt 1 of 5 \| Next try", page.seen())
    assert not page.find("#problem").is_displayed()


#: A photograph whose file is a pipe: its worker waits in it, and can be killed there.
IN_A_PIPE = f"""
import os
from channels_classic import Channel
from thumbnailer.models import Photo
photo = Photo.objects.create(pk="{PHOTO}", original="pipe")
os.makedirs(os.path.dirname(photo.original.path), exist_ok=True)
os.mkfifo(photo.original.path)
Channel("thumbnailer").send({{"photo": "{PHOTO}"}})
"""


def test_a_photograph_survives_the_death_of_its_worker(page, maker, photograph):
    page.site.manage("shell", "-c", IN_A_PIPE)
    page.visit(f"/thumbnails/{PHOTO}/")
    page.wait_for_text("#status", "A worker reads the file")
    maker.kill()
    shutil.copy(photograph, photograph.with_name("copy"))
    photograph.with_name("copy").rename(page.site.folder / "var" / "media" / "pipe")
    maker.start()
    page.wait_for_all_sizes()
    page.wait_for_text("#status", "All three sizes are ready.")


def test_a_state_that_comes_late_never_replaces_a_later_one(page):
    with socket_in_hand(page) as happens:
        page.send_sample("damaged")
        wait_for_letter(page)
        first = json.loads(page.run("return document.getElementById('state').textContent"))
        late = {**first, "status": "waiting", "changes": 0}
        happens("message", **late)  # a worker was faster than the answer to the connect
        assert page.text("#status") == "Given up after attempt 5."


# What does not ------------------------------------------------------------------------------


def wait_for_letter(page: Photographs) -> None:
    page.wait_for_text("#letter", "DamagedImage: The picture is damaged")
    assert page.text("#status") == "Given up after attempt 5."


def test_a_damaged_photograph_is_tried_five_times_and_again_when_its_owner_says_so(
    page, maker, second_driver
):
    assert maker.terminate() == 0
    page.send_sample("damaged")
    page.wait_to_see("Waiting for a worker")
    maker.start()
    page.wait_for_text("#problem", "The picture is damaged")
    page.screenshot("thumbnails-trying")
    wait_for_letter(page)
    for attempt in [1, 2, 3, 4]:
        assert f"Attempt {attempt} of 5 went wrong." in page.seen()
    assert len(page.all("#tries .gone")) == 5
    page.screenshot("thumbnails-given-up")
    page.show_on_phone("thumbnails-given-up")
    assert_others_have_no_button(second_driver, page)
    page.find("#again").click()
    page.wait_to_see("Attempt . of 5 went wrong")
    wait_for_letter(page)


def assert_others_have_no_button(driver: webdriver.Chrome, page: Photographs) -> None:
    somebody = Photographs(driver, page.site)
    driver.get(page.driver.current_url)
    somebody.wait_for_text("#status", "Given up after attempt 5.")
    assert somebody.all("#again") == []


def test_a_page_whose_server_was_away_shows_how_it_has_ended(page):
    page.send_sample("damaged")
    page.run("window.sameDocument = true")
    page.wait_to_see("went wrong")
    server = page.site.server
    assert server.terminate() == 0
    page.wait_for_text("#status", "Connection lost.")
    server.start().wait_for_port(page.site.port)
    wait_for_letter(page)
    assert page.run("return window.sameDocument")
    away = ("ERR_", "WebSocket")
    assert all(any(word in complaint for word in away) for complaint in page.complaints())


def test_a_text_file_renamed_is_refused_at_once_with_a_clear_message(page, tmp_path):
    file = tmp_path / "holiday.jpg"
    file.write_text("Dear diary\n" * 100)
    page.upload(file)
    page.wait_for_text("#problem", "This file is not a picture we can read.")
    assert page.shown_sizes() == {}
    assert page.text("#status") == ""
    assert not any(part.is_displayed() for part in page.all("#again, #course"))
    page.screenshot("not-a-picture")


def test_a_file_too_large_is_refused_before_it_travels(page, tmp_path):
    file = tmp_path / "huge.jpg"
    with file.open("wb") as huge:
        huge.truncate(11 * 1024 * 1024)
    page.upload(file)
    page.wait_for_text("#problem", "the limit is 10.0 MB")
    assert page.driver.current_url == page.site.url + "/thumbnails/"


def test_sending_nothing_is_answered_with_a_clear_message(page):
    page.visit("/thumbnails/")
    page.find("#send").click()
    page.wait_for_text("#problem", "Choose a photograph first.")
    page.screenshot("nothing-chosen")
