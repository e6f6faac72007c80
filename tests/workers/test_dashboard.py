"""The example's dashboard, on the memory layer and without any process."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client

from channels_classic import channel_layers
from channels_classic.dispatch import dispatch
from channels_classic.message import Message

ME = "test.reply.server!me"
WEEK = [12, 19, 3, 5, 2, 3, 9]


@pytest.fixture
def weeks(site) -> Any:
    return import_module("dashboard.models").Week


def push(client: Client, data: Any = WEEK, **options: Any) -> Any:
    content = {"data": data}
    return client.post("/dashboard/ingest/", content, content_type="application/json", **options)


def say(kind: str, **content: Any) -> Any:
    """Has a message of the page's socket run by the consumer that it is routed to."""
    layer = channel_layers["default"]
    content = {"reply_channel": ME, "path": "/dashboard/", **content}
    return dispatch(Message(content, f"websocket.{kind}", layer), layer.router)


def connect() -> None:
    say("connect").outbox.flush()


def told(layer: Any) -> list[dict[str, Any]]:
    """What the socket has been sent, in order."""
    received = iter(lambda: layer.receive(["test.reply.server!"])[1], None)
    return [json.loads(content["text"]) if "text" in content else content for content in received]


# Pushing ------------------------------------------------------------------------------------


def test_a_week_that_is_pushed_is_stored_and_told_to_every_socket(site, client, weeks):
    connect()
    told(site)
    answer = push(client)
    week = weeks.objects.get()
    assert answer.status_code == 201
    assert week.data == WEEK
    assert answer.json() == week.state()
    assert told(site) == [{"weeks": [week.state()]}]


@pytest.mark.parametrize(
    ("data", "field", "reason"),
    [
        ([1, 2, 3], None, "A week has 7 numbers, one for each day."),
        ([1] * 8, None, "A week has 7 numbers, one for each day."),
        ("1234567", None, "Expected a list of items"),
        (None, None, "This field may not be null."),
        ([1, 2, "three", 4, 5, 6, 7], "2", "This is no integer."),
        ([1, 2, 3, 4, 5, 6, 7.5], "6", "This is no integer."),
        ([1, 2, 3, 4, 5, 6, None], "6", "A number is missing."),
        ([10**9 + 1, 2, 3, 4, 5, 6, 7], "0", "less than or equal to 1000000000"),
    ],
)
def test_what_is_no_week_is_refused_with_the_reason(site, client, weeks, data, field, reason):
    answer = push(client, data)
    assert answer.status_code == 400
    reasons = answer.json()["data"]
    assert reason in str(reasons[field] if field else reasons)
    assert not weeks.objects.exists()
    assert told(site) == []


@pytest.mark.parametrize(
    ("body", "content_type", "status", "reason"),
    [
        ("{", "application/json", 400, "JSON parse error"),
        ("[1,2,3,4,5,6,7]", "application/json", 400, "Expected a dictionary"),
        ("{}", "application/json", 400, "This field is required."),
        ('{"data": [1e400,2,3,4,5,6,7]}', "application/json", 400, "This is no integer."),
        ("data=1&data=2", "application/x-www-form-urlencoded", 415, "Unsupported media type"),
        ('{"data": [1,2,3,4,5,6,7]}', "text/plain", 415, "Unsupported media type"),
    ],
)
def test_a_body_that_is_no_json_of_ours_is_refused(
    client, weeks, body, content_type, status, reason
):
    answer = client.post("/dashboard/ingest/", body, content_type=content_type)
    assert (answer.status_code, reason in answer.content.decode()) == (status, True)
    assert not weeks.objects.exists()


def test_a_browser_that_is_logged_in_pushes_with_its_token_only(site, weeks):
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_user("ada"))
    assert push(client).status_code == 403
    token = client.get("/dashboard/").context["csrf_token"]
    assert push(client, headers={"x-csrftoken": str(token)}).status_code == 201


def test_the_api_tells_the_last_week(client, weeks):
    assert client.get("/dashboard/ingest/").json() == {"last": None}
    for number in range(2):
        push(client, [number] * 7)
    assert client.get("/dashboard/ingest/").json() == {"last": weeks.objects.last().state()}
    assert weeks.objects.last().data == [1] * 7


def test_the_browsable_api_shows_the_last_week_and_a_form_with_one(client, weeks):
    push(client)
    html = client.get("/dashboard/ingest/", headers={"accept": "text/html"}).content.decode()
    assert 'name="_content"' in html
    assert "&quot;pushed&quot;" in html
    form = html[html.index('name="_content"') :]
    assert [number for number in WEEK if f" {number}" not in form] == []


def test_the_oldest_weeks_give_way(client, weeks):
    for number in range(15):
        push(client, [number] * 7)
    assert [week["data"][0] for week in weeks.kept()] == list(range(3, 15))


def test_pages_are_told_after_the_commit_and_never_of_what_is_rolled_back(site, weeks):
    connect()
    told(site)
    with transaction.atomic():
        weeks.push(WEEK)
        assert told(site) == []
    assert len(told(site)) == 1
    with transaction.atomic():
        weeks.push(WEEK)
        transaction.set_rollback(True)
    assert told(site) == []


# Looking ------------------------------------------------------------------------------------


def test_a_new_page_has_the_stored_weeks_before_any_socket(client, weeks):
    push(client)
    assert client.get("/dashboard/").context["weeks"] == weeks.kept()


def test_a_socket_is_told_the_stored_weeks_first(site, client, weeks):
    push(client)
    connect()
    assert told(site) == [{"accept": True}, {"weeks": weeks.kept(), "stored": True}]


def test_what_is_pushed_while_a_socket_connects_is_not_missed(site, client, weeks, monkeypatch):
    """The article's page joined after it was accepted: a push in between was lost."""
    members = []
    kept = weeks.kept

    def slow_kept() -> Any:
        found = kept()
        members.extend(site.group_channels("dashboard"))
        weeks.push(WEEK)  # somebody else's, right after the weeks were read
        return found

    monkeypatch.setattr(weeks, "kept", slow_kept)
    connect()
    assert members == [ME]
    assert [week["data"] for message in told(site) for week in message.get("weeks", [])] == [WEEK]


@pytest.mark.parametrize(
    "said", [{"text": "[object Object]"}, {"text": "{"}, {"text": "9" * 5000}, {"bytes": b"\xff"}]
)
def test_garbage_of_a_client_is_dropped_and_the_socket_goes_on(site, client, weeks, caplog, said):
    connect()
    told(site)
    ended = say("receive", **said)
    ended.outbox.flush()
    assert told(site) == []
    assert caplog.records == []
    push(client)
    assert len(told(site)) == 1


def test_a_socket_that_closes_leaves_the_group(site):
    connect()
    say("disconnect", code=1000, order=1)
    assert site.group_channels("dashboard") == []
