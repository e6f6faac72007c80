"""Changes of rows: which groups are told what, and when."""

from __future__ import annotations

import asyncio
import json

import pytest
from django.core.management import call_command
from django.db import transaction
from django.db.models import F
from django.db.models.signals import post_save, pre_delete, pre_save

from channels_classic.binding.websockets import WebsocketBinding
from channels_classic.exceptions import InvalidName, LayerUnavailable
from channels_classic.outbox import holding
from channels_classic.test.commits import make_sends
from tests.binding.library.models import AudioBook, Author, Book, Item, Loan, Tag, Ticket

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("layer", "bindings"),
]


def by_visibility(book):
    return [] if book.visible_to == "nobody" else [book.visible_to]


def by_readers(book):
    return [f"reader-{reader.name}" for reader in book.readers.all()]


@pytest.fixture
def everyone(groups):
    return groups("all")


@pytest.fixture
def rooms(bind, groups):
    """Books are told to the group that may see them; ``all``, ``staff`` and ``new`` listen."""
    bind(Book, names=by_visibility)
    return groups("all", "staff", "new")


@pytest.fixture
def book(rooms):
    book = Book.objects.create(title="Emma")
    rooms.heard()
    return book


# What is told -----------------------------------------------------------------------------


def test_a_row_is_told_of_when_it_is_created_updated_and_deleted(bind, everyone):
    bind(Author)
    author = Author.objects.create(name="Jane")
    key = author.pk
    author.name = "Mary"
    author.save()
    author.delete()
    told = [frame for _, frame in everyone.heard()]
    assert told == [
        {
            "stream": "rows",
            "payload": {
                "action": action,
                "pk": key,
                "data": {"name": name},
                "model": "library.author",
            },
        }
        for action, name in [("create", "Jane"), ("update", "Mary"), ("delete", "Mary")]
    ]


def test_rows_that_a_query_deletes_or_that_go_with_others_are_told_of(bind, everyone):
    bind(Book)
    author = Author.objects.create(name="Jane")
    Book.objects.create(title="Emma", author=author)
    Book.objects.create(title="Persuasion", author=author)
    Book.objects.filter(title="Emma").delete()
    author.delete()
    assert everyone.actions() == {"all": ["create", "create", "delete", "delete"]}


def test_an_empty_payload_is_not_sent(bind, everyone):
    bind(Author, serialize=lambda self, instance, action: {})
    Author.objects.create(name="Jane")
    assert everyone.heard() == []


def test_no_groups_need_no_stream_and_no_serializing(bind, everyone):
    bind(Author, names=lambda instance: [], stream=None, serialize=None)
    Author.objects.create(name="Jane")


def test_a_binding_without_a_stream_says_so_when_there_is_something_to_send(bind):
    bind(Author, stream=None)
    with pytest.raises(AssertionError, match="Made has no stream to send on: set one"):
        Author.objects.create(name="Jane")


def test_serialize_finds_what_the_signal_said(bind, everyone):
    def serialize(self, instance, action):
        kwargs = self.signal_kwargs
        return {"created": kwargs["created"], "fields": list(kwargs["update_fields"] or ())}

    bind(Author, serialize=serialize)
    author = Author.objects.create(name="Jane")
    author.save(update_fields=["name"])
    assert [frame["payload"] for _, frame in everyone.heard()] == [
        {"created": True, "fields": []},
        {"created": False, "fields": ["name"]},
    ]


def test_only_the_model_itself_is_watched(bind, everyone):
    bind(Item)
    Book.objects.create(title="Emma").tags.create(word="novel")
    assert everyone.heard() == []
    Item.objects.create().tags.create(word="dull")
    assert everyone.actions() == {"all": ["create", "update"]}


def test_queries_that_send_no_signals_are_not_seen(bind, everyone):
    bind(Author)
    Author.objects.bulk_create([Author(name="Jane")])
    Author.objects.update(name="Mary")
    assert everyone.heard() == []


