"""The page: who may see it, what it begins with, and what is decided on it."""

from __future__ import annotations

import gc
import json
import logging
import re
import time

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import Client as Browser
from django.test import RequestFactory

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.monitor import checks
from channels_classic.monitor.access import may_act, may_look
from channels_classic.monitor.lookers import LABEL
from channels_classic.signals import worker_beat
from tests.monitor.conftest import bury

LOGGER = "channels_classic.monitor"


def browser_of(user=None, **options):
    browser = Browser(**options)
    if user is not None:
        browser.force_login(user)
    return browser


def opening(response):
    [found] = re.findall(r'<script id="opening"[^>]*>(.*?)</script>', response.content.decode())
    return json.loads(found)


def ids(wrapper):
    return [each.id for each in wrapper.channel_layer.dead_letters()]


def post(user, **fields):
    response = browser_of(user).post("/monitor/dead/", fields)
    return response.status_code, response.json()


# Who may see it -----------------------------------------------------------------------------


def test_who_is_not_logged_in_is_sent_to_the_login_of_the_admin(people):
    response = browser_of().get("/monitor/?a=b")
    assert response.status_code == 302
    assert response["Location"] == "/admin/login/?next=/monitor/%3Fa%3Db"


def test_without_an_admin_the_login_of_the_settings_is_used(people, settings):
    settings.ROOT_URLCONF = "tests.monitor.urls_alone"
    settings.LOGIN_URL = "/log-in/"
    response = browser_of().get("/monitor/")
    assert response["Location"] == "/log-in/?next=/monitor/"


def test_who_is_not_of_the_staff_is_refused(people):
    assert browser_of(people["guest"]).get("/monitor/").status_code == 403


@pytest.mark.parametrize("name", ["boss", "keeper", "clerk"])
def test_the_staff_sees_it(people, name):
    response = browser_of(people[name]).get("/monitor/")
    assert response.status_code == 200
    assert "max-age=0" in response["Cache-Control"]
    assert "InMemoryChannelLayer" in response.content.decode()
    assert '<a href="/">View site</a>' in response.content.decode()


def test_the_page_cannot_be_posted_to(people):
    assert browser_of(people["boss"]).post("/monitor/").status_code == 405


def test_who_may_look_and_who_may_act(people):
    assert [name for name, user in people.items() if may_look(user)] == ["boss", "keeper", "clerk"]
    assert [name for name, user in people.items() if may_act(user)] == ["boss", "keeper"]
    assert not may_look(None)


def test_the_index_of_the_admin_leads_to_it(people):
    request = RequestFactory().get("/admin/")
    request.user = people["clerk"]
    [app] = admin.site.get_app_list(request, LABEL)
    assert app["name"] == "Live operations"
    [entry] = app["models"]
    assert (str(entry["name"]), entry["add_url"]) == ("Live page", None)
    response = browser_of(people["clerk"]).get(entry["admin_url"])
    assert (response.status_code, response["Location"]) == (302, "/monitor/")


def test_others_have_no_entry_in_the_admin(people):
    request = RequestFactory().get("/admin/")
    request.user = people["gone"]
    assert admin.site.get_app_list(request, LABEL) == []


# What it begins with ------------------------------------------------------------------------


def test_it_begins_with_all_that_there_is_to_see(people, wrapper):
    for sent in (10, 60):
        sample = {"sent": sent, "completed": 0, "failed": 0, "waiting": 0, "sockets": 0}
        wrapper.channel_layer.ledger.record(sample, limit=10)
    bury(wrapper)
    found = opening(browser_of(people["clerk"]).get("/monitor/"))
    names = [row["name"] for row in found["frame"]["channels"]]
    assert {"websocket.connect", "thumbnails"} <= set(names)
    assert [row["error"] for row in found["frame"]["letters"]] == ["ValueError: photo 0"]
    assert len(found["history"]) == 1


