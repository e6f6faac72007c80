"""The chat in two browsers, on a server, a worker and a Redis that are processes of their own."""

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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, redis: RedisServer) -> Iterator[SplitSite]:
    with split_site(tmp_path_factory.mktemp("site"), redis.url) as site:
        site.add_worker()
        yield site


#: Says so many lines, one every few milliseconds.
SPEAK = """
    const [name, number] = arguments;
    const input = document.getElementById("text");
    let said = 0;
    const timer = setInterval(() => {
        input.value = `${name} ${said++}`;
        input.form.requestSubmit();
        if (said === number) clearInterval(timer);
    }, 15);
"""


class Visitor(Page):
    """Somebody who is signed in, in a browser of their own."""

    def enter(self, room: str) -> None:
        """Be in a room, which is made if new."""
        self.visit("/chat/")
        self.find("#name").send_keys(room + Keys.ENTER)
        self.wait_for_text("h1", room)
        self.wait_for_text("#state", "Connected")
        self.run("window.sameDocument = true")

    def say(self, text: str) -> None:
        self.find("#text").send_keys(text + Keys.ENTER)

    def lines(self) -> list[str]:
        found: list[str] = self.run(
            "return [...document.querySelectorAll('#log .words')].map((words) => words.textContent)"
        )
        return found

    def notices(self) -> list[str]:
        """Who has come and gone."""
        found: list[str] = self.run(
            "return [...document.querySelectorAll('.notice')].map((each) => each.textContent)"
        )
        return [" ".join(text.split()[:2]) for text in found if "joined" in text or "left" in text]

    def people(self) -> list[str]:
        found: list[str] = self.run(
            "return [...document.querySelectorAll('#people li span:last-child')]"
            ".map((name) => name.textContent)"
        )
        return found

    def wait_for_lines(self, *lines: str) -> None:
        wait_until(lambda: self.lines() == list(lines), 30, f"{lines}, not {self.lines()}")

    def wait_for_people(self, *names: str, timeout: float = 30) -> None:
        wait_until(lambda: self.people() == list(names), timeout, f"{names} in the room")

    def was_never_reloaded(self) -> bool:
        return bool(self.run("return window.sameDocument === true"))


def visitor(driver: webdriver.Chrome, site: SplitSite, name: str) -> Iterator[Visitor]:
    with clean_page(driver, site) as page:
        visitor = Visitor(page.driver, page.site)
        visitor.sign_in(name, "/chat/")
        yield visitor


@pytest.fixture
def ann(driver: webdriver.Chrome, site: SplitSite) -> Iterator[Visitor]:
    yield from visitor(driver, site, "ann")


@pytest.fixture
def bob(second_driver: webdriver.Chrome, site: SplitSite) -> Iterator[Visitor]:
    yield from visitor(second_driver, site, "bob")


def test_what_one_says_the_other_sees_without_a_reload_and_as_the_text_it_is(ann, bob):
    for each in (ann, bob):
        each.enter("Lobby")
    said = ["Has the 8:15 left yet?", "<img src=x onerror=alert(1)>", 'größer & "better" ✓']
    for speaker, text in zip((ann, bob, ann), said, strict=True):
        speaker.say(text)
        for each in (ann, bob):
            each.wait_for_text("#log", text)
    bob.say("It stands at the gate, with its doors open. There is time to buy a coffee first.")
    bob.say("Or two")
    for each in (ann, bob):
        each.wait_for_text("#log", "Or two")
        assert each.lines()[:3] == said
        assert each.was_never_reloaded()
    assert bob.find("#log .mine .words").text == said[1]
    assert len(ann.all("#log .mine")) == 2
    ann.screenshot("chat")
    bob.resize(*PHONE)
    bob.screenshot("phone-chat")
    assert bob.sideways_scroll() <= 0
    assert violations(ann) + violations(bob) == []
    ann.visit("/chat/")
    ann.screenshot("chat-rooms")
    ann.resize(*PHONE)
    ann.screenshot("phone-chat-rooms")
    assert ann.sideways_scroll() <= 0


