"""WebsocketBindingWithMembers: members of the instance beside its fields."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from django.core.serializers.json import DjangoJSONEncoder

from channels_classic.binding.websockets import WebsocketBindingWithMembers
from tests.binding.library.models import Author, Book

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("layer", "bindings"),
]


@pytest.fixture
def told(bind, groups):
    """``told(members, …)``: the data of a book with these."""

    def data(members, author=True, **attributes):
        bind(
            Book,
            base=WebsocketBindingWithMembers,
            fields=["title"],
            send_members=members,
            **attributes,
        )
        listening = groups("all")
        author = Author.objects.create(name="Jane") if author else None
        Book.objects.create(title="Emma", author=author, published=dt.date(1815, 12, 23))
        return listening.data()

    return data


def test_attributes_and_methods_are_told(told):
    assert told(["shelf", "__str__"]) == {"title": "Emma", "shelf": "A", "__str__": "Emma"}


def test_members_of_members_are_told(told):
    assert told(["author.name", "author.shout"]) == {
        "title": "Emma",
        "author__name": "Jane",
        "author__shout": "JANE",
    }


def test_the_members_of_none_are_none(told):
    assert told(["author.name"], author=False) == {"title": "Emma", "author__name": None}


def test_a_member_that_is_not_there_is_an_error(told):
    with pytest.raises(AttributeError, match="nam"):
        told(["author.nam"])


def test_members_are_made_json_by_the_encoder(told):
    assert told(["published"]) == {"title": "Emma", "published": "1815-12-23"}


class Years(DjangoJSONEncoder):
    def default(self, value):
        return value.year if isinstance(value, dt.date) else super().default(value)


@pytest.mark.parametrize("encoder", [Years, Years()])
def test_the_encoder_may_be_another(told, encoder):
    assert told(["published"], encoder=encoder) == {"title": "Emma", "published": 1815}


def test_there_need_be_no_members(told):
    assert told([]) == {"title": "Emma"}
    assert WebsocketBindingWithMembers.encoder is DjangoJSONEncoder
    assert json.loads(WebsocketBindingWithMembers.encode("s", {})["text"])["stream"] == "s"
