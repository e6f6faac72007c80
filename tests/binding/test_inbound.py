"""Changes that browsers ask for: what they may set, and what is checked before it is saved."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User
from django.db.models.signals import m2m_changed

from channels_classic.asgi import channel_layers
from channels_classic.binding.incoming import settable
from channels_classic.binding.websockets import WebsocketBinding
from channels_classic.generic.websockets import WebsocketDemultiplexer
from channels_classic.message import Message
from channels_classic.sessions import session_for_reply_channel
from tests.binding.library.models import Author, Book, Loan, Tag, Ticket
from tests.generic.socket import Socket

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("layer", "bindings"),
]


def ask(binding, action, pk=None, data=None, *, channel="websocket.receive"):
    """What a demultiplexer hands on."""
    text = json.dumps({"action": action, "pk": pk, "data": data})
    content = {"reply_channel": "server.reply!a", "path": "/", "text": text}
    binding.consumer(Message(content, channel, channel_layers["default"]))


def only(model):
    return model.objects.get()


@pytest.fixture
def books(bind):
    return bind(Book)


@pytest.fixture
def jane():
    return Author.objects.create(name="Jane")


# The three actions ------------------------------------------------------------------------


def test_a_row_is_created(books, jane):
    data = {"title": "Emma", "author": jane.pk, "published": "1815-12-23", "shelf": "B"}
    ask(books, "create", data={**data, "price": "9.90"})
    book = only(Book)
    assert (book.title, book.author, book.shelf) == ("Emma", jane, "B")
    assert (book.published.year, str(book.price), book.pages) == (1815, "9.90", 1)
    assert book.added is not None


def test_a_row_is_updated(books, jane):
    book = Book.objects.create(title="Emma", pages=474)
    ask(books, "update", book.pk, {"title": "Persuasion", "author": jane.pk})
    book = only(Book)
    assert (book.title, book.author, book.pages) == ("Persuasion", jane, 474)


def test_a_row_is_deleted(books):
    kept, gone = (Book.objects.create(title=title) for title in ("Emma", "Persuasion"))
    ask(books, "delete", gone.pk)
    ask(books, "delete", gone.pk)  # it has gone
    ask(books, "delete")
    assert only(Book) == kept


def test_a_row_that_is_not_there_cannot_be_updated(books):
    with pytest.raises(Book.DoesNotExist):
        ask(books, "update", 5, {"title": "Emma"})


@pytest.mark.parametrize("channel", ["websocket.connect", "websocket.disconnect", "work"])
def test_only_frames_are_listened_to(books, channel):
    ask(books, "create", data={"title": "Emma"}, channel=channel)
    assert not Book.objects.exists()


def test_the_data_that_was_told_can_be_sent_back(books, groups, jane):
    listening = groups("all")
    tags = [Tag.objects.create(word="novel")]
    book = Book.objects.create(title="Emma", author=jane)
    book.tags.set(tags)
    data = listening.heard()[-1][1]["payload"]["data"]
    ask(books, "update", book.pk, data)
    changed = only(Book)
    assert changed.author == jane
    assert list(changed.tags.all()) == tags
    assert changed.added == book.added


# What a client may set --------------------------------------------------------------------


def test_a_client_cannot_make_itself_a_superuser(bind):
    """Weakness 14: create let everything through."""
    users = bind(User, fields=["username", "password", "email"])
    ask(users, "create", data={"username": "eve", "password": "x", "is_superuser": True})
    assert not only(User).is_superuser
    ask(users, "update", only(User).pk, {"is_superuser": True, "email": "eve@example.com"})
    user = only(User)
    assert (user.is_superuser, user.email) == (False, "eve@example.com")


def test_nor_by_a_field_that_is_excluded(bind):
    users = bind(User, fields=None, exclude=["is_superuser", "groups", "user_permissions"])
    data = {"username": "eve", "password": "x", "is_superuser": True, "first_name": "Eve"}
    ask(users, "create", data=data)
    user = only(User)
    assert (user.is_superuser, user.first_name) == (False, "Eve")
    ask(users, "update", user.pk, {"is_superuser": True})
    assert not only(User).is_superuser


@pytest.mark.parametrize("fields", ["__all__", ["__all__"], ("title", "__all__")])
def test_all_fields_means_all_fields(bind, fields):
    """Weakness 15, the other half: ``"a" in "__all__"`` was asked of each name."""
    books = bind(Book, fields=fields)
    book = Book.objects.create(title="Emma")
    ask(books, "update", book.pk, {"title": "Persuasion", "secret": "x", "pages": 3, "shelf": "B"})
    book = only(Book)
    assert (book.title, book.secret, book.pages, book.shelf) == ("Persuasion", "x", 3, "B")


@pytest.mark.parametrize("name", ["pk", "id", "item_ptr", "no_field", "loan", "readers"])
def test_what_is_no_field_of_the_data_is_passed_over(books, name):
    book = Book.objects.create(title="Emma")
    ask(books, "update", book.pk, {name: 77, "pages": 3})
    assert (only(Book).pk, only(Book).pages) == (book.pk, 3)
    assert not Loan.objects.exists()


def test_what_is_not_editable_is_set_only_where_it_is_named(bind):
    book = Book.objects.create(title="Emma")
    sent = {"added": "2001-01-01T00:00:00Z"}
    ask(bind(Book), "update", book.pk, sent)
    assert only(Book).added == book.added
    ask(bind(Book, fields=["added"]), "update", book.pk, sent)
    assert only(Book).added.year == 2001


def test_what_the_database_computes_is_not_set(bind, groups):
    tickets = bind(Ticket, fields=["number", "double"])
    listening = groups("all")
    ask(tickets, "create", data={"number": 4, "double": 5})
    ask(tickets, "update", str(only(Ticket).pk), {"number": 6, "double": 5})
    assert not settable(Ticket._meta.get_field("double"), ["double"])
    told = [frame["payload"]["data"] for _, frame in listening.heard()]
    assert told == [{"number": 4, "double": 8}, {"number": 6, "double": 12}]


# What is checked --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"title": ""}, "title: This field cannot be blank"),
        ({"title": None}, "title: This field cannot be null"),
        ({"title": "x" * 21}, "title: Ensure this value has at most 20 characters"),
        ({"title": "Emma", "secret": None}, "secret: This field cannot be null"),
        ({"title": "Emma", "pages": "many"}, "pages: “many” value must be an integer"),
        ({"title": "Emma", "pages": -1}, "pages: Ensure this value is greater"),
        ({"title": "Emma", "pages": {}}, "pages: "),
        ({"title": "Emma", "pages": float("inf")}, "pages: OverflowError"),
        ({"title": "Emma", "published": "soon"}, "published: “soon” value has an invalid date"),
        ({"title": "Emma", "published": 5}, "published: TypeError"),
        ({"title": "Emma", "author": 99}, "author: author instance with id 99 "),
        ({"title": "Emma", "author": [1]}, "author: "),
        ({"title": "Emma", "tags": ["dull", "none"]}, "tags: There is no library.Tag none"),
        ({"title": "Emma", "tags": ["xyz"]}, "tags: There is no library.Tag xyz"),
        ({"title": "Emma", "tags": "dull"}, "tags: This is a list of primary keys"),
        ({"title": "A", "shelf": "A"}, "the whole: A book is not a shelf"),
        ({"pages": 3}, "title: This field cannot be blank"),
        ({"title": "", "pages": "many"}, "title: .*; pages: "),
    ],
)
def test_a_value_that_is_not_valid_is_refused_by_its_name_and_nothing_saved(books, data, text):
    for word in ("dull", "xyz"):  # the field takes no words after x
        Tag.objects.create(word=word)
    with pytest.raises(ValueError, match=f"not a valid library.Book: {text}"):
        ask(books, "create", data=data)
    assert not Book.objects.exists()


def test_an_update_that_is_not_valid_changes_nothing(books):
    book = Book.objects.create(title="Emma")
    with pytest.raises(ValueError, match="pages: "):
        ask(books, "update", book.pk, {"title": "Persuasion", "pages": "many"})
    assert only(Book).title == "Emma"


def test_an_update_is_not_blamed_for_what_it_does_not_touch(books):
    book = Book.objects.create(title="")
    ask(books, "update", book.pk, {"pages": 3})
    assert only(Book).pages == 3


def test_what_must_be_unique_is_checked(bind, jane):
    authors = bind(Author)
    with pytest.raises(ValueError, match="name: Author with this Name already exists"):
        ask(authors, "create", data={"name": "Jane"})
    assert only(Author) == jane


def test_a_key_that_nobody_makes_must_not_be_empty(bind):
    with pytest.raises(ValueError, match="word: This field cannot be blank"):
        ask(bind(Tag), "create", data={"word": "novel"})
    assert not Tag.objects.exists()


def test_a_relation_is_set(books):
    for word in ("dull", "novel"):
        Tag.objects.create(word=word)
    ask(books, "create", data={"title": "Emma", "tags": ["novel", "dull", "novel"]})
    assert sorted(tag.word for tag in only(Book).tags.all()) == ["dull", "novel"]
    ask(books, "update", only(Book).pk, {"tags": []})
    assert not only(Book).tags.exists()


def test_a_row_whose_relation_cannot_be_saved_is_not_saved(books, groups):
    def refuse(**kwargs):
        raise RuntimeError("no tags today")

    listening = groups("all")
    Tag.objects.create(word="novel")
    m2m_changed.connect(refuse, sender=Book.tags.through)
    try:
        with pytest.raises(RuntimeError):
            ask(books, "create", data={"title": "Emma", "tags": ["novel"]})
    finally:
        m2m_changed.disconnect(refuse, sender=Book.tags.through)
    assert not Book.objects.exists()
    assert listening.heard() == []


@pytest.mark.parametrize("data", [None, [], "title", 5])
def test_data_that_is_no_object_is_refused(books, data):
    with pytest.raises(ValueError, match="Made takes an object as data"):
        ask(books, "create", data=data)


@pytest.mark.parametrize("text", ["", "hello", "[1]", "5", "{}", '{"action": 5}', "[" * 100_000])
def test_frames_that_ask_for_nothing_are_refused_by_the_name_of_the_binding(books, text):
    content = {"reply_channel": "server.reply!a", "path": "/", "text": text}
    with pytest.raises(ValueError, match="Made"):
        books.consumer(Message(content, "websocket.receive", channel_layers["default"]))


def test_so_are_binary_ones(books):
    content = {"reply_channel": "server.reply!a", "path": "/", "bytes": b"{}"}
    with pytest.raises(ValueError, match="Made was sent what is not JSON"):
        books.consumer(Message(content, "websocket.receive", channel_layers["default"]))


@pytest.mark.parametrize("pk", ["x", [1], {}, float("inf")])
def test_a_key_that_is_none_of_the_model_is_refused(books, pk):
    with pytest.raises(ValueError, match="Made has no row "):
        ask(books, "delete", pk)


# Permission -------------------------------------------------------------------------------


def test_a_binding_sees_the_same_key_however_it_is_written(bind):
    asked = []
    book = Book.objects.create(title="Emma")
    books = bind(Book, has_permission=lambda self, user, action, pk: asked.append(pk))
    for pk in (book.pk, str(book.pk), float(book.pk)):
        ask(books, "delete", pk)
    assert asked == [book.pk] * 3
    assert Book.objects.exists()


def test_permission_is_asked_for_before_anything_is_looked_at(bind):
    books = bind(Book, has_permission=lambda self, user, action, pk: False)
    for action in ("create", "update", "delete"):
        ask(books, action, 5, {"title": ""})
    assert not Book.objects.exists()


# On a demultiplexer -----------------------------------------------------------------------


class Users(WebsocketBinding):
    """Takes the names of books from logged in users, and remembers who asked."""

    model = None
    asked = []  # noqa: RUF012

    def has_permission(self, user, action, pk):
        self.asked.append((str(user), self.kwargs["room"], self.kwargs["multiplexer"].stream))
        return user.is_authenticated


@pytest.fixture
def socket(bind, layer):
    Users.asked.clear()
    made = bind(Book, base=Users, fields=["title"], channel_session_user=True)
    del made.has_permission
    made.strict_ordering = True
    shelf = type(
        "Shelf",
        (WebsocketDemultiplexer,),
        {"consumers": {"rows": made.consumer}, "groups": ["all"]},
    )
    socket = Socket(shelf.as_route(path="^/(?P<room>.)"))
    channel_layers.set("default", socket.wrapper)
    return socket


def frame(**payload):
    return {"stream": "rows", "payload": payload}


def test_a_browser_creates_a_row_and_all_browsers_hear_of_it(socket, client):
    user = User.objects.create_user("jane", password="x")
    client.force_login(user)
    session = session_for_reply_channel(socket.name)
    session.update(dict(client.session.items()))
    session.save()
    socket.connect(path="/a")
    assert socket.receive(frame(action="create", data={"title": "Emma"}), path="/a") is None
    told = {"pk": only(Book).pk, "data": {"title": "Emma"}, "model": "library.book"}
    assert socket.frames() == [frame(action="create", **told)]
    assert Users.asked == [("jane", "a", "rows")]
    socket.receive(frame(action="delete", pk=told["pk"]), path="/a")
    assert socket.frames() == [frame(action="delete", **told)]


def test_somebody_is_nobody_without_a_login(socket):
    socket.connect(path="/a")
    assert socket.receive(frame(action="create", data={"title": "Emma"}), path="/a") is None
    assert Users.asked == [("AnonymousUser", "a", "rows")]
    assert not Book.objects.exists()


def test_slight_ordering_is_refused(bind):
    with pytest.raises(ValueError, match="slight ordering is no more"):
        ask(bind(Author, slight_ordering=True), "create", data={"name": "Jane"})