def test_what_was_sent_cannot_write_into_the_page(people, wrapper):
    bury(wrapper, "a-b")
    wrapper.channel_layer.send("x", {"a": 1})
    evil = "</script><script>alert(1)</script>"
    wrapper.channel_layer.ledger.report(evil, {"kind": "worker", "host": evil}, ttl=9)
    response = browser_of(people["clerk"]).get("/monitor/")
    assert evil not in response.content.decode()
    assert opening(response)["frame"]["workers"][0]["host"] == evil


def test_without_the_bus_it_is_there_and_says_so(people, wrapper, monkeypatch):
    def away(*arguments):
        raise LayerUnavailable("no Redis at localhost")

    monkeypatch.setattr(wrapper.channel_layer.ledger, "census", away)
    response = browser_of(people["clerk"]).get("/monitor/")
    assert response.status_code == 200
    assert opening(response) == {"problem": "no Redis at localhost"}


# What is decided ------------------------------------------------------------------------------


def test_one_dead_letter_is_put_back(people, wrapper):
    bury(wrapper, number=2)
    first, second = ids(wrapper)
    status, answer = post(people["keeper"], deed="requeue", id=first)
    assert (status, answer["done"], answer["more"], answer["problem"]) == (200, 1, False, "")
    assert ids(wrapper) == [second]
    assert wrapper.channel_layer.receive(["thumbnails"]) == ("thumbnails", {"photo": 0})


def test_all_of_a_channel_are_deleted(people, wrapper):
    bury(wrapper, "mail"), bury(wrapper, "thumbnails", 3)
    status, answer = post(people["boss"], deed="delete", channel="thumbnails")
    assert (status, answer["done"]) == (200, 3)
    assert [each.channel for each in wrapper.channel_layer.dead_letters()] == ["mail"]


def test_all_of_them_are_done_in_bites(people, wrapper, settings):
    settings.CHANNELS_CLASSIC = {"MONITOR": {"at_once": 2}}
    bury(wrapper, number=5)
    answers = [post(people["boss"], deed="delete", all="1")[1] for _ in range(3)]
    assert [(each["done"], each["more"]) for each in answers] == [(2, True), (2, True), (1, False)]
    assert ids(wrapper) == []


def test_letters_that_die_again_meanwhile_are_for_another_time(people, wrapper, settings):
    """A consumer that still fails would else keep the page busy for ever."""
    settings.CHANNELS_CLASSIC = {"MONITOR": {"at_once": 2}}
    bury(wrapper, number=3)
    time.sleep(0.01)  # dead letters tell the time of their death
    answer, rounds = {"until": 0, "more": True}, 0
    while answer["more"]:
        answer = post(people["boss"], deed="requeue", all="1", until=answer["until"])[1]
        bury(wrapper, number=answer["done"])
        rounds += 1
    assert (rounds, len(ids(wrapper))) == (2, 3)


@pytest.mark.parametrize("until", ["", "soon", "nan"])
def test_an_until_that_is_no_time_does_no_harm(people, wrapper, until):
    bury(wrapper)
    assert post(people["boss"], deed="delete", all="1", until=until)[0] == 200


def test_several_are_named(people, wrapper):
    bury(wrapper, number=3)
    first, _, third = ids(wrapper)
    assert post(people["boss"], deed="delete", id=[first, third])[1]["done"] == 2


def test_one_that_is_gone_is_nothing_done(people, wrapper):
    status, answer = post(people["boss"], deed="delete", id="77")
    assert (status, answer["done"], answer["more"], answer["problem"]) == (200, 0, False, "")


def test_a_full_channel_takes_what_it_can_and_says_why_not_all(people, wrapper):
    full = InMemoryChannelLayer(capacity=2)
    wrapper.channel_layer = full
    bury(wrapper, number=3)
    status, answer = post(people["boss"], deed="requeue", all="1")
    assert (status, answer["done"], answer["more"]) == (409, 2, False)
    assert answer["problem"].startswith("thumbnails is full")
    assert len(ids(wrapper)) == 1


