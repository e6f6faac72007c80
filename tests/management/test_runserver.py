"""``manage.py runserver``: everything in one process, for development."""

from __future__ import annotations

import http.client
import io
import re
import signal
import socket
import sys

import pytest
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import CommandError, call_command
from django.core.management.color import no_style
from django.core.management.commands.runserver import Command as DjangoRunserver
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from channels_classic.asgi import channel_layers
from channels_classic.handler import ViewConsumer
from channels_classic.management.commands import runserver
from channels_classic.routing import route
from channels_classic.staticfiles import StaticFilesConsumer
from channels_classic.worker import WorkerGroup
from tests.acceptance.processes import free_port
from tests.management.project import WATCHFUL

MEMORY = "channels_classic.layers.memory.InMemoryChannelLayer"


def fetch(port, path="/"):
    """Status and text of one page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def ends(process):
    """That Ctrl-C ends it well."""
    process.send_signal(signal.SIGINT)
    return process.wait() == 0


# Options, in this process -----------------------------------------------------------------------


class Served:
    """What would have been served."""

    def __init__(self):
        self.workers = []


@pytest.fixture
def served(settings, monkeypatch):
    """The command runs, but serves nothing and starts no workers."""
    kept = Served()

    def run_server(application, listen, limits, *, signal_handlers, on_ready):
        kept.application, kept.listen, kept.limits = application, listen, limits
        kept.signal_handlers = signal_handlers
        on_ready([f"http://{listen.host}:{listen.port}"])

    def ready(group):
        kept.workers.append(group)

    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": MEMORY, "ROUTING": [route("work", print)]},
    }
    monkeypatch.setattr(runserver, "run_server", run_server)
    monkeypatch.setattr(runserver, "setup_logger", lambda *arguments: None)
    monkeypatch.setattr(WorkerGroup, "ready", ready)
    monkeypatch.setattr(WorkerGroup, "run", lambda group: None)
    monkeypatch.setattr(runserver.Command, "check_migrations", lambda self: None)
    return kept


def run(*arguments, **options):
    """The output of the command, without the reloader.

    By its class: tests that change INSTALLED_APPS make Django forget whose ``runserver`` it is.
    """
    output = io.StringIO()
    call_command(runserver.Command(), "--noreload", *arguments, stdout=output, **options)
    return output.getvalue()


def http_consumer():
    [consumer] = [
        entry.consumer
        for entry in channel_layers["default"].router.root.routing
        if "http.request" in entry.channel_names()
    ]
    return consumer


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ([], "127.0.0.1", 8000),
        (["9000"], "127.0.0.1", 9000),
        (["0.0.0.0:9000"], "0.0.0.0", 9000),
        (["[::1]:9000"], "::1", 9000),
    ],
)
def test_it_listens_where_it_is_told(served, address, host, port):
    run(*address)
    assert (served.listen.host, served.listen.port) == (host, port)


@pytest.mark.parametrize(
    ("arguments", "option", "value"),
    [
        ([], "http_timeout", 60),
        (["--http-timeout", "7"], "http_timeout", 7),
        (["--http_timeout", "7"], "http_timeout", 7),
        ([], "websocket_connect_timeout", 5),
        (["--websocket-handshake-timeout", "8"], "websocket_connect_timeout", 8),
        (["--websocket_handshake_timeout", "8"], "websocket_connect_timeout", 8),
        ([], "ws_protocols", []),
        ([], "root_path", ""),
    ],
)
def test_options_reach_the_server(served, arguments, option, value):
    run(*arguments)
    assert getattr(served.application.options, option) == value


@pytest.mark.parametrize(
    ("setting", "value", "option", "expected"),
    [
        ("CHANNELS_WS_PROTOCOLS", ("a", "b"), "ws_protocols", ["a", "b"]),
        ("FORCE_SCRIPT_NAME", "/app", "root_path", "/app"),
        ("FORCE_SCRIPT_NAME", "/app/", "root_path", "/app"),
        ("FORCE_SCRIPT_NAME", None, "root_path", ""),
    ],
)
def test_settings_reach_the_server(served, settings, setting, value, option, expected):
    setattr(settings, setting, value)
    run()
    assert getattr(served.application.options, option) == expected


def test_the_limits_of_the_server_hold_in_development_too(served, settings):
    settings.CHANNELS_CLASSIC = {"SERVER": {"max_head": 5000, "max_body": 7000}}
    run()
    assert (served.limits.max_head, served.application.options.max_body) == (5000, 7000)
    assert (served.limits.max_fields, served.limits.graceful_timeout) == (100, 2)


def test_an_unknown_option_of_the_server_is_an_error_and_no_traceback(
    served, settings, capsys, monkeypatch
):
    monkeypatch.setattr(runserver.os, "_exit", sys.exit)
    settings.CHANNELS_CLASSIC = {"SERVER": {"max_haed": 5000}}
    with pytest.raises(SystemExit, match="1"):
        run("--skip-checks")
    assert "has no option 'max_haed'" in capsys.readouterr().err


def test_the_default_layer_is_served(served):
    run()
    assert served.application.channel_layer is channel_layers["default"].channel_layer


@pytest.mark.parametrize(("arguments", "threads"), [([], 4), (["--nothreading"], 1)])
def test_there_are_worker_threads(served, arguments, threads):
    output = run(*arguments)
    [group] = served.workers
    assert 1 + len(group.workers) == threads
    assert f"{threads} worker thread(s)" in output


def test_workers_may_run_elsewhere(served):
    output = run("--noworker")
    assert served.workers == []
    assert "no workers: start runworker" in output


def test_the_workers_leave_signals_to_the_server(served):
    run()
    [group] = served.workers
    assert (group.signal_handlers, served.signal_handlers) == (False, True)


@pytest.mark.parametrize(
    ("debug", "arguments", "static"),
    [
        (True, [], True),
        (False, [], False),
        (False, ["--insecure"], True),
        (True, ["--nostatic"], False),
    ],
)
def test_static_files_are_served_in_development(served, settings, debug, arguments, static):
    settings.DEBUG = debug
    run(*arguments)
    assert isinstance(http_consumer(), StaticFilesConsumer) == static
    assert isinstance(http_consumer(), ViewConsumer)


def test_the_start_says_what_is_served_where(served):
    output = run("9000", skip_checks=False)
    for line in (
        "Performing system checks...",
        "Channels development server at http://127.0.0.1:9000/",
        f"Channel layer default ({MEMORY}), 4 worker thread(s)",
        "Channels: http.request, websocket.connect, websocket.disconnect, websocket.receive, work",
        "Quit the server with CONTROL-C.",
    ):
        assert line in output
    assert re.search(r"Django version \d\S+, using settings ", output)


def test_the_help_of_our_command_explains_the_options(capsys):
    with pytest.raises(SystemExit):
        run("--help")
    output = " ".join(capsys.readouterr().out.split())
    for text in (
        *("--noworker", "--noasgi", "--http-timeout", "--websocket-handshake-timeout"),
        *("--nostatic", "--insecure", "--noreload", "workers, static files and autoreload in one"),
    ):
        assert text in output


# Without a layer: Django's own server ------------------------------------------------------------


@pytest.fixture
def django_ran(monkeypatch):
    """The options with which Django's own command ran."""
    ran = []
    monkeypatch.setattr(
        DjangoRunserver, "inner_run", lambda self, *a, **options: ran.append(options)
    )
    return ran


