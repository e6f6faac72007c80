"""Somebody to look at the live page of the demo with: safe, as the password is new each time."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from channels_classic.asgi import channel_layers


def password() -> str:
    output = StringIO()
    call_command("demooperator", stdout=output)
    found = re.search(r"/monitor/.* log in as operator, password (\S+)$", output.getvalue().strip())
    assert found is not None, output.getvalue()
    return found[1]


def test_the_demo_has_an_operator_who_sees_the_live_page(site, client, settings):
    settings.DEBUG = True
    assert client.login(username="operator", password=password())
    page = client.get("/monitor/")
    assert page.status_code == 200
    assert "Live operations" in page.content.decode()


def test_the_password_of_the_last_demo_opens_nothing(site, client, settings):
    settings.DEBUG = True
    old, new = password(), password()
    assert old != new
    assert not client.login(username="operator", password=old)
    assert client.login(username="operator", password=new)


def test_it_is_for_the_demo_alone(site, settings, monkeypatch):
    with pytest.raises(CommandError, match="createsuperuser"):
        password()
    settings.DEBUG = True
    monkeypatch.setattr(type(channel_layers["default"].channel_layer), "local_only", False)
    with pytest.raises(CommandError, match="createsuperuser"):
        password()