def test_each_deed_is_logged_with_who_did_it(people, wrapper, caplog):
    bury(wrapper, number=12)
    with caplog.at_level(logging.WARNING, LOGGER):
        post(people["keeper"], deed="requeue", id=ids(wrapper)[0])
        post(people["boss"], deed="delete", all="1")
    first, second = (each.getMessage() for each in caplog.records if each.name == LOGGER)
    assert first == "keeper has put back 1 dead letter(s): 1 of thumbnails"
    assert second.startswith("boss has deleted 11 dead letter(s): 2 of thumbnails, ")
    assert second.endswith("11 of thumbnails and 1 more")


@pytest.mark.parametrize("name", ["clerk", "guest", "gone", None])
def test_who_may_not_act_is_refused_and_nothing_happens(people, wrapper, name):
    bury(wrapper)
    status, answer = post(people.get(name), deed="delete", all="1")
    assert (status, answer["done"]) == (403, 0)
    assert len(ids(wrapper)) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"deed": "delete"},
        {"deed": "eat", "all": "1"},
        {"deed": "delete", "id": "1", "all": "1"},
        {"deed": "delete", "channel": "a", "all": "1"},
    ],
)
def test_what_makes_no_sense_is_refused(people, wrapper, fields):
    bury(wrapper)
    assert post(people["boss"], **fields)[0] == 400
    assert len(ids(wrapper)) == 1


def test_a_page_of_another_site_cannot_act(people, wrapper):
    bury(wrapper)
    browser = browser_of(people["boss"], enforce_csrf_checks=True)
    response = browser.post("/monitor/dead/", {"deed": "delete", "all": "1"})
    assert response.status_code == 403
    assert len(ids(wrapper)) == 1


def test_while_the_bus_is_away_it_says_so(people, wrapper, monkeypatch):
    def away(*arguments):
        raise LayerUnavailable("no Redis")

    monkeypatch.setattr(wrapper.channel_layer, "dead_letters", away)
    status, answer = post(people["boss"], deed="delete", all="1")
    assert (status, answer["problem"]) == (503, "no Redis")


# The app ----------------------------------------------------------------------------------------


def test_no_migration_is_missing(people):
    call_command("makemigrations", "channels_classic_monitor", check=True, dry_run=True)


def test_limits_that_cannot_be_are_found_by_a_system_check(wrapper, settings):
    assert checks.check_limits() == []
    settings.CHANNELS_CLASSIC = {"MONITOR": {"channels": 0}}
    [found] = checks.check_limits()
    assert found.id == "channels_classic.W005"
    assert "channels must be a whole number above 0" in found.msg


@pytest.mark.parametrize("options", [[], ["MONITOR"], 7, "MONITOR"])
def test_options_that_are_no_dict_are_the_business_of_another_check(wrapper, settings, options):
    settings.CHANNELS_CLASSIC = options
    assert checks.check_limits() == []


def test_the_page_with_such_limits_is_an_error_that_says_so(people, settings):
    settings.CHANNELS_CLASSIC = {"MONITOR": {"channels": 0}}
    with pytest.raises(ImproperlyConfigured, match="channels must be"):
        browser_of(people["clerk"]).get("/monitor/")


def test_beats_are_heard_while_the_app_is_installed_and_no_longer(wrapper):
    config = apps.get_app_config(LABEL)
    worker_beat.connect(config.on_beat)
    worker_beat.send_robust(sender=None, layer=wrapper)
    end = time.monotonic() + 20
    while not wrapper.channel_layer.ledger.recorded(1):
        assert time.monotonic() < end, "no sample within 20 s"
        time.sleep(0.01)
    worker_beat.disconnect(config.on_beat)
    number = len(worker_beat._live_receivers(None)[0])
    connected = type(config).create("channels_classic.monitor")
    connected.apps = apps
    connected.ready()
    assert len(worker_beat._live_receivers(None)[0]) == number + 1
    del connected
    gc.collect()
    assert len(worker_beat._live_receivers(None)[0]) == number