@pytest.mark.parametrize("layers", [{}, None, {"other": {"BACKEND": MEMORY, "ROUTING": []}}])
def test_without_a_default_layer_it_is_djangos_server(settings, django_ran, layers):
    settings.CHANNEL_LAYERS = layers
    output = run()
    assert "CHANNEL_LAYERS has no 'default'" in output
    assert "HTTP only, no WebSockets" in output
    assert len(django_ran) == 1


def test_noasgi_is_djangos_server(served, django_ran):
    output = run("--noasgi")
    assert "HTTP only, no WebSockets" in output
    assert len(django_ran) == 1
    assert not hasattr(served, "application")


@pytest.mark.parametrize(("debug", "static"), [(True, True), (False, False)])
def test_djangos_server_serves_static_files_as_it_does(settings, debug, static):
    settings.DEBUG = debug
    handler = runserver.Command().get_handler(use_static_handler=True, insecure_serving=False)
    assert isinstance(handler, StaticFilesHandler) == static


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"BACKEND": "no.such.Layer"}, "cannot import the BACKEND 'no.such.Layer'"),
        ({"CONFIG": {"capasity": 5}}, "did you mean 'capacity'?"),
        ({"ROUTING": "no.such.routes"}, "cannot import the routing 'no.such.routes'"),
        ({"ROUTING": [5]}, "5 is not a route"),
    ],
)
@pytest.mark.usefixtures("served")
def test_a_layer_that_is_not_usable_is_refused_with_the_reason(settings, entry, reason):
    default = {**settings.CHANNEL_LAYERS["default"], **entry}
    settings.CHANNEL_LAYERS = {"default": default}
    with pytest.raises(CommandError) as raised:
        run()
    assert reason in str(raised.value)


