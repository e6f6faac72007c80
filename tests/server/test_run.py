"""The real engine: where it listens, what it passes on, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import websockets.asyncio.client
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from channels_classic.server.options import Limits, Listen
from channels_classic.server.run import run_server
from channels_classic.server.sockets import (
    CannotListen,
    address_of,
    open_sockets,
    tls_context,
)
from tests.acceptance.processes import Process, free_port, wait_until
from tests.certificates import make_certificate

ROOT = Path(__file__).parents[2]


def server(tmp_path, *options):
    """``channels-classic server`` with the site of these tests; a context manager."""
    command = [sys.executable, "-m", "channels_classic.cli", "server"]
    command += ["tests.server.site:channel_layer", *map(str, options)]
    return Process(command, log=tmp_path / "server.log", cwd=ROOT)


def fetch(port, path, *, method="GET", body=None, headers=None, connection=None):
    """Status, headers and body of one answer."""
    connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """The port of a server that tests share."""
    number = free_port()
    options = ["--port", number, "--ws-protocol", "b", "--ws-protocol", "c"]
    with server(tmp_path_factory.mktemp("shared"), *options) as process:
        process.wait_for_port(number)
        yield number


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """The files of a certificate for 127.0.0.1 and of its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


# Where it listens ---------------------------------------------------------------------------------


@contextlib.contextmanager
def listening(**where):
    """The sockets of ``Listen(**where)``."""
    sockets = open_sockets(Listen(**where))
    try:
        yield sockets
    finally:
        for each in sockets:
            each.close()


def test_a_port_is_listened_on_as_soon_as_it_is_had():
    with listening(port=0) as [tcp], socket.create_connection(tcp.getsockname(), timeout=5):
        assert address_of(tcp) == f"http://127.0.0.1:{tcp.getsockname()[1]}"


def test_a_port_in_use_is_said_in_one_line():
    with listening(port=0) as [tcp]:
        port = tcp.getsockname()[1]
        with pytest.raises(CannotListen) as raised:
            open_sockets(Listen(port=port))
    assert str(raised.value) == (
        f"cannot listen on 127.0.0.1:{port} (Address already in use): "
        "stop what uses it, or choose another address"
    )


def test_a_port_out_of_range_is_said_in_one_line():
    with pytest.raises(CannotListen, match="cannot listen on 127.0.0.1:65536 .*0-65535"):
        open_sockets(Listen(port=65536))


def test_an_address_of_another_machine_is_said_in_one_line():
    with pytest.raises(CannotListen, match="cannot listen on 192.0.2.1:8000 .Cannot assign"):
        open_sockets(Listen(host="192.0.2.1"))


def test_a_host_name_that_does_not_exist_is_said_in_one_line():
    with pytest.raises(CannotListen, match="cannot listen on no.such.invalid:8000"):
        open_sockets(Listen(host="no.such.invalid"))


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_ipv6_address_may_have_brackets(host):
    if not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("this machine has no IPv6")
    with listening(host=host, port=0) as [tcp]:
        assert address_of(tcp) == f"http://[::1]:{tcp.getsockname()[1]}"


def test_with_a_certificate_the_address_is_https():
    with listening(port=0) as [tcp]:
        assert address_of(tcp, tls=True).startswith("https://127.0.0.1:")


def test_several_addresses_can_be_listened_on(tmp_path):
    path = str(tmp_path / "site.sock")
    with listening(port=0, unix_socket=path) as sockets:
        assert [each.family for each in sockets] == [socket.AF_INET, socket.AF_UNIX]


def test_without_a_port_there_is_no_tcp(tmp_path):
    path = str(tmp_path / "site.sock")
    with listening(port=None, unix_socket=path) as [only]:
        assert address_of(only) == f"unix:{path}"


