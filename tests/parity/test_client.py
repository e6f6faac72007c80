"""The test package: what tests of projects of Channels 1 use."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

from channels_classic import Channel, Group, channel_layers, include, route
from channels_classic.auth import channel_session_user_from_http
from channels_classic.exceptions import WebsocketCloseException
from channels_classic.sessions import channel_session
from channels_classic.signals import consumer_finished, consumer_started
from channels_classic.test import (
    ChannelTestCase,
    Client,
    HttpClient,
    TransactionChannelTestCase,
    WSClient,
    apply_routes,
)

SEEN = []


def work(message, **kwargs):
    SEEN.append((message.content.get("number"), kwargs))
    Channel("done").send({"number": message["number"]})
    return "worked"


def accept(message):
    message.reply_channel.send({"accept": True})


def echo(message):
    message.reply_channel.send({"text": message["text"]})


def refuse(message):
    raise WebsocketCloseException(4001)


@channel_session
def remember(message):
    message.channel_session["text"] = message["text"]


@channel_session_user_from_http
def greet(message):
    message.reply_channel.send({"accept": True})
    SEEN.append(message.user.get_username())


ROUTES = [
    route("work", work),
    route("websocket.connect", greet, path="^/greet"),
    route("websocket.connect", accept),
    route("websocket.receive", remember, path="^/remember"),
    route("websocket.receive", refuse, path="^/refuse"),
    route("websocket.receive", echo),
]


class TestCases(ChannelTestCase):
    def setUp(self):
        SEEN.clear()

    def test_the_layer_is_a_fresh_one_in_memory(self):
        assert channel_layers["default"].local_only()
        assert self.get_next_message("work") is None

    def test_the_next_message_is_a_message(self):
        Channel("work").send({"number": 1})
        message = self.get_next_message("work")
        assert (message.channel.name, message["number"]) == ("work", 1)

    def test_a_message_that_is_required_fails_the_test(self):
        with pytest.raises(AssertionError, match="work"):
            self.get_next_message("work", require=True)

    # Client --------------------------------------------------------------------------------------

    def test_a_client_has_a_reply_channel_of_its_own(self):
        assert Client().reply_channel.startswith("default")
        assert Client().reply_channel != Client().reply_channel

    def test_a_send_has_the_reply_channel(self):
        client = Client()
        client.send("work", {"number": 1})
        message = client.get_next_message("work")
        assert message.content == {"number": 1, "reply_channel": client.reply_channel}

    @apply_routes(ROUTES)
    def test_to_consume_runs_the_consumer_and_returns_its_result(self):
        client = Client()
        assert client.send_and_consume("work", {"number": 1}) == "worked"
        assert SEEN == [(1, {})]

    @apply_routes(ROUTES)
    def test_what_a_consumer_sends_is_there_afterwards(self):
        client = Client()
        client.send_and_consume("work", {"number": 1})
        assert client.get_next_message("done")["number"] == 1

    @apply_routes(ROUTES)
    def test_without_a_message_to_consume_is_an_assertion_error(self):
        with pytest.raises(AssertionError):
            Client().consume("work")

    @apply_routes(ROUTES)
    def test_without_a_message_to_consume_may_be_nothing(self):
        assert Client().consume("work", fail_on_none=False) is None

    @apply_routes(ROUTES)
    def test_without_a_consumer_is_an_assertion_error(self):
        with pytest.raises(AssertionError):
            Client().send_and_consume("other", {})

    @apply_routes(ROUTES)
    def test_what_was_received_is_its_content(self):
        client = Client()
        Channel(client.reply_channel).send({"text": "hi"})
        assert client.receive() == {"text": "hi"}
        assert client.receive() is None

    @apply_routes(ROUTES)
    def test_the_consumer_of_a_channel_can_be_asked_for(self):
        assert Client().get_consumer_by_channel("work") is work
        assert Client().get_consumer_by_channel("other") is None

    @apply_routes(ROUTES)
    def test_signals_are_sent_around_a_consumer(self):
        heard = []

        def started(**kwargs):
            heard.append("started")

        def finished(**kwargs):
            heard.append("finished")

        consumer_started.connect(started)
        consumer_finished.connect(finished)
        Client().send_and_consume("work", {"number": 1})
        consumer_started.disconnect(started)
        consumer_finished.disconnect(finished)
        assert heard == ["started", "finished"]

    def test_a_client_may_join_a_group(self):
        client = Client()
        client.join_group("all")
        Group("all").send({"text": "hi"}, immediately=True)
        assert client.receive() == {"text": "hi"}

    # WSClient ------------------------------------------------------------------------------------

    @apply_routes(ROUTES)
    def test_a_socket_connects_and_is_answered(self):
        client = WSClient()
        client.send_and_consume("websocket.connect", path="/")
        client.send_and_consume("websocket.receive", text="hi", path="/")
        assert client.receive(json=False) == "hi"

    @apply_routes([route("websocket.connect", echo)])
    def test_a_handshake_must_be_accepted(self):
        with pytest.raises(AssertionError):
            WSClient().send_and_consume("websocket.connect", {"text": "hi"})

    @apply_routes([route("websocket.connect", echo)])
    def test_unless_the_test_looks_at_the_answer_itself(self):
        client = WSClient()
        client.send_and_consume("websocket.connect", {"text": "hi"}, check_accept=False)
        assert client.receive(json=False) == "hi"

    def test_headers_cookies_and_session_can_be_looked_at(self):
        client = WSClient()
        client.set_header("origin", "http://testserver")
        client.set_cookie("flavour", "vanilla")
        client.session["basket"] = 3
        assert client.headers["origin"] == "http://testserver"
        assert client.get_cookies()["flavour"] == "vanilla"
        assert client.session["basket"] == 3

    @apply_routes(ROUTES)
    def test_what_is_no_text_is_sent_and_received_as_json(self):
        client = WSClient()
        client.send_and_consume("websocket.receive", text={"a": 1}, path="/")
        assert client.receive() == {"a": 1}

    @apply_routes(ROUTES)
    def test_a_close_is_received(self):
        client = WSClient()
        client.send_and_consume("websocket.receive", text="hi", path="/refuse")
        assert client.receive(json=False) == {"close": 4001}

    def test_a_handshake_has_path_query_headers_and_cookies(self):
        client = WSClient()
        client.set_header("origin", "http://testserver")
        client.set_cookie("flavour", "vanilla")
        client.send("websocket.connect", path="/room?page=2")
        message = client.get_next_message("websocket.connect")
        headers = {_text(name): _text(value) for name, value in _pairs(message["headers"])}
        assert message["path"] == "/room"
        assert _text(message["query_string"]) == "page=2"
        assert headers["origin"] == "http://testserver"
        assert "flavour=vanilla" in headers["cookie"]

    def test_a_cookie_is_no_header_to_set(self):
        with pytest.raises(ValueError, match="cookie"):
            WSClient().set_header("cookie", "a=b")

    def test_an_ordered_client_counts(self):
        client = WSClient(ordered=True)
        for _ in range(2):
            client.send("websocket.receive", text="hi")
        numbers = [client.get_next_message("websocket.receive")["order"] for _ in range(2)]
        assert numbers == [0, 1]

    @apply_routes(ROUTES)
    def test_a_user_who_is_logged_in_is_that_of_the_handshake(self):
        client = WSClient()
        client.force_login(get_user_model().objects.create_user("ada"))
        client.send_and_consume("websocket.connect", path="/greet")
        assert SEEN == ["ada"]

    @apply_routes(ROUTES)
    def test_a_login_needs_the_right_password(self):
        get_user_model().objects.create_user("ada", password="lovelace")
        client = WSClient()
        assert client.login(username="ada", password="wrong") is False
        assert client.login(username="ada", password="lovelace") is True
        client.send_and_consume("websocket.connect", path="/greet")
        assert SEEN == ["ada"]

    def test_the_http_client_is_the_old_name(self):
        with pytest.warns(DeprecationWarning, match="WSClient"):
            client = HttpClient()
        assert isinstance(client, WSClient)


class TestTransactions(TransactionChannelTestCase):
    def test_there_is_one_with_real_transactions(self):
        Channel("work").send({"number": 1})
        assert self.get_next_message("work", require=True)["number"] == 1


class TestRoutes(ChannelTestCase):
    def setUp(self):
        SEEN.clear()

    def test_routes_are_there_in_the_block_alone(self):
        before = channel_layers["default"].router
        with apply_routes(ROUTES):
            Client().send_and_consume("work", {"number": 1})
        assert channel_layers["default"].router is before
        assert SEEN == [(1, {})]

    @apply_routes(route("work", work))
    def test_one_route_is_enough(self):
        assert Client().send_and_consume("work", {"number": 1}) == "worked"

    @apply_routes([[route("work", work)], [route("other", work)]])
    def test_lists_of_routes_are_included(self):
        assert Client().send_and_consume("other", {"number": 2}) == "worked"

    @apply_routes([include([route("work", work)], path="^/in")])
    def test_includes_are_taken(self):
        assert Client().send_and_consume("work", {"number": 1, "path": "/in/"}) == "worked"


@apply_routes([route("work", work)])
class TestRoutesOfAClass(ChannelTestCase):
    def test_a_class_may_be_decorated(self):
        assert Client().send_and_consume("work", {"number": 1}) == "worked"


def _text(value):
    return value.decode() if isinstance(value, bytes) else value


def _pairs(headers):
    return headers.items() if isinstance(headers, dict) else headers
