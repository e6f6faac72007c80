"""The access log."""

from __future__ import annotations

import errno
import io
import json
import logging
import re
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from channels_classic import cli, cli_server
from channels_classic.log import RequestIdFilter, is_request_id
from channels_classic.server import access
from channels_classic.server.access import AccessLog, LogFile
from tests.server.ends import Request

HTTP = {
    "path": "/page?a=1",
    "status": 200,
    "method": "GET",
    "client": "10.0.0.1:4711",
    "time_taken": 0.01,
    "size": 512,
}
SOCKET = {"path": "/chat", "client": "10.0.0.1:4711"}


def line(protocol, action, details):
    """The line that is logged, with its time made sure of and taken out."""
    stream = io.StringIO()
    AccessLog(stream)(protocol, action, details)
    text, count = re.subn(r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d\]", "[when]", stream.getvalue())
    assert (count, text[-1], text.count("\n")) == (1, "\n", 1)
    return text[:-1]


def test_a_request_is_a_line():
    assert line("http", "complete", HTTP) == '10.0.0.1:4711 - - [when] "GET /page?a=1" 200 512'


@pytest.mark.parametrize(("key", "value"), [("size", 0), ("status", 0)])
def test_what_there_is_none_of_is_a_hyphen(key, value):
    expected = {"size": '"GET /page?a=1" 200 -', "status": '"GET /page?a=1" - 512'}
    assert line("http", "complete", {**HTTP, key: value}).endswith(expected[key])


def test_a_peer_without_an_address_is_a_hyphen():
    assert line("http", "complete", {**HTTP, "client": None}).startswith("- - - [when]")


@pytest.mark.parametrize(
    ("action", "verb"),
    [
        ("connecting", "WSCONNECTING"),
        ("connected", "WSCONNECT"),
        ("rejected", "WSREJECT"),
        ("disconnected", "WSDISCONNECT"),
    ],
)
def test_a_step_of_a_socket_is_a_line(action, verb):
    assert line("websocket", action, SOCKET) == f'10.0.0.1:4711 - - [when] "{verb} /chat" - -'


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ('/"quoted"', r"/\x22quoted\x22"),
        ("/\\", r"/\x5c"),
        ("/\n10.0.0.2 - - ", r"/\x0a10.0.0.2 - - "),
        ("/\x1b[31m", r"/\x1b[31m"),
        ("/é", "/é"),
    ],
)
def test_no_client_writes_lines_quotes_or_terminal_codes(path, logged):
    assert f'"WSCONNECT {logged}"' in line("websocket", "connected", {**SOCKET, "path": path})


def test_each_line_is_written_at_once(tmp_path):
    with (tmp_path / "access.log").open("a") as stream:
        AccessLog(stream)("http", "complete", HTTP)
        assert (tmp_path / "access.log").read_text().count("\n") == 1


# The other formats ------------------------------------------------------------------------------

ZONE = r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"
FULL = {
    **HTTP,
    "request_id": "a1b2-1f",
    "scheme": "https",
    "http_version": "2",
    "headers": [(b"user-agent", b'curl "8"'), (b"referer", b"https://a.example/?b")],
}


def formatted(style, protocol, action, details):
    stream = io.StringIO()
    AccessLog(stream, style)(protocol, action, details)
    text = stream.getvalue()
    assert text.endswith("\n")
    assert text.count("\n") == 1
    return re.sub(ZONE, "[when]", text[:-1])


def test_the_common_format_is_that_of_other_servers():
    assert formatted("common", "http", "complete", FULL) == (
        '10.0.0.1 - - [when] "GET /page?a=1 HTTP/2" 200 512'
    )


def test_the_combined_format_has_referer_and_user_agent():
    assert formatted("combined", "http", "complete", FULL) == (
        '10.0.0.1 - - [when] "GET /page?a=1 HTTP/2" 200 512 '
        r'"https://a.example/?b" "curl \x228\x22"'
    )
    assert formatted("combined", "http", "complete", {**FULL, "headers": []}).endswith('"-" "-"')