def test_several_bindings_of_a_model_are_told(bind, groups):
    bind(Author, stream="a")
    bind(Author, stream="b", names=lambda instance: ["staff"])
    listening = groups("all", "staff")
    Author.objects.create(name="Jane")
    assert [(name, frame["stream"]) for name, frame in listening.heard()] == [
        ("all", "a"),
        ("staff", "b"),
    ]


def test_fixtures_are_told_of(bind, everyone, tmp_path):
    fixture = tmp_path / "authors.json"
    fixture.write_text('[{"model": "library.author", "pk": 5, "fields": {"name": "Jane"}}]')
    bind(Author)
    call_command("loaddata", fixture, verbosity=0)
    call_command("loaddata", fixture, verbosity=0)
    assert everyone.actions() == {"all": ["create", "update"]}


def test_a_fixture_may_change_a_row_whose_key_was_made_here(bind, groups, tmp_path):
    bind(Ticket, names=lambda ticket: [ticket.room])
    listening = groups("A", "B")
    ticket = Ticket.objects.create(room="A")
    fixture = tmp_path / "tickets.json"
    row = {"model": "library.ticket", "pk": str(ticket.pk), "fields": {"room": "B"}}
    fixture.write_text(json.dumps([row]))
    call_command("loaddata", fixture, verbosity=0)
    assert listening.actions() == {"A": ["create", "delete"], "B": ["create"]}


@pytest.mark.parametrize(("names", "error"), [("all", TypeError), (["no name"], InvalidName)])
def test_group_names_that_are_none_are_refused(bind, names, error):
    bind(Author, names=lambda instance: names)
    with pytest.raises(error, match="name"):
        Author.objects.create(name="Jane")


# Groups before and after ------------------------------------------------------------------


def test_groups_that_lose_gain_or_keep_sight_of_a_row_are_told_so(rooms, book):
    """Weakness 13: what was before the save was looked for in the instance that was changed."""
    book.visible_to = "staff"
    book.save()
    assert rooms.actions() == {"all": ["delete"], "staff": ["create"]}
    book.save()
    assert rooms.actions() == {"staff": ["update"]}
    book.visible_to = "nobody"
    book.save()
    assert rooms.actions() == {"staff": ["delete"]}


def test_delete_is_sent_before_update_and_update_before_create(bind, everyone):
    """Three groups with the same listener, so that it hears their order."""
    seen = {"before": ["a", "b"], "after": ["b", "c"]}
    bind(Book, names=lambda book: seen[book.visible_to])
    for name in "abc":
        everyone.layer.group_add(name, "listener.all")
    book = Book.objects.create(title="Emma", visible_to="before")
    everyone.heard()
    book.visible_to = "after"
    book.save()
    assert everyone.actions() == {"all": ["delete", "update", "create"]}


def test_who_loses_sight_of_a_row_does_not_see_what_it_has_become(rooms, book):
    book.visible_to, book.title = "staff", "For staff alone"
    book.save()
    titles = [(name, frame["payload"]["data"]["title"]) for name, frame in rooms.heard()]
    assert titles == [("all", "Emma"), ("staff", "For staff alone")]


def test_what_counts_is_the_row_and_not_what_was_loaded_long_ago(rooms, book):
    Book.objects.filter(pk=book.pk).update(visible_to="staff")  # unseen, by another process
    book.visible_to = "new"
    book.save()
    assert rooms.actions() == {"staff": ["delete"], "new": ["create"]}


def test_an_instance_that_was_never_loaded_updates_its_row(bind, groups):
    bind(Author, names=lambda author: [author.name])
    listening = groups("Jane", "Mary")
    author = Author.objects.create(name="Jane")
    Author(pk=author.pk, name="Mary").save()
    assert listening.actions() == {"Jane": ["create", "delete"], "Mary": ["create"]}


def test_a_key_given_by_hand_may_be_new(bind, everyone):
    bind(Tag)
    Tag.objects.create(word="novel")
    Tag(word="novel").save()
    assert everyone.actions() == {"all": ["create", "update"]}