@pytest.mark.parametrize("layers", [[1], {"default": 5}])
@pytest.mark.usefixtures("served")
def test_a_setting_that_is_not_usable_is_refused_with_the_reason(settings, layers):
    settings.CHANNEL_LAYERS = layers
    with pytest.raises(CommandError, match="must be a dict"):
        run()


@pytest.mark.usefixtures("served")
def test_an_address_of_another_form_is_refused():
    with pytest.raises(CommandError, match='"nowhere" is not a valid port number or address'):
        run("nowhere")


# The log ------------------------------------------------------------------------------------------


@pytest.fixture
def logged(capsys):
    """``logged(protocol, action, details)`` is the line, with its time made sure of and cut off."""
    command = runserver.Command(no_color=True)

    def log(*action):
        command.log_action(*action)
        text, count = re.subn(r"^\[\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\] ", "", capsys.readouterr().err)
        assert count == 1
        return text

    return log


def details(**changes):
    common = {"path": "/page?a=1", "status": 200, "method": "GET", "client": "127.0.0.1:4711"}
    return {**common, "time_taken": 0.123, "size": 5, **changes}


@pytest.mark.parametrize(("status", "shown"), [(200, "200"), (404, "404"), (0, "-")])
def test_a_request_is_a_line(logged, status, shown):
    assert logged("http", "complete", details(status=status)) == (
        f"HTTP GET /page?a=1 {shown} [0.12, 127.0.0.1:4711]\n"
    )


@pytest.mark.parametrize(
    ("action", "verb"),
    [
        ("connecting", "HANDSHAKING"),
        ("connected", "CONNECT"),
        ("rejected", "REJECT"),
        ("disconnected", "DISCONNECT"),
    ],
)
def test_a_step_of_a_socket_is_a_line(logged, action, verb):
    socket_details = {"path": "/echo/", "client": "127.0.0.1:4711"}
    assert logged("websocket", action, socket_details) == (
        f"WebSocket {verb} /echo/ [127.0.0.1:4711]\n"
    )


@pytest.mark.parametrize(
    ("status", "style"),
    [
        (200, "HTTP_SUCCESS"),
        (302, "HTTP_REDIRECT"),
        (304, "HTTP_NOT_MODIFIED"),
        (403, "HTTP_BAD_REQUEST"),
        (404, "HTTP_NOT_FOUND"),
        (503, "HTTP_SERVER_ERROR"),
    ],
)
def test_a_line_has_the_colour_of_its_status(capsys, status, style):
    command = runserver.Command()
    command.style = no_style()
    setattr(command.style, style, lambda text: f"<{style}>{text}")
    command.log_action("http", "complete", details(status=status))
    assert f"<{style}>HTTP GET" in capsys.readouterr().err