def test_the_page_says_who_comes_and_who_goes(ann, bob):
    ann.enter("Platform")
    bob.enter("Platform")
    for each, names in ((ann, ["ann (you)", "bob"]), (bob, ["ann", "bob (you)"])):
        each.wait_for_people(*names)
    bob.driver.refresh()
    bob.wait_for_people("ann", "bob (you)")
    bob.visit("/chat/")
    bob.wait_for_text("#rooms a[href='/chat/platform/']", "1 here")
    ann.wait_for_people("ann (you)")
    ann.wait_for_text("#log", "bob left")
    assert ann.notices()[0] == "bob joined"


def test_the_list_of_rooms_follows_who_enters_and_leaves_without_a_reload(ann, bob):
    ann.run("window.sameDocument = true")
    bob.enter("Tram")
    tram = "#rooms a[href='/chat/tram/']"
    ann.wait_for_text(tram, "1 here")
    bob.visit("/echo/")
    ann.wait_for_text(tram, "0 here")
    assert ann.was_never_reloaded()


def test_what_was_said_is_there_after_a_reload(ann):
    ann.enter("Archive")
    for text in ["first", "second"]:
        ann.say(text)
    ann.wait_for_lines("first", "second")
    ann.driver.refresh()
    ann.wait_for_lines("first", "second")


def test_the_title_counts_what_was_said_while_nobody_looked(ann, bob):
    for each in (ann, bob):
        each.enter("Window")
    ann.run(
        "Object.defineProperty(document, 'visibilityState', { value: 'hidden', writable: true })"
    )
    bob.say("psst")
    wait_until(lambda: ann.driver.title.startswith("(1) Window"), 15, "one in the title")
    ann.run(
        "document.visibilityState = 'visible'; document.dispatchEvent(new Event(arguments[0]))",
        "visibilitychange",
    )
    assert ann.driver.title.startswith("Window")


def test_a_line_that_was_lost_on_its_way_is_asked_for_when_the_next_one_comes(ann, site):
    ann.enter("Gap")
    ann.say("first")
    ann.wait_for_lines("first")
    code = (
        "from uuid import uuid4; from chat.models import Room, Line\n"
        "room = Room.objects.get(slug='gap'); ann = room.lines.get().author\n"
        "Line.objects.create(room=room, number=2, author=ann, text='second', token=uuid4())\n"
        "Room.objects.filter(slug='gap').update(newest=2)\n"  # and nobody is told
        "room.say(ann, 'third', uuid4())"
    )
    site.manage("shell", "-c", code)
    ann.wait_for_lines("first", "second", "third")


def test_a_line_too_long_is_refused_with_a_reason_and_stays_to_be_shortened(ann):
    ann.enter("Novel")
    ann.run("document.getElementById('text').value = 'x'.repeat(1001)")
    ann.find("#text").send_keys(Keys.ENTER)
    ann.wait_for_text("#problem", "This has 1001 characters, and the limit is 1000.")
    ann.screenshot("chat-too-long")
    ann.find("#text").send_keys(Keys.BACKSPACE)
    wait_until(lambda: not ann.find("#problem").is_displayed(), 10, "no problem any more")
    ann.find("#text").send_keys(Keys.ENTER)
    ann.wait_for_lines("x" * 1000)


def test_all_can_be_done_by_keyboard_alone(ann):
    def press(*keys: str) -> None:
        for key in keys:
            ann.driver.switch_to.active_element.send_keys(key)

    ann.visit("/chat/")
    press("Keyboard", Keys.ENTER)
    ann.wait_for_text("h1", "Keyboard")
    ann.wait_for_text("#state", "Connected")
    press("one", Keys.SHIFT + Keys.ENTER + Keys.NULL, "two", Keys.ENTER, "three", Keys.ENTER)
    ann.wait_for_lines("one\ntwo", "three")
    press(Keys.TAB, Keys.SHIFT + Keys.TAB + Keys.NULL, "four", Keys.TAB, Keys.SPACE)
    ann.wait_for_lines("one\ntwo", "three", "four")
    press("and the focus is back", Keys.ENTER)
    ann.wait_for_text("#log", "and the focus is back")