def test_a_field_that_is_not_saved_changes_no_group_and_no_data(rooms, book):
    book.visible_to, book.title, book.pages = "staff", "Not saved", 500
    book.save(update_fields=["pages"])
    [(name, frame)] = rooms.heard()
    assert (name, frame["payload"]["action"]) == ("all", "update")
    assert frame["payload"]["data"]["title"] == "Emma"
    assert frame["payload"]["data"]["pages"] == 500
    assert (book.title, book.visible_to) == ("Not saved", "staff")


def test_a_field_that_is_saved_alone_changes_groups(rooms, book):
    book.visible_to = "staff"
    book.save(update_fields=["visible_to"])
    assert rooms.actions() == {"all": ["delete"], "staff": ["create"]}


def test_deferred_fields_are_known(rooms, book):
    loaded = Book.objects.only("title").get()
    loaded.title = "Emma II"
    loaded.save()
    [(name, frame)] = rooms.heard()
    assert (name, frame["payload"]["action"]) == ("all", "update")
    assert frame["payload"]["data"]["title"] == "Emma II"
    assert loaded.get_deferred_fields() >= {"pages", "visible_to"}


def test_a_deletion_is_told_to_those_who_could_see_the_row(rooms, book):
    book.visible_to = "staff"  # not saved
    book.delete()
    assert rooms.actions() == {"all": ["delete"]}


def test_a_save_after_the_row_has_gone_creates_it(rooms, book):
    Book.objects.filter(pk=book.pk)._raw_delete("default")
    book.visible_to = "staff"
    book.save()
    assert rooms.actions() == {"staff": ["create"]}


def test_a_save_within_a_save_is_told_of_too(rooms, book):
    def again(instance, **kwargs):
        if instance.pages < 5:
            instance.pages += 1
            instance.save()

    post_save.connect(again, sender=Book)
    try:
        book.pages = 3
        book.save()
    finally:
        post_save.disconnect(again, sender=Book)
    assert rooms.actions() == {"all": ["update"] * 3}


def test_a_save_that_fails_leaves_nothing_for_the_next(rooms, book):
    book.visible_to, book.pages = "staff", -1
    with pytest.raises(Exception, match="CHECK"):
        book.save()
    book.pages = 1
    book.save()
    assert rooms.actions() == {"all": ["delete"], "staff": ["create"]}


def test_an_expression_is_told_as_its_value(rooms, book):
    book.pages = F("pages") + 1
    book.save()
    assert rooms.data()["pages"] == 2


def test_what_the_database_computes_is_read(bind, everyone):
    bind(Ticket)
    ticket = Ticket.objects.create(number=1)
    ticket.number = F("number") + 1
    ticket.save()
    told = [frame["payload"]["data"] for _, frame in everyone.heard()]
    assert [(data["number"], data["double"]) for data in told] == [(1, 2), (2, 4)]


def test_a_signal_that_a_project_sends_itself_is_a_change(rooms, book):
    post_save.send(
        Book, instance=book, created=False, raw=False, using="default", update_fields=None
    )
    assert rooms.actions() == {"all": ["create"]}


# What it costs ----------------------------------------------------------------------------


def test_a_save_costs_no_query_when_the_groups_are_always_the_same(bind, django_assert_num_queries):
    bind(Author)
    author = Author.objects.create(name="Jane")
    with django_assert_num_queries(1):
        author.save()


def test_a_save_costs_one_query_however_many_bindings_look_at_the_row(
    bind, groups, django_assert_num_queries
):
    for _ in range(3):
        bind(Author, names=lambda author: [author.name])
    groups("Jane", "Mary")
    author = Author.objects.create(name="Jane")
    author.name = "Mary"
    with django_assert_num_queries(2):
        author.save()
    with django_assert_num_queries(2):
        author.save(update_fields=["name"])


def test_a_new_row_costs_none(bind, django_assert_num_queries):
    bind(Ticket, names=lambda ticket: [ticket.room], serialize=lambda *args: {})
    bind(Author, names=lambda author: [author.name])
    with django_assert_num_queries(1):
        Author.objects.create(name="Jane")
    with django_assert_num_queries(1):
        Ticket(room="B").save()


