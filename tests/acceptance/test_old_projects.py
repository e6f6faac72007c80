"""Projects in the style of 2016 to 2018 run, once ``channels-classic migrate`` was there."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.acceptance.conftest import COMMANDS
from tests.acceptance.old_sites import PROJECTS, OldSite, tell, told
from tests.acceptance.processes import wait_until
from tests.conftest import RedisServer

NAMES = ["dictrouting", "liveblog", "multichat", "notices", "scores", "taskqueue"]


@pytest.fixture(scope="module")
def migrated(request, tmp_path_factory, redis_server: RedisServer) -> Iterator[OldSite]:
    """The project that the test names, migrated; once for all its tests."""
    folder = tmp_path_factory.mktemp("migrated")
    site = OldSite(PROJECTS / request.param, folder, redis_server.url)
    try:
        site.migrate()
        yield site
    finally:
        site.stop()


@pytest.fixture
def site(migrated: OldSite, tmp_path: Path, redis_server: RedisServer) -> Iterator[OldSite]:
    """A copy of it for one test."""
    site = OldSite(migrated.folder, tmp_path, redis_server.url)
    yield site
    site.stop()


def of(*names: str) -> Callable[..., object]:
    return pytest.mark.parametrize("migrated", names, indirect=True)


def test_all_of_them_are_named_here():
    assert sorted(folder.name for folder in PROJECTS.iterdir() if folder.is_dir()) == NAMES


@of(*NAMES)
def test_nothing_of_channels_1_is_left_and_its_own_tests_pass(site):
    assert "nothing to change" in site.run(*_migrate("--check")).lower()
    assert "no issues" in site.manage("check")
    assert re.search(r"Ran [1-9]\d* tests? in .*\n\nOK\n", site.manage("test"))


@of(*NAMES)
@pytest.mark.parametrize("mode", ["runserver", "split"])
def test_it_serves_its_clients(site, mode):
    site.serve(mode)
    DRIVERS[site.name](site)


def _migrate(*options: str) -> list[str]:
    return [str(COMMANDS / "channels-classic"), "migrate", *options, "."]


# What a user of each site does ------------------------------------------------------------


def drive_multichat(site: OldSite) -> None:
    site.shell("from chat.models import Room; Room.objects.create(title='Lobby')")
    path = "/chat/stream/"
    with (
        site.socket(path, site.log_in("ann")) as ann,
        site.socket(path, site.log_in("bob")) as bob,
        site.socket(path) as stranger,
    ):
        for each, name in ((ann, "ann"), (bob, "bob")):
            tell(each, command="join", room=1)
            assert told(each)["username"] == name  # sent when the consumer ends: to oneself, too
            assert told(each) == {"join": "1", "title": "Lobby"}
        assert told(ann)["username"] == "bob"
        for number in range(5):
            tell(bob, command="send", room=1, message=f"hello {number}")
        for each in (ann, bob):
            said = [told(each) for _ in range(5)]
            # chat.receive is a plain channel with several workers: in no certain order
            assert sorted(one["message"] for one in said) == [f"hello {n}" for n in range(5)]
            assert {one["username"] for one in said} == {"bob"}
        tell(stranger, command="join", room=1)
        assert told(stranger) == {"error": "USER_HAS_TO_LOGIN"}
        tell(bob, command="leave", room=1)
        assert told(bob) == {"leave": "1"}
        tell(bob, command="send", room=1, message="still there?")
        assert told(bob) == {"error": "ROOM_ACCESS_DENIED"}
    status, page = site.request("GET", "/")
    assert status == 200
    assert site.request("GET", _script_of(page))[0] == 200


def _script_of(page: str) -> str:
    return page.partition('<script src="')[2].partition('"')[0]


HIDE = """
from posts.models import Post

post = Post.objects.get()
post.published = False
post.save()
"""


def drive_liveblog(site: OldSite) -> None:
    site.shell(
        "from posts.models import Liveblog; Liveblog.objects.create(title='E', slug='elections')"
    )
    path = "/liveblog/elections/stream/"
    staff = site.log_in("ann", staff=True)
    with site.socket(path) as reader, site.socket(path, staff) as writer:
        data = {"liveblog": 1, "body": "Polls are open"}
        tell(writer, stream="posts", payload={"action": "create", "data": data})
        for each in (reader, writer):
            post = told(each)
            assert post["stream"] == "posts"
            assert post["payload"]["action"] == "create"
            assert post["payload"]["model"] == "posts.post"
            assert post["payload"]["data"]["body"] == "Polls are open"
        hide = (
            "from posts.models import Post; p = Post.objects.get(); p.published = False; p.save()"
        )
        site.shell(hide)
        assert told(reader)["payload"]["action"] == "delete"
        tell(reader, stream="ping", payload={"ping": 5})
        assert told(reader) == {"stream": "ping", "payload": {"pong": 5, "blog": "elections"}}


def drive_notices(site: OldSite) -> None:
    headers = site.log_in("ann")
    with site.socket("/alerts/", headers) as one, site.socket("/alerts/", headers) as another:
        user = site.users["ann"]
        site.shell(
            f"from alerts.models import Alert; Alert.objects.create(user_id={user}, text='Tea')"
        )
        for each in (one, another):
            assert told(each) == {"id": 1, "text": "Tea"}
        tell(one, seen=1)
        assert told(one) == {"left": 0}
    with pytest.raises(InvalidStatus, match="403"):
        site.socket("/alerts/")


def drive_taskqueue(site: OldSite) -> None:
    for _ in range(2):
        site.worker("runtasks")
    assert site.request("POST", "/submit/12/") == (202, "submitted")
    assert site.request("POST", "/submit/5/?later")[0] == 202
    done = functools.partial(site.request, "GET")
    wait_until(lambda: done("/submit/12/") == (200, '{"square": 144, "tries": 1}'))
    wait_until(lambda: done("/submit/5/") == (200, '{"square": 25, "tries": 3}'))


def drive_dictrouting(site: OldSite) -> None:
    assert site.request("GET", "/") == (200, "front page")
    assert site.request("GET", "/static/echo/site.css") == (200, "body { color: teal; }\n")
    with site.socket("/chat/lobby/") as one, site.socket("/chat/lobby/") as another:
        one.send("hi")
        for each in (one, another):
            assert each.recv(timeout=10) == "[lobby] hi"


def drive_scores(site: OldSite) -> None:
    with site.socket("/games/7/watch") as watcher:
        assert told(watcher) == {"greeting": "watching"}
        origin = {"Origin": f"http://127.0.0.1:{site.port}"}
        with site.socket("/games/7/score", origin) as player:
            for points in range(1, 11):
                tell(player, team="A", points=points)
            totals = [1, 3, 6, 10, 15, 21, 28, 36, 45, 55]
            assert [told(player)["points"] for _ in totals] == totals
            assert [told(watcher)["points"] for _ in totals] == totals
            tell(player, team="A", points=-1)
            with pytest.raises(ConnectionClosed) as closed:
                player.recv(timeout=10)
            assert closed.value.rcvd.code == 4001
    with pytest.raises(InvalidStatus, match="403"):
        site.socket("/games/101/score")


DRIVERS = {
    "multichat": drive_multichat,
    "liveblog": drive_liveblog,
    "notices": drive_notices,
    "taskqueue": drive_taskqueue,
    "dictrouting": drive_dictrouting,
    "scores": drive_scores,
}