def test_a_unix_socket_is_for_owner_and_group(tmp_path):
    path = tmp_path / "site.sock"
    with listening(port=None, unix_socket=str(path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_the_socket_of_a_server_that_is_gone_is_replaced(tmp_path):
    path = str(tmp_path / "site.sock")
    with listening(port=None, unix_socket=path):
        pass
    with listening(port=None, unix_socket=path), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def test_the_socket_of_a_running_server_is_left_alone(tmp_path):
    path = str(tmp_path / "site.sock")
    with listening(port=None, unix_socket=path), socket.socket(socket.AF_UNIX) as client:
        with pytest.raises(CannotListen, match=r"site.sock \(Address already in use\)"):
            open_sockets(Listen(port=None, unix_socket=path))
        client.connect(path)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("important")
    with pytest.raises(CannotListen, match="choose another path"):
        open_sockets(Listen(port=None, unix_socket=str(path)))
    assert path.read_text() == "important"


def test_a_unix_socket_in_a_missing_folder_is_said_in_one_line(tmp_path):
    with pytest.raises(CannotListen, match="No such file or directory"):
        open_sockets(Listen(port=None, unix_socket=str(tmp_path / "missing" / "site.sock")))


def test_an_inherited_descriptor_is_listened_on():
    with (
        socket.create_server(("127.0.0.1", 0)) as inherited,
        listening(port=None, fd=os.dup(inherited.fileno())) as [only],
    ):
        assert only.getsockname() == inherited.getsockname()


def test_an_inherited_descriptor_may_be_of_any_family(tmp_path):
    path = str(tmp_path / "site.sock")
    with socket.socket(socket.AF_UNIX) as inherited:
        inherited.bind(path)  # and not yet listening
        with listening(port=None, fd=os.dup(inherited.fileno())) as [only]:
            assert address_of(only) == f"unix:{path}"
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
    if socket.has_dualstack_ipv6():
        with (
            socket.create_server(("::1", 0), family=socket.AF_INET6) as inherited,
            listening(port=None, fd=os.dup(inherited.fileno())) as [only],
        ):
            assert address_of(only) == f"http://[::1]:{inherited.getsockname()[1]}"


def test_a_connection_is_no_descriptor_to_listen_on():
    one, other = socket.socketpair()
    with one, other:
        with pytest.raises(CannotListen) as raised:
            open_sockets(Listen(port=None, fd=os.dup(one.fileno())))
        assert "is not a socket to listen on (Invalid argument)" in str(raised.value)


def test_every_address_is_every_one_of_ipv4_too():
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with listening(host="::", port=0) as [tcp]:
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, tcp.getsockname()[1]), timeout=5).close()


def test_tls_is_new_and_so_are_its_ciphers(certificate):
    certfile, keyfile = map(str, certificate)
    context = tls_context(Listen(ssl_certfile=certfile, ssl_keyfile=keyfile))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    ciphers = {each["name"] for each in context.get_ciphers()}
    assert "ECDHE-ECDSA-AES128-GCM-SHA256" in ciphers
    assert not {each for each in ciphers if not each.startswith(("TLS_", "ECDHE-", "DHE-"))}
    assert not {each for each in ciphers if each.endswith("-SHA") or "RC4" in each or "DES" in each}


def test_a_descriptor_that_is_no_socket_is_said_in_one_line(tmp_path):
    with (
        (tmp_path / "file").open("w") as file,
        pytest.raises(CannotListen, match=f"descriptor {file.fileno()} is not a socket"),
    ):
        open_sockets(Listen(port=None, fd=file.fileno()))


def test_what_was_opened_is_closed_when_the_next_cannot_be_had(tmp_path):
    port = free_port()
    with pytest.raises(CannotListen):
        open_sockets(Listen(port=port, unix_socket=str(tmp_path / "missing" / "site.sock")))
    with listening(port=port) as [tcp]:
        assert tcp.getsockname()[1] == port


def test_a_key_alone_is_refused(certificate):
    with pytest.raises(CannotListen, match="give --ssl-certfile too"):
        run_server(None, Listen(port=0, ssl_keyfile=str(certificate[1])), Limits())


def test_a_file_that_is_no_certificate_is_said_in_one_line(tmp_path):
    (tmp_path / "cert.pem").write_text("not a certificate")
    with pytest.raises(CannotListen, match=r"cannot use the certificate .*cert.pem"):
        run_server(None, Listen(port=0, ssl_certfile=str(tmp_path / "cert.pem")), Limits())


# What it passes on --------------------------------------------------------------------------------


def test_a_page_is_served(port):
    status, headers, body = fetch(port, "/hello")
    assert (status, headers["content-type"], body) == (200, "text/plain", b"hello")