def test_rows_that_a_query_deletes_are_not_read_again(bind, django_assert_num_queries):
    bind(Author, names=lambda author: [author.name])
    Author.objects.bulk_create([Author(name="Jane"), Author(name="Mary")])
    with django_assert_num_queries(6):  # it reads, and empties what refers to authors
        Author.objects.all().delete()


def test_models_without_bindings_are_not_watched(rooms):
    assert post_save.has_listeners(Book)
    assert not any(signal.has_listeners(Loan) for signal in (pre_save, post_save, pre_delete))


# When it is told --------------------------------------------------------------------------


def test_a_change_is_told_when_it_is_committed(bind, everyone):
    """Weakness 15, one half: clients asked for what was not there yet."""
    bind(Author)
    with transaction.atomic():
        author = Author.objects.create(name="Jane")
        author.name = "Mary"
        author.save()
        assert everyone.heard() == []
    told = [(each["payload"]["action"], each["payload"]["data"]) for _, each in everyone.heard()]
    assert told == [("create", {"name": "Jane"}), ("update", {"name": "Mary"})]


def test_a_change_that_is_rolled_back_is_not_told(bind, everyone):
    bind(Author)
    with transaction.atomic():
        Author.objects.create(name="Jane")
        with transaction.atomic():
            Author.objects.create(name="Mary")
            transaction.set_rollback(True)
    assert [each["payload"]["data"] for _, each in everyone.heard()] == [{"name": "Jane"}]


def test_an_error_in_telling_is_logged_and_stops_nobody(bind, layer, caplog, monkeypatch):
    def away(*args):
        raise LayerUnavailable("away")

    monkeypatch.setattr(layer, "deliver", away)
    monkeypatch.setattr(layer, "send_group", away)
    bind(Author)
    done = []
    Author.objects.create(name="Jane")
    with transaction.atomic():
        Author.objects.create(name="Mary")
        transaction.on_commit(lambda: done.append("the project's own"))
    assert done == ["the project's own"]
    assert Author.objects.count() == 2
    assert [each.exc_info[0] for each in caplog.records] == [LayerUnavailable] * 2


def test_inside_a_consumer_it_goes_with_what_the_consumer_sends(bind, everyone):
    bind(Author)
    with holding() as outbox:
        Author.objects.create(name="Jane")
        assert everyone.heard() == []
    outbox.flush()
    assert everyone.actions() == {"all": ["create"]}


@pytest.mark.django_db(transaction=False)
def test_tests_in_a_transaction_can_have_it_told(bind, everyone):
    bind(Author)
    Author.objects.create(name="Jane")
    assert everyone.heard() == []
    make_sends()
    assert everyone.actions() == {"all": ["create"]}


# Fields -----------------------------------------------------------------------------------


def test_the_fields_of_parent_tables_relations_and_keys_are_told(bind, everyone):
    """Weakness 16."""
    bind(Book, exclude=["added"], fields=None)
    author = Author.objects.create(name="Jane")
    Book.objects.create(title="Emma", author=author, shelf="B", price="9.90")
    assert everyone.data() == {
        "shelf": "B",
        "title": "Emma",
        "author": author.pk,
        "tags": [],
        "pages": 1,
        "published": None,
        "price": "9.90",
        "secret": "",
        "visible_to": "all",
    }


def test_the_fields_of_two_parents_are_told(bind, everyone):
    bind(AudioBook)
    AudioBook.objects.create(seconds=5)
    assert everyone.data() == {"shelf": "A", "seconds": 5, "tags": []}


def test_only_the_fields_that_are_named_are_told(bind, everyone):
    bind(Book, fields=["title", "shelf", "author_id"])
    Book.objects.create(title="Emma")
    assert everyone.data() == {"title": "Emma", "shelf": "A", "author": None}


def test_what_is_excluded_is_not_told_even_if_it_is_named(bind, everyone):
    bind(Book, fields=["title", "secret"], exclude=["secret"])
    Book.objects.create(title="Emma")
    assert everyone.data() == {"title": "Emma"}


