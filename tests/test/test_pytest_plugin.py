"""The fixtures for pytest, in a project of their own."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

CONFTEST = """
pytest_plugins = ["channels_classic.pytest_plugin"]
"""

SETTINGS = """
import django
from django.conf import settings

MEMORY = "channels_classic.layers.memory.InMemoryChannelLayer"
settings.configure(
    SECRET_KEY="only-for-tests",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes",
                    "django.contrib.sessions", "channels_classic"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    CHANNEL_LAYERS={
        alias: {"BACKEND": MEMORY, "ROUTING": "consumers.routing"}
        for alias in ("default", "second")
    },
)
django.setup()
"""

CONSUMERS = """
from channels_classic import Channel, Group, route


def echo(message):
    message.reply_channel.send({"text": message["text"]})


def work(message):
    Channel("report").send({"number": message["number"]})
    Group("news").send({"text": "{}"})


routing = [route("websocket.receive", echo), route("work", work)]
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """A project that sets Django up itself, and whose pytest has no other plugins."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    pytester.makeconftest(SETTINGS + CONFTEST)
    pytester.makepyfile(consumers=CONSUMERS)
    return pytester


@pytest.fixture
def run(project):
    """``run(tests)``: the result with these tests, without pytest-django; in a new process."""

    def run(tests, *options):
        project.makepyfile(test_it=tests)
        return project.runpytest_subprocess(*options)

    return run


def test_each_test_has_fresh_layers(run):
    result = run(
        """
        from channels_classic import Channel, channel_layers

        before = channel_layers["default"]

        def test_one(channel_layer):
            assert channel_layer is channel_layers["default"] is not before
            assert channel_layer.receive(["left-over"]) == (None, None)
            Channel("left-over").send({})
            Channel("left-over", alias="second").send({})

        def test_two(channel_layer):
            assert channel_layer.receive(["left-over"]) == (None, None)
            assert channel_layers["second"].receive(["left-over"]) == (None, None)
            assert "work" in channel_layers["second"].router.channels

        def test_three():
            assert channel_layers["default"] is before
        """
    )
    result.assert_outcomes(passed=3)


def test_the_clients_need_no_database(run):
    result = run(
        """
        def test_one(ws_client):
            ws_client.send_and_consume("websocket.receive", text={"key": "value"})
            assert ws_client.receive() == {"key": "value"}

        def test_two(channel_client):
            channel_client.send_and_consume("websocket.receive", {"text": "hello"})
            assert channel_client.receive() == {"text": "hello"}
        """
    )
    result.assert_outcomes(passed=2)


def test_what_waits_is_run_and_what_was_sent_is_asserted(run):
    result = run(
        """
        import pytest
        from channels_classic import Channel

        def test_one(process_all, assert_sent, assert_not_sent, assert_group_sent,
                     assert_group_not_sent):
            Channel("work").send({"number": 1})
            Channel("work", alias="second").send({"number": 2}, delay=60)
            assert_not_sent("report")
            assert_group_not_sent("news")
            assert process_all() == 1
            assert process_all(delayed=True) == 1
            assert assert_sent("report", {"number": 1}) == [{"number": 1}]
            assert_sent("work", {"number": 2}, alias="second")
            assert_group_sent("news", {"text": {}})
            with pytest.raises(AssertionError):
                assert_sent("report", {"number": 3})
            with pytest.raises(AssertionError):
                assert_group_not_sent("news")
        """
    )
    result.assert_outcomes(passed=1)


def test_routes_are_applied_for_the_rest_of_the_test(run):
    result = run(
        """
        from channels_classic import channel_layers, route

        def consumer(message):
            return "mine"

        def test_one(apply_routes, channel_client):
            apply_routes(route("mine", consumer))
            apply_routes([route("mine", consumer)], aliases=["second"])
            assert channel_client.send_and_consume("mine") == "mine"
            assert channel_layers["second"].router.channels == {"mine"}

        def test_two(channel_layer):
            assert "mine" not in channel_layer.router.channels
        """
    )
    result.assert_outcomes(passed=2)


def test_the_error_of_a_consumer_fails_the_test_with_its_traceback(run):
    result = run(
        """
        def test_one(ws_client):
            ws_client.send_and_consume("websocket.receive", {"wrong": "key"})
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*message.reply_channel.send({*", "E*KeyError: 'text'"])


def test_it_works_with_pytest_django(project):
    settings = SETTINGS.replace("settings.configure(", "values = dict(").replace(
        "django.setup()", "globals().update(values)"
    )
    project.makepyfile(site_settings=settings)
    project.makeconftest(CONFTEST)
    project.makepyfile(
        test_it="""
        import pytest
        from django.contrib.auth import get_user_model
        from channels_classic import Channel

        def test_without_database(ws_client):
            ws_client.send_and_consume("websocket.receive", text="hello")
            assert ws_client.receive(json=False) == "hello"

        @pytest.mark.django_db
        def test_with_database(ws_client, assert_sent):
            ws_client.force_login(get_user_model().objects.create_user("ada"))
            assert "sessionid" in ws_client.get_cookies()
            Channel("work").send({"number": 1}, on_commit=True)
            assert_sent("work")
        """
    )
    result = project.runpytest_subprocess("-p", "pytest_django.plugin", "--ds=site_settings")
    result.assert_outcomes(passed=2)


def test_nothing_is_loaded_without_being_asked_for(project):
    project.makeconftest(SETTINGS)
    project.makepyfile(test_it="def test_one(ws_client): pass")
    result = project.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'ws_client' not found*"])