def test_a_connection_is_kept_for_the_next_request(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        for _ in range(3):
            connection.request("GET", "/hello")
            assert connection.getresponse().read() == b"hello"
            address = connection.sock.getsockname()
        assert connection.sock.getsockname() == address


def test_the_engine_does_not_name_itself(port):
    assert "server" not in {name.lower() for name in fetch(port, "/hello")[1]}


@pytest.mark.parametrize("size", [0, 1000, 64 * 1024, 64 * 1024 + 1, 100_000, 3_000_000])
def test_an_upload_of_any_size_arrives(port, size):
    assert fetch(port, "/length", method="POST", body=b"x" * size)[2] == b"%d" % size


def test_a_chunked_upload_arrives(port):
    chunks = (b"x" * 1000 for _ in range(200))
    assert fetch(port, "/length", method="POST", body=chunks)[2] == b"200000"


def test_a_message_says_who_asks_and_where(port):
    shown = json.loads(fetch(port, "/message")[2])
    assert shown["scheme"] == "http"
    assert shown["client"][0] == "127.0.0.1"
    assert shown["server"] == ["127.0.0.1", port]


def test_header_names_with_an_underscore_do_not_pass(port):
    shown = json.loads(fetch(port, "/message", headers={"Remote_User": "admin", "X-A": "1"})[2])
    assert "x-a" in dict(shown["headers"])
    assert not [name for name, _ in shown["headers"] if "remote" in name]


def test_the_headers_of_a_proxy_are_not_believed(port):
    forged = {"X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "https"}
    shown = json.loads(fetch(port, "/message", headers=forged)[2])
    assert (shown["client"][0], shown["scheme"]) == ("127.0.0.1", "http")


@pytest.mark.parametrize("frame", ["text", "", b"\x00\xff", b"", "x" * 100_000])
def test_a_frame_comes_back(port, frame):
    with connect(f"ws://127.0.0.1:{port}/echo") as client:
        client.send(frame)
        assert client.recv(timeout=10) == frame


def test_a_known_subprotocol_is_spoken(port):
    with connect(f"ws://127.0.0.1:{port}/echo", subprotocols=["a", "c", "b"]) as client:
        assert client.subprotocol == "c"


def test_a_refused_socket_is_403(port):
    with pytest.raises(InvalidStatus) as raised:
        connect(f"ws://127.0.0.1:{port}/refused")
    assert raised.value.response.status_code == 403


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1013, 3000, 4999])
def test_a_client_gets_the_close_code_of_a_consumer(port, code):
    with connect(f"ws://127.0.0.1:{port}/echo") as client:
        client.send(f"close {code}")
        with pytest.raises(ConnectionClosed) as raised:
            client.recv(timeout=10)
    assert raised.value.rcvd.code == code


def test_a_close_code_that_is_not_allowed_is_1011(port):
    with connect(f"ws://127.0.0.1:{port}/echo") as client:
        client.send("close 1006")
        with pytest.raises(ConnectionClosed) as raised:
            client.recv(timeout=10)
    assert raised.value.rcvd.code == 1011


def test_a_frame_over_the_limit_is_1009(port):
    with connect(f"ws://127.0.0.1:{port}/echo") as client:
        with contextlib.suppress(ConnectionClosed):
            client.send("x" * (1024 * 1024 + 1))
        with pytest.raises(ConnectionClosed) as raised:
            client.recv(timeout=10)
    assert raised.value.rcvd.code == 1009


@pytest.fixture(scope="module")
def trusting(tmp_path_factory):
    """The port and the process of a server that believes a proxy on this machine."""
    number = free_port()
    options = ["--port", number, "--proxy-headers", "127.0.0.1"]
    with server(tmp_path_factory.mktemp("trusting"), *options) as process:
        process.wait_for_port(number)
        yield number, process


