"""Sessions of connections and browsers for consumers; and order, which is there without them."""

from __future__ import annotations

import asyncio
import inspect

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.core.cache import caches
from django.utils import timezone

from channels_classic import bus_sessions
from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.exceptions import ChannelFull, ConsumeLater, DenyConnection
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.message import Message
from channels_classic.policy import consumer, policy_of
from channels_classic.sessions import (
    channel_and_http_session,
    channel_session,
    enforce_ordering,
    http_session,
    requeue_messages,
    session_for_reply_channel,
    wait_channel_name,
)

REPLY = "server.reply.abc!1"
DATABASE = "django.contrib.sessions.backends.db"
CACHE = "django.contrib.sessions.backends.cache"


def plain(message):
    """What it does."""
    return message["text"]


async def later(message):
    return message["text"]


ORDERINGS = [enforce_ordering, enforce_ordering(), enforce_ordering(slight=False)]


@pytest.mark.parametrize("ordered", ORDERINGS)
def test_an_ordered_consumer_has_a_channel_session(ordered):
    @ordered
    def consumer(message):
        return message.channel_session.setdefault("seen", message["text"])

    assert consumer(received(text="hello")) == "hello"


@pytest.mark.parametrize("ordered", ORDERINGS)
def test_an_ordered_consumer_stays_what_it_is(ordered):
    assert not inspect.iscoroutinefunction(ordered(plain))
    assert inspect.iscoroutinefunction(ordered(later))
    assert ordered(plain)(received(text="hello")) == "hello"
    assert asyncio.run(ordered(later)(received(text="hello"))) == "hello"


def test_methods_may_be_ordered():
    class Echo:
        @enforce_ordering
        def receive(self, message, text=None):
            return text

    assert Echo().receive(received(), text="text") == "text"


def received(**content):
    wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])
    return Message({"reply_channel": "server!1", **content}, "websocket.receive", wrapper)


def test_slight_ordering_is_refused():
    with pytest.raises(ValueError, match="slight ordering is no more"):
        enforce_ordering(slight=True)
    with pytest.raises(ValueError, match="slight ordering is no more"):
        enforce_ordering(slight=True)(plain)


def test_it_leaves_what_other_decorators_say():
    @enforce_ordering
    @consumer(max_attempts=7)
    def marked(message):
        pass

    assert policy_of(marked).max_attempts == 7


# Sessions of connections --------------------------------------------------------------------


class Counting(InMemoryChannelLayer):
    """Notes what concerns attachments."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def attach(self, channel, key, content):
        self.calls.append("attach")
        super().attach(channel, key, content)

    def attached(self, channels, key):
        self.calls.append("attached")
        return super().attached(channels, key)

    def detach(self, channel, key):
        self.calls.append("detach")
        super().detach(channel, key)


@pytest.fixture
def layer() -> Counting:
    return Counting()


@pytest.fixture
def message(layer):
    """``message(channel, **content)``: one of the same connection each time."""
    wrapper = ChannelLayerWrapper(layer, "default", [])

    def make(channel="websocket.receive", **content):
        return Message({"reply_channel": REPLY, "path": "/", **content}, channel, wrapper)

    return make


@pytest.fixture
def connect(message):
    """``connect(key)``: the handshake of a browser whose session has that key."""

    def make(key=None, **content):
        cookie = f"{settings.SESSION_COOKIE_NAME}={key}".encode()
        headers = [(b"cookie", cookie)] if key else []
        return message("websocket.connect", headers=headers, **{"query_string": b"", **content})

    return make


@pytest.fixture
def session(layer):
    """``session()``: the session of the connection as it is stored."""
    return lambda: dict(session_for_reply_channel(REPLY, layer).items())


@pytest.fixture
def browser(db):
    """A session of the site that has ``a`` 1."""
    store = SessionStore()
    store["a"] = 1
    store.save()
    return store


def stored(browser):
    return dict(SessionStore(browser.session_key).items())


@channel_session
def put(message, **values):
    """Put values into the session."""
    message.channel_session.update(values)


def raising(error):
    @channel_session
    def consumer(message):
        message.channel_session["raised"] = True
        raise error

    return consumer


def look(message):
    return message.channel_session.get("a")


@pytest.fixture(params=[DATABASE, CACHE])
def engine(request, settings, db):
    """Engines of Django's that keep the sessions of connections."""
    settings.CHANNEL_SESSION_ENGINE = request.param
    caches["default"].clear()
    return request.param