# As a process -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reload", [True, False])
def test_pages_sockets_and_static_files_are_served_by_one_process(project, reload):
    port = free_port()
    options = [str(port)] if reload else ["--noreload", str(port)]
    with project.manage("runserver", *options) as process:
        process.wait_for_line(f"^Channels development server at http://127.0.0.1:{port}/$")
        assert fetch(port) == (200, "hello from the site")
        assert fetch(port, "/static/hello.txt") == (200, "a static file")
        assert fetch(port, "/nope")[0] == 404
        with connect(f"ws://127.0.0.1:{port}/echo/") as client:
            client.send("hello world")
            assert client.recv(timeout=10) == "You said: hello world"
        process.wait_for_line(r"HTTP GET / 200 \[\d")
        process.wait_for_line(r"WebSocket DISCONNECT /echo/ \[127")
        if not reload:
            assert ends(process)
    assert "Traceback" not in process.output()


def test_ctrl_c_closes_sockets_and_ends(project):
    port = free_port()
    with project.manage("runserver", "--noreload", str(port)) as process:
        process.wait_for_port(port)
        with connect(f"ws://127.0.0.1:{port}/echo/") as client:
            client.send("hi")
            client.recv(timeout=10)
            assert ends(process)
            with pytest.raises(ConnectionClosed) as raised:
                client.recv(timeout=10)
    assert raised.value.rcvd.code == 1012


def test_it_starts_again_when_the_code_changes(project):
    port = free_port()
    project.add_settings(WATCHFUL)
    with project.manage("runserver", str(port)) as process:
        process.wait_for_line("site_consumers.py first seen")
        consumers = (project.folder / "site_consumers.py").read_text()
        project.write("site_consumers.py", consumers.replace("You said", "Now you say"))
        process.wait_for_line("(?s)site_consumers.py changed, reloading.*development server at")
        with connect(f"ws://127.0.0.1:{port}/echo/") as client:
            client.send("hi")
            assert client.recv(timeout=10) == "Now you say: hi"


def test_a_mistake_in_the_routing_is_shown_and_mended_without_a_new_start(project):
    port = free_port()
    project.add_settings(WATCHFUL)
    routing = (project.folder / "site_routing.py").read_text()
    project.write("site_routing.py", "this is a mistake\n")
    with project.manage("runserver", str(port)) as process:
        process.wait_for_line(r"(?s)SyntaxError: invalid syntax.*site_routing.py first seen")
        project.write("site_routing.py", routing)
        process.wait_for_port(port)
        assert fetch(port) == (200, "hello from the site")


def test_without_workers_pages_are_503(project):
    port = free_port()
    with project.manage("runserver", "--noreload", "--noworker", str(port)) as process:
        process.wait_for_port(port)
        status, text = fetch(port)
        assert (status, "No worker is running" in text) == (503, True)
        with pytest.raises(InvalidStatus) as raised:
            connect(f"ws://127.0.0.1:{port}/echo/")
        assert raised.value.response.status_code == 503
        process.wait_for_line("No worker reads the channel http.request")


def test_without_a_layer_pages_are_served_by_django(project):
    port = free_port()
    project.add_settings("CHANNEL_LAYERS = {}")
    with project.manage("runserver", "--noreload", str(port)) as process:
        process.wait_for_line("^No channel layer .*: HTTP only, no WebSockets.$")
        process.wait_for_port(port)
        assert fetch(port) == (200, "hello from the site")
        assert fetch(port, "/static/hello.txt") == (200, "a static file")


@pytest.mark.parametrize("options", [[], ["--noreload"]])
def test_a_port_in_use_is_one_line_and_a_status(project, options):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with project.manage("runserver", *options, str(port)) as process:
            assert process.wait() == 1
    assert process.output().splitlines()[-1] == (
        f"Error: cannot listen on 127.0.0.1:{port} (Address already in use): "
        "stop what uses it, or choose another address"
    )
    assert "Traceback" not in process.output()