@pytest.mark.parametrize(
    ("client", "host"),
    [("10.0.0.1:4711", "10.0.0.1"), ("2001:db8::1:4711", "2001:db8::1"), (None, "-")],
)
def test_the_common_format_has_no_port(client, host):
    text = formatted("common", "http", "complete", {**FULL, "client": client})
    assert text.split(" ")[0] == host


@pytest.mark.parametrize("style", ["common", "combined"])
def test_sockets_have_their_lines_there_too(style):
    text = formatted(style, "websocket", "connected", {**SOCKET, "headers": []})
    assert text.startswith('10.0.0.1 - - [when] "WSCONNECT /chat" - -')


@pytest.mark.parametrize("value", [b'"\n10.0.0.2 - - ', b"\x1b[31m", b"\xff\x85"])
@pytest.mark.parametrize("style", ["combined", "json"])
def test_no_header_of_a_client_writes_lines_quotes_or_terminal_codes(style, value):
    details = {**FULL, "headers": [(b"user-agent", value), (b"referer", value)]}
    text = formatted(style, "http", "complete", details)
    assert text.replace("ÿ", "").isascii()
    assert text.isprintable()
    if style == "combined":
        assert text.count('"') == 6
    else:
        assert json.loads(text)["user_agent"] == value.decode("latin-1")


def test_a_line_of_json_has_all_there_is():
    found = json.loads(formatted("json", "http", "complete", FULL))
    when = datetime.fromisoformat(found.pop("ts"))
    assert abs(datetime.now(UTC) - when) < timedelta(minutes=1)
    assert found == {
        "request_id": "a1b2-1f",
        "event": "request",
        "client": "10.0.0.1:4711",
        "scheme": "https",
        "http_version": "2",
        "method": "GET",
        "path": "/page?a=1",
        "status": 200,
        "size": 512,
        "duration": 0.01,
        "referer": "https://a.example/?b",
        "user_agent": 'curl "8"',
    }


def test_the_end_of_a_socket_has_its_code_and_how_long_it_was_open():
    details = {**SOCKET, "code": 1001, "time_taken": 12.5}
    found = json.loads(formatted("json", "websocket", "disconnected", details))
    assert (found["event"], found["code"], found["duration"]) == ("disconnected", 1001, 12.5)
    found = json.loads(formatted("json", "websocket", "connected", SOCKET))
    assert found.keys().isdisjoint({"code", "duration", "status"})


def test_a_request_without_an_answer_has_no_status_there():
    found = json.loads(formatted("json", "http", "complete", {**FULL, "status": 0}))
    assert found["status"] is None


# Files ------------------------------------------------------------------------------------------


@pytest.fixture
def log_file(tmp_path):
    """``log_file.path``, and ``log_file.later()`` after which it is looked for anew."""
    now = [0.0]
    made = LogFile(str(tmp_path / "access.log"), clock=lambda: now[0])
    made.path = tmp_path / "access.log"

    def later():
        now[0] += access._EVERY

    made.later = later
    yield made
    made.close()


def write(log_file, text):
    log_file.write(text)
    log_file.flush()


def test_a_file_that_was_moved_away_is_opened_anew(log_file, tmp_path):
    write(log_file, "one\n")
    log_file.path.rename(tmp_path / "access.log.1")
    write(log_file, "two\n")
    assert not log_file.path.exists()
    log_file.later()
    write(log_file, "three\n")
    assert log_file.path.read_text() == "three\n"
    assert (tmp_path / "access.log.1").read_text() == "one\ntwo\n"


def test_a_file_that_somebody_has_made_anew_is_appended_to(log_file, tmp_path):
    log_file.path.rename(tmp_path / "access.log.1")
    log_file.path.write_text("made by logrotate\n")
    log_file.later()
    write(log_file, "three\n")
    assert log_file.path.read_text() == "made by logrotate\nthree\n"