def test_by_default_the_bus_keeps_sessions(layer, message):
    put(message(), a=1)
    assert isinstance(session_for_reply_channel(REPLY, layer), bus_sessions.SessionStore)
    assert layer.calls == ["attached", "attach"]


def test_the_bus_may_be_named_as_the_engine(layer, settings):
    settings.CHANNEL_SESSION_ENGINE = "channels_classic.bus_sessions"
    assert isinstance(session_for_reply_channel(REPLY, layer), bus_sessions.SessionStore)


def test_a_layer_without_attachments_leaves_sessions_to_django(db):
    class Small(InMemoryChannelLayer):
        attachments = False

    session = session_for_reply_channel(REPLY, Small())
    assert isinstance(session, SessionStore)


def test_the_layer_may_be_given_as_it_is_in_messages(layer):
    wrapper = ChannelLayerWrapper(layer, "default", [])
    session = session_for_reply_channel(REPLY, wrapper)
    session["a"] = 1
    session.save()
    assert session_for_reply_channel(REPLY, layer)["a"] == 1


def test_the_engine_of_cookies_is_refused(settings, message):
    settings.CHANNEL_SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    with pytest.raises(ValueError, match="leave CHANNEL_SESSION_ENGINE out"):
        put(message())


def test_the_decorator_keeps_the_name_and_the_policy_of_a_consumer():
    @channel_session
    @consumer(max_attempts=7)
    def marked(message):
        """What it does."""

    assert (marked.__name__, marked.__doc__) == ("marked", "What it does.")
    assert policy_of(marked).max_attempts == 7


def test_a_consumer_that_does_not_touch_its_session_makes_no_round_trip(layer, message):
    channel_session(plain)(message(text="hi"))
    assert layer.calls == []


def test_a_consumer_that_only_reads_its_session_writes_nothing(layer, message):
    put(message(), a=1)
    layer.calls.clear()
    assert channel_session(look)(message()) == 1
    assert layer.calls == ["attached"]


def test_weakness_8_a_change_inside_a_list_is_saved(message, session):
    @channel_session
    def append(message):
        message.channel_session["seen"].append(2)

    put(message(), seen=[1])
    append(message())
    assert session() == {"seen": [1, 2]}


def test_weakness_8_a_change_inside_a_list_is_saved_by_django_too(message, session, engine):
    @channel_session
    def append(message):
        message.channel_session["seen"].append(2)

    put(message(), seen=[1])
    append(message())
    assert session_for_reply_channel(REPLY)["seen"] == [1, 2]


def test_what_a_nested_consumer_changes_is_saved_when_it_ends(message, session):
    @channel_session
    def outer(message):
        put(message, inner=1)
        assert session() == {"inner": 1}
        message.channel_session["outer"] = 1

    outer(message())
    assert session() == {"inner": 1, "outer": 1}


def test_a_message_without_a_reply_channel_has_no_session():
    with pytest.raises(ValueError, match="has no reply channel"):
        put(Message({}, "work", None))


@pytest.mark.parametrize("arguments", [(), ("a", "b"), ("a", "b", Message({}, "x", None))])
def test_what_is_no_consumer_s_call_is_named(arguments):
    with pytest.raises(ValueError, match="@channel_session is for consumers"):
        channel_session(plain)(*arguments)


# The end of the session -----------------------------------------------------------------------


def test_weakness_7_a_disconnect_removes_the_session(layer, message, session):
    put(message(), a=1)
    assert channel_session(look)(message("websocket.disconnect")) == 1
    assert session() == {}
    assert layer.calls.count("detach") == 1


def test_weakness_7_a_disconnect_removes_the_row(engine, message):
    put(message(), a=1)
    assert channel_session(look)(message("websocket.disconnect")) == 1
    assert not session_for_reply_channel(REPLY).exists(bus_sessions.session_key_of(REPLY))


def test_what_the_disconnect_consumer_puts_in_is_not_kept(message, session):
    put(message("websocket.disconnect"), a=1)
    assert session() == {}


def test_a_disconnect_makes_no_row(message, db, settings, django_assert_num_queries):
    settings.CHANNEL_SESSION_ENGINE = DATABASE
    with django_assert_num_queries(1):  # which looks for it
        put(message("websocket.disconnect"), a=1)


