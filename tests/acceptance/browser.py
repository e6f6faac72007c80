"""The example site in real browsers: how tests start both, and speak of what is on a page."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.acceptance.processes import Process, free_port, wait_until

ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "tests" / "artefacts"
COMMANDS = Path(sys.executable).parent
MANAGE = [sys.executable, str(ROOT / "workers" / "manage.py")]
DESKTOP = (1280, 900)
PHONE = (390, 844)
# What Chromium is started with
OPTIONS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


class Site(NamedTuple):
    """Where a site is, and the process that serves it."""

    url: str
    server: Process


class Page:
    """A browser on one site, in the words of the person who uses it."""

    def __init__(self, driver: webdriver.Chrome, site: Site | SplitSite) -> None:
        self.driver = driver
        self.site = site

    def visit(self, path: str) -> None:
        self.driver.get(self.site.url + path)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """The text of the first that the selector finds."""
        found = self.texts(selector)
        assert found, f"nothing on the page is {selector}"
        return found[0]

    def texts(self, selector: str) -> list[str]:
        """The texts of all that the selector finds, at one moment."""
        script = """
            const found = [...document.querySelectorAll(arguments[0])];
            return found.map((each) => each.innerText ?? each.textContent);  // in a drawing
        """
        found: list[str] = self.run(script, selector)
        return found

    def wait_for_text(self, selector: str, text: str, timeout: float = 15) -> None:
        def shown() -> bool:
            with contextlib.suppress(WebDriverException):  # the page is being left
                return any(text in shown for shown in self.texts(selector))
            return False

        try:
            wait_until(shown, timeout, f"{text!r} in {selector}")
        except AssertionError as error:
            error.add_note(f"The page shows:\n{self.text('body')}")
            raise

    def sign_in(self, name: str, path: str) -> None:
        """As that user, at ``path``; nothing is asked of who is signed in already."""
        self.visit(f"/sign-in/?next={path}")
        if self.driver.current_url != self.site.url + path:
            self.find("#username").send_keys(name + Keys.ENTER)
        wait_until(lambda: self.driver.current_url == self.site.url + path, 15, path)

    def run(self, script: str, *arguments: object) -> Any:
        """What the function body ``script`` returns in the page."""
        return self.driver.execute_script(script, *arguments)

    def resize(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def screenshot(self, name: str) -> None:
        ARTEFACTS.mkdir(exist_ok=True)
        (ARTEFACTS / ".gitignore").write_text("*\n")
        self.driver.save_screenshot(str(ARTEFACTS / f"{name}.png"))

    def complaints(self) -> list[str]:
        """What went wrong, as the console tells it; reading empties the log."""
        entries = self.driver.get_log("browser")
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def sideways_scroll(self) -> int:
        """By how many pixels the page is wider than its window."""
        script = "return document.documentElement.scrollWidth - window.innerWidth"
        return int(self.driver.execute_script(script))


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[webdriver.Chrome]:
    """A browser with its profile in ``folder``; what its console says can be read."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for option in [*OPTIONS, f"--user-data-dir={folder}"]:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    still = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", still)  # screenshots show the end state
    try:
        yield driver
    finally:
        driver.quit()


def bring_assets() -> None:
    """The scripts of others that pages load, as ``make assets`` does; they may be there already."""
    subprocess.run([sys.executable, ROOT / "tools" / "assets.py"], check=True, timeout=110)


@contextlib.contextmanager
def example_site(folder: Path) -> Iterator[Site]:
    """The example site by ``runserver`` on the memory layer, with a database in ``folder``."""
    bring_assets()
    env = {"VAR_FOLDER": str(folder / "var"), "REDIS_URL": "", "DEBUG": "1"}
    with Process([*MANAGE, "migrate"], log=folder / "migrate.log", env=env) as migration:
        assert migration.wait(60) == 0, migration.report()
    port = free_port()
    command = [*MANAGE, "runserver", "--noreload", f"127.0.0.1:{port}"]
    with Process(command, log=folder / "runserver.log", env=env) as server:
        server.wait_for_port(port, 30)
        yield Site(f"http://127.0.0.1:{port}", server)


class SplitSite:
    """The example site in processes of their own: a server and any number of workers on Redis."""

    def __init__(self, folder: Path, redis_url: str, **env: str) -> None:
        self.folder = folder
        self.env = {"VAR_FOLDER": str(folder / "var"), "REDIS_URL": redis_url, "DEBUG": "1", **env}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = ["server", "project.asgi:channel_layer", "--port", str(self.port)]
        self.server = self._process("server", [str(COMMANDS / "channels-classic"), *command])
        self.workers: list[Process] = []

    def start(self) -> Self:
        """The database and the server; workers come by ``add_worker``."""
        bring_assets()
        self.manage("migrate")
        self.server.start().wait_for_port(self.port)
        return self

    def manage(self, *arguments: str) -> None:
        """Run a management command to its end."""
        with self._process("manage", [*MANAGE, *arguments]) as process:
            assert process.wait(60) == 0, process.report()

    def add_worker(self, *options: str) -> Process:
        """One more worker, which takes messages already."""
        number = len(self.workers)
        worker = self._process(f"worker-{number}", [*MANAGE, "runworker", *options])
        self.workers.append(worker.start())
        worker.wait_for_line("Channels: ")
        return worker

    def stop(self) -> None:
        """End what still runs: the server first, so that its last messages are still dealt with."""
        for process in [self.server, *self.workers]:
            process.stop()

    def _process(self, name: str, command: list[str]) -> Process:
        log = self.folder / f"{name}.log"
        return Process(command, log=log, env=self.env, cwd=ROOT / "workers")


@contextlib.contextmanager
def split_site(folder: Path, redis_url: str, **env: str) -> Iterator[SplitSite]:
    """The example site with its processes apart; they are gone in the end."""
    site = SplitSite(folder, redis_url, **env)
    try:
        yield site.start()
    finally:
        site.stop()


@contextlib.contextmanager
def clean_page(driver: webdriver.Chrome, site: Site | SplitSite) -> Iterator[Page]:
    """A page of ordinary width, whose console must be without errors in the end, as the log of
    the server must be."""
    page = Page(driver, site)
    page.resize(*DESKTOP)
    page.complaints()
    seen = len(site.server.output())
    yield page
    assert page.complaints() == []
    assert "Traceback" not in site.server.output()[seen:]


class Happens(Protocol):
    """Has something happen on a page's socket: "open", or a "message" with a content as JSON."""

    def __call__(self, what: str, **content: object) -> None: ...


@contextlib.contextmanager
def socket_in_hand(page: Page) -> Iterator[Happens]:
    """For what is visited from now on: what happens on its socket, in an order of our own."""
    keep = """
        window.WebSocket = class extends WebSocket {
            constructor(url) { super(url); window.mine = this; }
        };
    """
    script = page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": keep})

    def happens(what: str, **content: object) -> None:
        page.run(
            "mine.dispatchEvent(new MessageEvent(arguments[0], {data: arguments[1]}))",
            what,
            json.dumps(content),
        )

    try:
        yield happens
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