def test_a_trusted_proxy_is_believed(trusting):
    headers = {"X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "https"}
    shown = json.loads(fetch(trusting[0], "/message", headers=headers)[2])
    assert (shown["client"][0], shown["scheme"]) == ("10.0.0.1", "https")


def test_what_a_client_tells_its_proxy_is_not_believed(trusting):
    headers = {"X-Forwarded-For": "10.6.6.6, 10.0.0.1"}
    shown = json.loads(fetch(trusting[0], "/message", headers=headers)[2])
    assert shown["client"][0] == "10.0.0.1"


@pytest.mark.parametrize(("code", "told"), [(4001, "4001"), (1000, "1000"), (1001, "1001")])
def test_consumers_hear_the_code_of_the_client(trusting, code, told):
    port, process = trusting
    with connect(f"ws://127.0.0.1:{port}/code{code}") as client:
        client.close(code)
    process.wait_for_line(rf"^disconnected /code{code} {told}$")


def test_a_close_frame_without_a_code_is_none(trusting):
    port, process = trusting
    with connect(f"ws://127.0.0.1:{port}/silent") as client:
        client.protocol.send_close()
        client.socket.sendall(b"".join(client.protocol.data_to_send()))
        process.wait_for_line(r"^disconnected /silent None$")


def test_a_connection_that_breaks_is_1006(trusting):
    port, process = trusting
    with connect(f"ws://127.0.0.1:{port}/broken") as client:
        client.socket.shutdown(socket.SHUT_RDWR)
        process.wait_for_line(r"^disconnected /broken 1006$")


# UNIX socket and TLS ------------------------------------------------------------------------------


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def test_a_unix_socket_is_served_and_removed_at_the_end(tmp_path):
    path = tmp_path / "site.sock"
    with server(tmp_path, "--unix-socket", path) as process:
        process.wait_for_line(f"Listening on unix:{path}")
        shown = json.loads(fetch(0, "/message", connection=UnixConnection(str(path)))[2])
        assert (shown["client"], shown["server"]) == (None, None)
        assert process.terminate() == 0
    assert not path.exists()


def test_tls_is_spoken(tmp_path, certificate):
    certfile, keyfile = certificate
    number = free_port()
    options = ["--port", number, "--ssl-certfile", certfile, "--ssl-keyfile", keyfile]
    context = ssl.create_default_context(cafile=certfile)
    with server(tmp_path, *options) as process:
        process.wait_for_line(f"Listening on https://127.0.0.1:{number}")
        connection = http.client.HTTPSConnection("127.0.0.1", number, context=context, timeout=10)
        assert json.loads(fetch(0, "/message", connection=connection)[2])["scheme"] == "https"
        asyncio.run(echo_over_tls(f"wss://127.0.0.1:{number}/echo", context))


async def echo_over_tls(url, context):
    """With the client for asyncio: the one with threads reads and writes one TLS socket at once."""
    async with websockets.asyncio.client.connect(url, ssl=context) as client:
        await client.send("secret")
        async with asyncio.timeout(10):
            assert await client.recv() == "secret"
        tls = client.transport.get_extra_info("ssl_object")
        assert tls.version() in ("TLSv1.2", "TLSv1.3")


# The end ------------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path):
    """The port and the process of a server that the test may stop."""
    number = free_port()
    with server(tmp_path, "--port", number) as process:
        process.wait_for_port(number)
        yield number, process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_closes_open_sockets_with_1012_and_ends_with_status_0(own, number):
    port, process = own
    with connect(f"ws://127.0.0.1:{port}/echo") as client:
        client.send("hi")
        client.recv(timeout=10)
        process.send_signal(number)
        with pytest.raises(ConnectionClosed) as raised:
            client.recv(timeout=10)
    assert (raised.value.rcvd.code, process.wait()) == (1012, 0)


def test_frames_that_wait_for_their_turn_are_still_run_after_the_signal(own):
    port, process = own
    with connect(f"ws://127.0.0.1:{port}/echo") as client:
        for number in (1, 2, 3):
            client.send(f"work {number}")
        assert client.ping().wait(timeout=10)  # the server has read them all
        process.wait_for_line("^work 1 began$")
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    steps = [line for line in process.log.read_text().splitlines() if line.startswith("work ")]
    assert steps == [f"work {number} {step}" for number in (1, 2, 3) for step in ("began", "ended")]


def test_a_request_in_flight_finishes_after_the_signal(own):
    port, process = own
    answers = []
    asking = threading.Thread(target=lambda: answers.append(fetch(port, "/slow")))
    asking.start()
    process.wait_for_line("^slow began$")
    process.send_signal(signal.SIGTERM)
    asking.join()
    assert [(status, body) for status, _, body in answers] == [(200, b"slow but sure")]
    assert process.wait() == 0


def test_a_second_signal_ends_at_once(own):
    port, process = own
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        connection.request("GET", "/never")
        process.wait_for_line("^never began$")
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: not reachable(port), message="the port to be closed")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 128 + signal.SIGTERM


def reachable(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_those_who_embed_the_server_hear_its_addresses_and_get_their_handlers_back():
    code = """
import os, signal
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.server import InterfaceServer
from channels_classic.server.options import Limits, Listen
from channels_classic.server.run import run_server

def ready(addresses):
    print(*addresses, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

before = signal.getsignal(signal.SIGTERM)
run_server(InterfaceServer(InMemoryChannelLayer()), Listen(port=0), Limits(), on_ready=ready)
print(signal.getsignal(signal.SIGTERM) is before)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
        cwd=ROOT,
    )
    address, handlers_are_back = done.stdout.split()
    assert address.startswith("http://127.0.0.1:")
    assert (handlers_are_back, done.stderr) == ("True", "")