def test_only_the_outermost_decorator_removes_the_session(message, session):
    @channel_session
    def outer(message):
        put(message, b=2)
        assert session() == {"a": 1, "b": 2}

    put(message(), a=1)
    outer(message("websocket.disconnect"))
    assert session() == {}


def test_all_consumers_of_one_disconnect_find_the_session(message, session):
    """As behind a demultiplexer, which has no session itself."""
    put(message(), a=1)
    last = message("websocket.disconnect")
    channel_session(lambda message: None)(last)
    assert channel_session(look)(last) == 1
    put(last, b=2)
    assert session() == {}


def test_a_disconnect_that_fails_removes_the_session(message, session):
    put(message(), a=1)
    with pytest.raises(KeyError):
        raising(KeyError())(message("websocket.disconnect"))
    assert session() == {}


def test_a_disconnect_that_is_run_later_finds_the_session_again(message, session):
    put(message(), a=1)
    with pytest.raises(ConsumeLater):
        raising(ConsumeLater())(message("websocket.disconnect"))
    assert session() == {"a": 1, "raised": True}


@pytest.mark.parametrize("error", [ConsumeLater(), KeyError()])
def test_the_last_try_of_a_disconnect_removes_the_session(message, session, error):
    last = message("websocket.disconnect")
    last.__doomed__ = True
    with pytest.raises(type(error)):
        consumer(max_attempts=3)(raising(error))(last)
    assert session() == {}


def test_a_disconnect_that_is_tried_again_after_an_error_finds_the_session_again(message, session):
    put(message(), a=1)
    with pytest.raises(KeyError):
        consumer(max_attempts=3)(raising(KeyError()))(message("websocket.disconnect"))
    assert session()["a"] == 1


def test_the_policy_of_a_class_counts_for_its_methods(message, session):
    @consumer(max_attempts=3)
    class Room:
        @channel_session
        def decorated(self, message):
            raise KeyError

        def plain(self, message):
            raise KeyError

    put(message(), a=1)
    for call in (Room().decorated, channel_session(Room().plain)):
        with pytest.raises(KeyError):
            call(message("websocket.disconnect"))
        assert session() == {"a": 1}


def test_weakness_7_a_connection_that_is_denied_has_no_session(message, session):
    with pytest.raises(DenyConnection):
        raising(DenyConnection())(message("websocket.connect"))
    assert session() == {}


def test_weakness_7_a_connection_that_is_denied_leaves_no_row(engine, message):
    with pytest.raises(DenyConnection):
        raising(DenyConnection())(message("websocket.connect"))
    assert not session_for_reply_channel(REPLY).exists(bus_sessions.session_key_of(REPLY))


def test_other_errors_keep_the_session(message, session):
    for channel in ("websocket.connect", "websocket.receive"):
        with pytest.raises(KeyError):
            raising(KeyError())(message(channel))
        assert session() == {"raised": True}


# Engines of Django's --------------------------------------------------------------------------


def test_no_message_writes_to_the_database_unless_the_session_changes(
    message, db, settings, django_assert_num_queries
):
    settings.CHANNEL_SESSION_ENGINE = DATABASE
    put(message("websocket.connect"), a=1)
    with django_assert_num_queries(1):
        channel_session(look)(message())


def test_a_row_that_somebody_else_makes_at_this_moment_has_the_message_run_later(
    message, db, settings, monkeypatch
):
    settings.CHANNEL_SESSION_ENGINE = DATABASE
    other = SessionStore(bus_sessions.session_key_of(REPLY))
    load = SessionStore.load

    def load_too_early(self):
        monkeypatch.setattr(SessionStore, "load", load)
        data = load(self)
        other.save(must_create=True)
        return data

    monkeypatch.setattr(SessionStore, "load", load_too_early)
    with pytest.raises(ConsumeLater):
        put(message(), a=1)
    put(message(), a=1)
    assert session_for_reply_channel(REPLY)["a"] == 1


def test_a_row_that_has_expired_is_made_anew(message, db, settings):
    settings.CHANNEL_SESSION_ENGINE = DATABASE
    put(message(), a=1)
    SessionStore.get_model_class().objects.update(expire_date=timezone.now())
    with pytest.raises(ConsumeLater):
        put(message(), b=2)
    put(message(), b=2)
    assert dict(session_for_reply_channel(REPLY).items()) == {"b": 2}