def test_the_key_of_a_row_may_be_of_any_kind(bind, everyone):
    bind(Ticket, fields=["room"])
    ticket = Ticket.objects.create()
    [(_, frame)] = everyone.heard()
    assert frame["payload"]["pk"] == str(ticket.pk)
    assert frame["payload"]["model"] == "library.ticket"


# Relations --------------------------------------------------------------------------------


@pytest.fixture
def tags():
    return [Tag.objects.create(word=word) for word in ("dull", "novel")]


def test_a_change_of_a_relation_is_an_update(rooms, book, tags):
    """Weakness 16: neither the change nor the keys were told."""
    book.tags.set(tags)
    book.tags.remove(tags[0])
    book.tags.clear()
    told = [(name, each["payload"]["action"]) for name, each in rooms.heard()]
    assert told == [("all", "update")] * 3


def test_the_keys_of_a_relation_are_told(rooms, book, tags):
    for tag in reversed(tags):
        book.tags.add(tag)
    assert rooms.heard()[-1][1]["payload"]["data"]["tags"] == ["dull", "novel"]


def test_nothing_is_told_when_a_relation_stays_as_it_is(rooms, book, tags):
    book.tags.add(*tags)
    rooms.heard()
    book.tags.add(*tags)
    book.tags.set(tags)
    assert rooms.heard() == []


def test_a_change_from_the_other_side_is_an_update_of_each_row(rooms, book, tags):
    other = Book.objects.create(title="Persuasion")
    Book.objects.create(title="Elsewhere")
    rooms.heard()
    tags[0].item_set.add(book, other, Item.objects.create())
    assert [each["payload"]["data"]["tags"] for _, each in rooms.heard()] == [["dull"]] * 2
    tags[0].item_set.remove(other)
    tags[0].item_set.clear()
    told = [each["payload"] for _, each in rooms.heard()]
    assert [(each["pk"], each["data"]["tags"]) for each in told] == [(other.pk, []), (book.pk, [])]


def test_a_relation_that_is_not_shown_is_no_update(bind, groups, tags):
    bind(Book, fields=["title"])
    listening = groups("all")
    book = Book.objects.create(title="Emma")
    listening.heard()
    book.tags.set(tags)
    assert listening.heard() == []


def test_a_relation_may_decide_who_sees_a_row(bind, groups):
    bind(Book, names=by_readers, fields=["title"])
    listening = groups("reader-Jane", "reader-Mary")
    jane, mary = (Author.objects.create(name=name) for name in ("Jane", "Mary"))
    book = Book.objects.create(title="Emma")
    book.readers.set([jane])
    assert listening.actions() == {"reader-Jane": ["create"]}
    book.readers.set([mary])
    assert listening.actions() == {"reader-Jane": ["delete"], "reader-Mary": ["create"]}
    book.title = "Persuasion"
    book.save()
    assert listening.actions() == {"reader-Mary": ["update"]}


def test_a_relation_with_more_to_it_is_not_told(bind, everyone):
    bind(Book)
    book = Book.objects.create(title="Emma")
    Loan.objects.create(book=book, reader=Author.objects.create(name="Jane"))
    assert "readers" not in everyone.data()


def test_a_change_of_a_relation_is_told_when_it_is_committed(rooms, book, tags):
    with transaction.atomic():
        book.tags.set(tags)
        assert rooms.heard() == []
    assert rooms.actions() == {"all": ["update"]}


# Async ------------------------------------------------------------------------------------


def test_saves_of_async_code_are_told(bind, everyone):
    bind(Author)
    asyncio.run(_create())
    assert everyone.actions() == {"all": ["create"]}


async def _create():
    await Author.objects.acreate(name="Jane")


def test_a_binding_of_a_binding_is_told_too(bind, everyone):
    made = bind(Author)
    bind(Author, base=made, stream="more")
    Author.objects.create(name="Jane")
    assert [frame["stream"] for _, frame in everyone.heard()] == ["rows", "more"]
    assert issubclass(made, WebsocketBinding)