def test_pages_come_back_after_a_restart_and_show_what_they_missed_once(ann, bob, site):
    for each in (ann, bob):
        each.enter("Depot")
    ann.say("before")
    bob.wait_for_text("#log", "before")
    site.server.terminate()
    for each in (ann, bob):
        each.wait_for_text("#state", "Connection lost.")
    code = (
        "from chat.models import Room; from accounts.forms import NameForm; import uuid\n"
        "form = NameForm(data={'username': 'cy'}); form.is_valid(); cy = form.get_user()\n"
        "room = Room.objects.get(slug='depot')\n"
        "for number in range(120): room.say(cy, f'missed {number}', uuid.uuid4())"
    )
    site.manage("shell", "-c", code)
    ann.say("said while there was no connection")
    ann.wait_for_text("#unsent", "said while there was no connection")
    ann.screenshot("chat-connection-lost")
    site.server.start()
    missed = [f"missed {number}" for number in range(120)]
    for each in (ann, bob):
        each.wait_for_lines("before", *missed, "said while there was no connection")
        assert each.was_never_reloaded()
    assert ann.all("#unsent li") == []
    ann.wait_for_people("ann (you)", "bob")
    ann.run("document.getElementById('scroller').scrollTop = 0")
    bob.say("after")
    wait_until(lambda: ann.find("#latest").is_displayed(), 15, "that there is something below")
    ann.find("#latest").click()
    wait_until(lambda: not ann.find("#latest").is_displayed(), 15, "the end of the talk")
    assert ann.lines()[-1] == "after"
    for each in (ann, bob):
        assert all("WebSocket connection" in complaint for complaint in each.complaints())


def test_no_line_is_lost_or_doubled_when_a_worker_dies_while_both_speak(ann, bob, site):
    site.add_worker()
    for each in (ann, bob):
        each.enter("Workshop")
    for each, name in ((ann, "ann"), (bob, "bob")):
        each.run(SPEAK, name, 60)
    wait_until(lambda: len(ann.lines()) > 10, 30, "the first lines")
    site.workers[-2].kill()
    for each in (ann, bob):
        wait_until(lambda each=each: len(each.lines()) == 120, 60, "all lines")
    assert ann.lines() == bob.lines()
    assert set(ann.lines()) == {f"{name} {n}" for name in ("ann", "bob") for n in range(60)}
    wait_until(lambda: not ann.all("#unsent li"), 20, "nothing that is not known to be stored")


def test_who_has_signed_out_in_another_tab_is_told_so_and_led_back(ann):
    ann.enter("Exit")
    ann.driver.switch_to.new_window("tab")
    ann.resize(*DESKTOP)
    ann.visit("/")
    ann.find(".who button").click()
    wait_until(lambda: ann.all(".who a"), 15, "the offer to sign in")
    ann.driver.close()
    ann.driver.switch_to.window(ann.driver.window_handles[0])
    ann.wait_for_text("#signed-out", "You are signed out.")
    ann.run("document.getElementById('text').value = 'still here?'")
    ann.run("document.getElementById('form').requestSubmit()")
    ann.screenshot("chat-signed-out")
    ann.find("#signed-out a").click()
    ann.wait_for_text("h1", "Sign in")
    ann.find("#username").send_keys("ann" + Keys.ENTER)
    ann.wait_for_lines("still here?")


def test_who_was_there_when_the_server_was_killed_and_did_not_come_back_has_left(ann, bob, site):
    for each in (ann, bob):
        each.enter("Tunnel")
    ann.wait_for_people("ann (you)", "bob")
    site.server.kill()
    ann.wait_for_text("#state", "Connection lost.")
    bob.driver.get("about:blank")
    site.server.start()
    ann.wait_for_text("#state", "Connected")
    ann.wait_for_people("ann (you)", timeout=90)
    assert all("WebSocket connection" in complaint for complaint in ann.complaints())
    bob.complaints()