def test_a_row_that_is_gone_when_its_consumer_ends_is_not_made_again(message, db, settings):
    """As after a disconnect that did not wait for it."""
    settings.CHANNEL_SESSION_ENGINE = DATABASE

    @channel_session
    def slow(message):
        message.channel_session["a"] = 1
        SessionStore.get_model_class().objects.all().delete()

    slow(message())
    assert SessionStore.get_model_class().objects.count() == 0


@pytest.mark.parametrize("verb", ["cycle_key", "flush"])
def test_weakness_9_a_session_of_django_keeps_its_key(engine, message, verb):
    @channel_session
    def call(message):
        getattr(message.channel_session, verb)()
        message.channel_session["b"] = 2

    put(message(), a=1)
    call(message())
    kept = {"a": 1} if verb == "cycle_key" else {}
    assert dict(session_for_reply_channel(REPLY).items()) == {**kept, "b": 2}


def test_a_session_may_be_saved_by_hand(engine):
    session = session_for_reply_channel(REPLY)
    session["a"] = 1
    session.save()
    session["a"] = 2
    session.save()
    assert session_for_reply_channel(REPLY)["a"] == 2


# Sessions of browsers -------------------------------------------------------------------------


def test_the_session_of_the_browser_is_not_read_unless_somebody_looks(
    connect, browser, django_assert_num_queries
):
    with django_assert_num_queries(0):
        http_session(plain)(connect(browser.session_key, text="hi"))


def test_a_session_of_the_browser_that_was_only_read_is_not_written(
    connect, browser, django_assert_num_queries
):
    with django_assert_num_queries(1):
        assert http_session(lambda message: message.http_session["a"])(connect(browser.session_key))


def test_weakness_8_a_change_inside_a_list_of_the_browser_is_saved(connect, browser):
    browser["seen"] = [1]
    browser.save()
    http_session(lambda message: message.http_session["seen"].append(2))(
        connect(browser.session_key)
    )
    assert stored(browser)["seen"] == [1, 2]


def test_a_session_that_the_site_does_not_know_is_not_made(connect, db):
    def change(message):
        message.http_session["a"] = 1

    http_session(change)(connect("k" * 32))
    assert SessionStore.get_model_class().objects.count() == 0


def test_a_session_that_ended_meanwhile_is_not_made_again(connect, browser):
    @http_session
    def change(message):
        message.http_session["a"] = 2
        SessionStore(browser.session_key).delete()

    change(connect(browser.session_key))
    assert SessionStore.get_model_class().objects.count() == 0


def test_a_nested_consumer_saves_the_session_of_the_browser_also_after_an_error(connect, browser):
    @http_session
    def fails(message):
        message.http_session["a"] = 2
        raise KeyError

    @http_session
    def outer(message):
        with pytest.raises(KeyError):
            fails(message)
        assert stored(browser) == {"a": 2}

    outer(connect(browser.session_key))


def test_the_browser_keeps_its_key(connect, browser):
    """It could not be told of another one."""
    http_session(lambda message: message.http_session.cycle_key())(connect(browser.session_key))
    assert stored(browser) == {"a": 1}


def test_weakness_10_a_key_in_the_url_is_no_credential(connect, browser, settings):
    query = f"session_key={browser.session_key}".encode()
    assert http_session(lambda message: message.http_session)(connect(query_string=query)) is None
    settings.CHANNELS_CLASSIC = {"SESSION_KEY_IN_URL": True}
    found = http_session(lambda message: message.http_session)(connect(query_string=query))
    assert found["a"] == 1


def test_a_message_gets_the_method_that_a_request_has(connect, message):
    handshake = connect()
    http_session(lambda message: None)(handshake)
    assert handshake["method"] == "FAKE"


@pytest.mark.parametrize("content", [{"path": 3}, {"headers": 3}, {"query_string": 3}])
def test_what_is_no_request_is_refused(message, content):
    with pytest.raises(ValueError, match="is no HTTP request"):
        http_session(plain)(message(**content))


def test_a_body_that_is_still_to_come_is_left_to_the_view(layer, message):
    layer.send("body?x", {"content": b"all of it"})
    http_session(lambda message: None)(message("http.request", body_channel="body?x"))
    assert layer.receive(["body?x"])[1] == {"content": b"all of it"}


# Both -----------------------------------------------------------------------------------------


@channel_and_http_session
def both(message, **values):
    if values:
        message.http_session.update(values)
    return message.http_session


