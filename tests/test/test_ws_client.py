"""WSClient: what a browser's WebSocket sends along, and who is logged in."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth import SESSION_KEY, get_user_model
from django.http import parse_cookie
from django.test import override_settings

from channels_classic.exceptions import DenyConnection
from channels_classic.handler import AsgiRequest
from channels_classic.routing import route
from channels_classic.sessions import channel_session, http_session
from channels_classic.test import ChannelTestCase, HttpClient, WSClient, apply_routes


@pytest.fixture
def client(site):
    return WSClient(with_session=False)


def sent(client, to="websocket.receive", *args, **kwargs):
    """The content of what ``client.send`` sends."""
    client.send(to, *args, **kwargs)
    return client.get_next_message(to).content


# Messages -----------------------------------------------------------------------------------


def test_a_frame_has_a_path_and_a_text(client):
    content = sent(client, text="hello", path="/room/")
    assert content["path"] == "/room/"
    assert content["text"] == "hello"
    assert content["reply_channel"] == client.reply_channel


@pytest.mark.parametrize("text", [{"key": "value"}, ["value"], 1, False])
def test_a_text_that_is_none_becomes_json(client, text):
    assert json.loads(sent(client, text=text)["text"]) == text


def test_a_frame_without_a_text_has_none(client):
    assert "text" not in sent(client, content={"bytes": b"hello"})


def test_a_connect_has_a_query_string_in_bytes_as_in_production(client):
    content = sent(client, "websocket.connect", path="/room/?name=ada&age=36")
    assert content["path"] == "/room/"
    assert content["query_string"] == b"name=ada&age=36"
    assert sent(client, "websocket.connect")["query_string"] == b""


def test_a_frame_has_no_query_string(client):
    content = sent(client, path="/room/?name=ada")
    assert content["path"] == "/room/"
    assert "query_string" not in content


def test_what_is_in_the_content_is_sent_as_it_is(client):
    content = sent(client, "websocket.connect", {"path": "/other/", "query_string": b"a=b"})
    assert (content["path"], content["query_string"]) == ("/other/", b"a=b")


def test_messages_are_numbered_when_ordered(site):
    client = WSClient(ordered=True, with_session=False)
    assert [sent(client)["order"] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="leave 'order' out"):
        client.send("websocket.receive", {"order": 3})


def test_messages_are_not_numbered_unless_ordered(client):
    assert "order" not in sent(client)
    assert sent(client, content={"order": 7})["order"] == 7


# Headers and cookies ------------------------------------------------------------------------


def test_headers_are_a_dict_for_the_test(client):
    client.set_header("Host", "example.com")
    assert client.headers == {"Host": "example.com"}


def test_weakness_24_headers_reach_the_consumer_as_pairs_as_in_production(client):
    client.set_header("Host", "example.com")
    client.set_cookie("key", "value")
    assert sent(client)["headers"] == [[b"host", b"example.com"], [b"cookie", b"key=value"]]


def test_headers_in_the_content_become_pairs_too(client):
    assert sent(client, content={"headers": {"Host": "a"}})["headers"] == [[b"host", b"a"]]
    assert sent(client, content={"headers": [[b"host", b"a"]]})["headers"] == [[b"host", b"a"]]


def test_the_header_of_the_cookies_is_set_by_them(client):
    with pytest.raises(ValueError, match="set_cookie"):
        client.set_header("Cookie", "a=b")


def test_django_reads_the_cookies_that_were_set(client):
    client.set_cookie("foo", "bar")
    client.set_cookie("qux", "qu;x")
    assert client.get_cookies() == {"foo": "bar", "qux": "qu;x"}
    assert parse_cookie(client.headers["cookie"].decode()) == client.get_cookies()


def test_a_request_can_be_made_of_its_connect(client):
    client.set_cookie("key", "value")
    client.send("websocket.connect", {"method": "FAKE"}, path="/room/?name=ada")
    request = AsgiRequest(client.get_next_message("websocket.connect"))
    assert request.COOKIES == {"key": "value"}
    assert request.GET["name"] == "ada"


def test_a_page_of_another_site_is_refused_as_by_a_worker(client):
    client.set_header("Origin", "https://elsewhere.example")
    client.send_and_consume("websocket.connect", check_accept=False)
    assert client.receive() == {"close": True}


# Answers ------------------------------------------------------------------------------------


def test_an_answer_is_decoded(client):
    client.send_and_consume("websocket.receive", text={"key": "value"})
    assert client.receive() == {"key": "value"}


def test_an_answer_is_left_as_it_is_when_asked(client):
    client.send_and_consume("websocket.receive", text='{"key": 1}')
    assert client.receive(json=False) == '{"key": 1}'


def test_an_answer_without_a_text_is_its_content(client, site):
    client.send_and_consume("websocket.connect", check_accept=False)
    assert client.receive() == {"accept": True}
    assert client.receive() is None


def test_a_connect_that_is_accepted_leaves_no_answer(client):
    client.send_and_consume("websocket.connect", path="/kitchen/")
    assert client.receive() is None
    assert list(client.channel_layer.group_channels("kitchen")) == [client.reply_channel]


@pytest.mark.parametrize("answer", [None, {"text": "hello"}, {"accept": True, "text": "hello"}])
def test_a_connect_that_is_not_just_accepted_is_an_error(client, answer):
    def connect(message):
        if answer is None:
            raise DenyConnection
        message.reply_channel.send(answer)

    with (
        apply_routes(route("websocket.connect", connect)),
        pytest.raises(AssertionError, match="was not accepted: its first answer is"),
    ):
        client.send_and_consume("websocket.connect")


def test_consume_returns_what_the_consumer_returned(client):
    assert client.send_and_consume("returns") == "what it returned"
    assert client.send_and_consume("nowhere", fail_on_none=False) is None


def test_http_client_is_the_older_name_and_warns(site):
    with pytest.warns(DeprecationWarning, match="HttpClient is now WSClient"):
        client = HttpClient(ordered=True)
    assert isinstance(client, WSClient)
    assert client.order == 0


# Sessions and users -------------------------------------------------------------------------

seen = []


@http_session
def look(message):
    session = message.http_session
    seen.append(None if session is None else dict(session.items()))


@http_session
def keep(message):
    message.http_session["kept"] = "by the consumer"


@channel_session
def keep_for_the_connection(message):
    message.channel_session["kept"] = "by the consumer"


@override_settings(
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "channels_classic.layers.memory.InMemoryChannelLayer",
            "ROUTING": {
                "look": look,
                "websocket.connect": look,
                "keep": keep,
                "keep-for-the-connection": keep_for_the_connection,
            },
        },
    },
)
class SessionTests(ChannelTestCase):
    def setUp(self):
        seen.clear()
        self.client = WSClient()

    def connect(self):
        self.client.send_and_consume("websocket.connect", check_accept=False)

    def cookies(self, to="anywhere"):
        headers = dict(sent(self.client, to)["headers"])
        return parse_cookie(headers.get(b"cookie", b"").decode())

    def test_the_session_is_in_a_cookie_of_the_first_message_alone(self):
        assert self.cookies() == {"sessionid": self.client.session.session_key}
        assert self.cookies() == {}

    def test_every_connect_has_the_cookie(self):
        self.cookies()
        assert self.cookies("websocket.connect") == {"sessionid": self.client.session.session_key}

    def test_what_the_test_puts_into_the_session_reaches_the_consumer(self):
        self.client.session["name"] = "ada"
        self.connect()
        assert seen == [{"name": "ada"}]

    def test_what_the_test_saves_in_the_session_reaches_the_consumer(self):
        session = self.client.session
        session["name"] = "ada"
        session.save()
        self.connect()
        assert seen == [{"name": "ada"}]

    def test_what_a_consumer_puts_into_the_session_reaches_the_test(self):
        self.client.session["name"] = "ada"
        self.client.send_and_consume("keep")
        assert self.client.session["kept"] == "by the consumer"
        assert self.client.session["name"] == "ada"

    def test_weakness_24_the_two_sessions_are_two(self):
        self.client.send_and_consume("keep-for-the-connection")
        assert self.client.channel_session["kept"] == "by the consumer"
        assert "kept" not in self.client.session

    def test_weakness_24_what_is_in_the_session_is_not_in_that_of_the_connection(self):
        self.client.session["name"] = "ada"
        self.connect()
        assert "name" not in self.client.channel_session
        assert self.client.session.session_key != self.client.channel_session.session_key

    def test_what_the_test_puts_into_the_session_of_the_connection_reaches_the_consumer(self):
        self.client.channel_session["name"] = "ada"
        self.client.send_and_consume("keep-for-the-connection")
        session = self.client.channel_session
        assert (session["name"], session["kept"]) == ("ada", "by the consumer")

    def test_two_clients_have_a_session_each(self):
        self.client.session["name"] = "ada"
        assert "name" not in WSClient().session

    def test_a_visitor_without_a_session_has_no_cookie(self):
        self.client = WSClient(with_session=False)
        self.connect()
        assert seen == [None]

    def test_a_visitor_gets_a_session_when_the_test_asks_for_it(self):
        self.client = WSClient(with_session=False)
        self.client.session["name"] = "ada"
        self.connect()
        assert seen == [{"name": "ada"}]

    def test_a_user_logs_in_with_credentials(self):
        user = get_user_model().objects.create_user("ada", password="secret")
        assert self.client.login(username="ada", password="secret") is True
        self.connect()
        assert seen[0][SESSION_KEY] == str(user.pk)

    def test_wrong_credentials_log_nobody_in(self):
        get_user_model().objects.create_user("ada", password="secret")
        assert self.client.login(username="ada", password="wrong") is False
        assert SESSION_KEY not in self.client.session

    def test_a_user_can_be_logged_in_by_force(self):
        user = get_user_model().objects.create_user("ada")
        self.client.force_login(user)
        self.connect()
        assert seen[0][SESSION_KEY] == str(user.pk)

    def test_a_user_can_be_logged_in_by_a_backend_of_choice(self):
        user = get_user_model().objects.create_user("ada")
        backend = "django.contrib.auth.backends.AllowAllUsersModelBackend"
        with self.settings(
            AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.ModelBackend", backend]
        ):
            self.client.force_login(user, backend=backend)
        assert self.client.session["_auth_user_backend"] == backend

    def test_a_login_between_two_messages_takes_effect(self):
        self.connect()
        self.client.force_login(get_user_model().objects.create_user("ada"))
        self.client.send_and_consume("look")
        assert SESSION_KEY not in seen[0]
        assert SESSION_KEY in seen[1]

    def test_without_the_app_of_sessions_there_is_neither_session_nor_cookie(self):
        with self.modify_settings(INSTALLED_APPS={"remove": "django.contrib.sessions"}):
            self.client = WSClient()
            assert self.cookies() == {}
            with pytest.raises(OSError, match="add django.contrib.sessions"):
                _ = self.client.session