def test_a_file_that_is_where_it_was_stays_open(log_file):
    write(log_file, "one\n")
    log_file.later()
    write(log_file, "two\n")
    assert log_file.path.read_text() == "one\ntwo\n"


def test_while_it_cannot_be_opened_the_old_one_is_used(tmp_path, caplog):
    now = [0.0]
    folder = tmp_path / "logs"
    folder.mkdir()
    made = LogFile(str(folder / "access.log"), clock=lambda: now[0])
    folder.rename(tmp_path / "old")
    now[0] += access._EVERY
    write(made, "one\n")
    made.close()
    assert (tmp_path / "old" / "access.log").read_text() == "one\n"
    assert "Could not open" in caplog.text


def test_a_full_disk_costs_lines_and_no_request(caplog, monkeypatch):
    class Full:
        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

        def flush(self):
            pass

    with caplog.at_level(logging.ERROR, "channels_classic.server"):
        AccessLog(Full())("http", "complete", HTTP)
    assert "Could not write to the access log: [Errno 28] No space left on device" in caplog.text


# The id of a request ------------------------------------------------------------------------------


async def sent_message(server, workers, *, headers=(), **options):
    headers = [(b"host", b"example.com"), *headers]
    app = server(**options)
    client = Request(app, headers=headers, client=("10.0.0.1", 4711)).start()
    message = await workers.take("http.request")
    await workers.reply(message, status=200, content=b"")
    status, answered, _ = await client.answer()
    assert (status, b"x-request-id" in answered) == (200, False)
    return message


async def test_each_request_has_an_id_of_its_own(server, workers):
    found = [(await sent_message(server, workers))["request_id"] for _ in range(3)]
    assert len(set(found)) == 3
    assert all(map(is_request_id, found))


async def test_the_id_of_a_client_is_not_believed(server, workers):
    message = await sent_message(server, workers, headers=[(b"x-request-id", b"mine")])
    assert message["request_id"] != "mine"


@pytest.mark.parametrize("given", ["mine", "A-b_c.9", "x" * 64])
async def test_that_of_a_trusted_proxy_is(server, workers, given):
    headers = [(b"x-request-id", given.encode())]
    message = await sent_message(server, workers, headers=headers, trusted_proxies=["10.0.0.1"])
    assert message["request_id"] == given


@pytest.mark.parametrize("given", [b"", b"x" * 65, b"a b", b"a/b", b"\xe9", b"a,b", b'"'])
async def test_but_not_if_it_cannot_be_one(server, workers, given):
    headers = [(b"x-request-id", given)]
    message = await sent_message(server, workers, headers=headers, trusted_proxies=["10.0.0.1"])
    assert is_request_id(message["request_id"])
    assert message["request_id"] != given.decode("latin-1")


async def test_the_access_log_and_the_servers_own_lines_have_it(server, workers, caplog):
    told = []
    app = server(action_logger=lambda *action: told.append(action))
    client = Request(app).start()
    message = await workers.take("http.request")
    with caplog.at_level(logging.ERROR, "channels_classic.server"):
        caplog.handler.addFilter(RequestIdFilter())
        await workers.reply(message, nonsense=1)
        await client.done()
    assert told[0][2]["request_id"] == message["request_id"]
    assert [record.request_id for record in caplog.records] == [message["request_id"]]


def test_the_command_writes_the_format_that_is_asked_for(tmp_path, monkeypatch):
    path = tmp_path / "access.log"

    def run_server(application, *args, **options):
        application.options.action_logger("http", "complete", FULL)

    monkeypatch.setattr(cli_server, "run_server", run_server)
    monkeypatch.setattr(cli_server, "setup_logger", lambda *arguments: None)
    options = ["--access-log", str(path), "--access-log-format", "json"]
    command = ["server", "tests.test_cli:layer", *options]
    assert CliRunner().invoke(cli.main, command).exit_code == 0
    assert json.loads(path.read_text())["request_id"] == "a1b2-1f"