def test_later_messages_do_not_look_for_a_request(connect, message, browser):
    both(connect(browser.session_key))
    later = message()
    assert both(later)["a"] == 1
    assert "method" not in later


def test_weakness_6_a_session_that_was_opened_again_is_saved(connect, message, browser):
    both(connect(browser.session_key))
    both(message(), a=2)
    assert stored(browser) == {"a": 2}


def test_a_browser_without_a_session_has_none_later_either(connect, message, db):
    assert both(connect()) is None
    assert both(message()) is None


def test_its_key_is_written_once(connect, message, browser, layer):
    both(connect(browser.session_key))
    layer.calls.clear()
    both(message())
    both(connect(browser.session_key))
    assert layer.calls == ["attached"] * 2


def test_weakness_7_a_disconnect_removes_the_session_of_the_connection_alone(
    connect, message, browser, session
):
    both(connect(browser.session_key))
    both(message("websocket.disconnect"), a=2)
    assert session() == {}
    assert stored(browser) == {"a": 2}


# Async consumers --------------------------------------------------------------------------------


def test_an_async_consumer_stays_one():
    for decorator in (channel_session, http_session, channel_and_http_session):
        assert inspect.iscoroutinefunction(decorator(later))


def test_an_object_with_an_async_call_becomes_a_coroutine_function(message):
    class Consumer:
        async def __call__(self, message):
            return message.channel_session.get("a")

    wrapped = channel_session(Consumer())
    assert inspect.iscoroutinefunction(wrapped)
    assert asyncio.run(wrapped(message())) is None


def test_an_async_consumer_has_its_session_from_the_start(layer, message, session):
    put(message(), a=1)
    layer.calls.clear()

    @channel_session
    async def count(message):
        assert layer.calls == ["attached"]  # so that what follows need not wait
        message.channel_session["a"] += 1
        await message.channel_session.aset("b", 1)
        return message.channel_session["a"]

    assert asyncio.run(count(message())) == 2
    assert session() == {"a": 2, "b": 1}
    with pytest.raises(KeyError):
        asyncio.run(channel_session(_fails)(message()))
    assert session()["failed"] is True


async def _fails(message):
    message.channel_session["failed"] = True
    raise KeyError


def test_an_async_method_may_be_decorated(message, session):
    class Room:
        @channel_session
        async def receive(self, message, text):
            message.channel_session["text"] = text

    asyncio.run(Room().receive(message(), text="hi"))
    assert session() == {"text": "hi"}


def test_the_session_of_an_async_consumer_ends_with_its_connection(message, session):
    put(message(), a=1)
    asyncio.run(channel_session(_nothing)(message("websocket.disconnect")))
    assert session() == {}


async def _nothing(message):
    pass


def test_an_async_consumer_has_the_session_of_the_browser_too(connect, message, browser):
    @channel_and_http_session
    async def change(message):
        message.http_session["a"] += 1

    async_to_sync(change)(connect(browser.session_key))
    async_to_sync(change)(message())
    assert stored(browser) == {"a": 3}


def test_an_async_consumer_that_is_cancelled_has_its_session_saved(message, session):
    @channel_session
    async def waits(message):
        message.channel_session["a"] = 1
        await asyncio.sleep(60)

    async def check():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await waits(message())

    asyncio.run(check())
    assert session() == {"a": 1}


# Messages that wait, as they did in Channels 1 ----------------------------------------------------


def test_messages_that_wait_are_put_back_in_their_order(layer, message):
    for number in range(3):
        waiting = {"n": number, "original_channel": "work"}
        layer.send(wait_channel_name(REPLY), waiting)
    requeue_messages(message())
    assert [layer.receive(["work"])[1] for _ in range(3)] == [{"n": n} for n in range(3)]


def test_a_message_that_finds_no_room_goes_on_waiting(layer, message):
    layer.capacity = layer._capacities.default = 1
    waiting = {"n": 1, "original_channel": "work"}
    layer.send(wait_channel_name(REPLY), waiting)
    layer.send("work", {})
    with pytest.raises(ChannelFull, match="work has no room"):
        requeue_messages(message())
    assert layer.receive([wait_channel_name(REPLY)])[1] == waiting


def test_nothing_waits_for_a_message_without_a_reply_channel():
    with pytest.raises(ValueError, match="no reply channel"):
        requeue_messages(Message({}, "work", None))
