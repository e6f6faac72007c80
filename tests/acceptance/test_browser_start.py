"""The start page in a real browser: which process of this very site has done what."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from PIL import Image
from selenium import webdriver
from websockets.sync.client import connect

from tests.acceptance.browser import DESKTOP, PHONE, Page, SplitSite, clean_page, split_site
from tests.acceptance.processes import wait_until
from tests.conftest import RedisServer

pytestmark = pytest.mark.browser

#: How long a process is believed to live after its last sign of life, and a look each second.
VANISHES = 10
#: What a busy machine may add to that.
STALL = 10


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SplitSite]:
    redis = RedisServer(tmp_path_factory.mktemp("redis"))
    redis.start()
    with split_site(tmp_path_factory.mktemp("site"), redis.url) as site:
        site.add_worker(), site.add_worker()
        yield site
    redis.stop()


@pytest.fixture
def page(driver: webdriver.Chrome, site: SplitSite) -> Iterator[Page]:
    with clean_page(driver, site) as page:
        page.visit("/")
        wait_for_workers(page, site)
        yield page


def pids(page: Page, which: str = "workers") -> set[int]:
    """The processes in a list of the page, by their pids."""
    script = "return [...document.querySelectorAll(arguments[0])].map((item) => item.dataset.pid)"
    return {int(pid) for pid in page.run(script, f"#{which} .process")}


def wait_for_workers(page: Page, site: SplitSite, timeout: float = 30) -> None:
    """Until the page shows the workers that there are, and no other."""
    living = {worker.pid for worker in site.workers if worker.popen and worker.popen.poll() is None}
    wait_until(lambda: pids(page) == living, timeout, f"{living}, not {pids(page)}")


def completed(page: Page, channel: str) -> int:
    """Messages of ``channel`` that all workers together have dealt with, as the page has it."""
    rows = page.texts("#workers .counts > div")
    found = [re.fullmatch(rf"{re.escape(channel)}\s+([\d,]+)", row) for row in rows]
    return sum(int(match[1].replace(",", "")) for match in found if match)


def show_processes(page: Page, name: str) -> None:
    """A screenshot of the page's lower part."""
    page.run("document.getElementById('who-title').scrollIntoView()")
    page.screenshot(name)


def test_the_page_says_which_processes_have_served_it(page, site):
    assert page.text("#layer") == "RedisChannelLayer"
    maker, host, server = page.run("const m = made.dataset; return [m.pid, m.host, m.server]")
    assert int(maker) in {worker.pid for worker in site.workers}
    marked = page.run("return document.querySelector('#workers .mark:not([hidden])').closest('li')")
    assert f"Process {maker} on {host}" in marked.text
    page.wait_for_text("#servers .mark", "this page came through it")
    names = "return [...document.querySelectorAll('#servers li')].map((item) => item.dataset.name)"
    assert page.run(names) == [server]
    page.screenshot("start")
    page.resize(*PHONE)
    page.screenshot("phone-start")
    assert page.sideways_scroll() <= 0
    page.resize(*DESKTOP)


def test_each_message_is_counted_where_it_was_worked_on(page, site):
    before = completed(page, "websocket.receive")
    with connect(f"ws://127.0.0.1:{site.port}/echo/") as socket:
        for number in range(30):
            socket.send(f"number {number}")
            assert socket.recv(timeout=20) == f"You said: number {number}"
        wait_until(
            lambda: completed(page, "websocket.receive") == before + 30, 20, "30 more messages"
        )
        page.wait_for_text("#servers .counts", "open sockets\n2")


#: A photograph whose file is a pipe: its worker waits in it until somebody writes there.
IN_A_PIPE = """
import os
from channels_classic import Channel
from thumbnailer.models import Photo
photo = Photo.objects.create(original="pipe")
os.makedirs(os.path.dirname(photo.original.path), exist_ok=True)
os.mkfifo(photo.original.path)
Channel("thumbnailer").send({"photo": str(photo.pk)})
"""


def test_what_a_worker_is_at_is_shown_as_long_as_it_takes(page, site):
    site.manage("shell", "-c", IN_A_PIPE)
    page.wait_for_text("#workers .busy", "runs thumbnailer.consumers.thumbnail")
    show_processes(page, "start-busy")
    assert len(page.all("#workers .busy")) == 1
    with (site.folder / "var" / "media" / "pipe").open("wb") as pipe:
        Image.new("RGB", (40, 30)).save(pipe, "JPEG")
    wait_until(lambda: completed(page, "thumbnailer") == 1, 20, "the photograph to be counted")
    wait_until(lambda: not page.all("#workers .busy"), 20, "nothing to be done any more")


def test_a_killed_worker_vanishes_and_a_new_one_appears(page, site):
    victim = site.workers.pop(0)
    killed = victim.pid
    victim.kill()
    wait_for_workers(page, site, VANISHES + STALL)
    assert killed not in pids(page)
    new = site.add_worker()
    wait_for_workers(page, site)
    assert new.pid in pids(page)


def test_without_any_worker_the_page_says_so_and_goes_on_when_there_is_one(page, site):
    for worker in site.workers:
        worker.terminate()
    page.wait_for_text("#state", "no worker has said anything")
    show_processes(page, "start-without-workers")
    for worker in site.workers:
        worker.start()
    wait_for_workers(page, site)
    assert page.text("#state") == "Connected"


def test_the_drawing_moves_with_the_messages_unless_less_motion_is_wanted(page, site):
    moves = "return document.querySelectorAll('.drawing .dots circle').length"
    before = completed(page, "home.look")
    wait_until(lambda: completed(page, "home.look") > before + 1, 20, "two more looks")
    assert page.run(moves) == 0
    motion = {"features": [{"name": "prefers-reduced-motion", "value": "no-preference"}]}
    still = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", motion)
    try:
        wait_until(lambda: page.run(moves) > 0, 20, "a dot on its way")
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", still)
