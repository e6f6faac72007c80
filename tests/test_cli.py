"""The ``channels-classic`` command: what it takes, what it says, with which status it ends."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import channels_classic
from channels_classic import cli, cli_server
from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.server import InterfaceServer
from channels_classic.server.sockets import CannotListen
from tests.acceptance.processes import Process, free_port

ROOT = Path(__file__).parents[1]
COMMAND = Path(sys.executable).with_name("channels-classic")

# What the command may be pointed at -----------------------------------------------------------

layer = InMemoryChannelLayer(group_expiry=1234)
wrapper = ChannelLayerWrapper(layer, "default", [])
not_a_layer = {"channel": "layer"}


@pytest.fixture
def application(monkeypatch):
    """An interface server with options of its own; ``tests.test_cli:application``."""
    made = InterfaceServer(layer, max_body=10, http_timeout=7, websocket_timeout=99)
    monkeypatch.setattr(sys.modules[__name__], "application", made, raising=False)
    return made


@pytest.fixture
def module(tmp_path, monkeypatch):
    """``module(source)`` writes ``broken.py`` where the command is run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield (tmp_path / "broken.py").write_text
    sys.modules.pop("broken", None)


class Started:
    """What ``run_server`` was called with."""

    application: InterfaceServer
    listen: cli_server.Listen
    limits: cli_server.Limits


@pytest.fixture
def started(monkeypatch):
    """Nothing is served: the arguments are kept."""
    kept = Started()

    def run_server(application, listen, limits, *, on_ready, inheritance):
        kept.application, kept.listen, kept.limits = application, listen, limits
        on_ready(["http://127.0.0.1:8000", "unix:/run/site.sock"])

    monkeypatch.setattr(cli_server, "run_server", run_server)
    return kept


@pytest.fixture(autouse=True)
def _quiet_logging(monkeypatch):
    """The command sets up logging for its process; here it must leave the loggers alone."""
    monkeypatch.setattr(cli_server, "setup_logger", lambda *arguments: None)


def run(*arguments, path="tests.test_cli:layer"):
    return CliRunner().invoke(cli.main, ["server", *([path] if path else []), *arguments])


def option(started, *arguments, path="tests.test_cli:layer"):
    """The options of the server that the command has made of ``arguments``."""
    result = run(*arguments, path=path)
    assert (result.exit_code, result.exception) == (0, None), result.output
    return started.application.options


# Help -----------------------------------------------------------------------------------------


def test_the_command_explains_the_three_processes():
    output = CliRunner().invoke(cli.main, ["--help"]).output
    for line in (
        "channels-classic server project.asgi:channel_layer",
        "python manage.py runworker",
        "redis-server",
    ):
        assert line in output


def test_the_version_is_the_packages():
    output = CliRunner().invoke(cli.main, ["--version"]).output
    assert channels_classic.__version__ in output


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_the_help_of_the_server_shows_an_example(flag):
    result = CliRunner().invoke(cli.main, ["server", flag])
    assert result.exit_code == 0
    assert "project.asgi:channel_layer" in result.output


@pytest.mark.parametrize(
    "name",
    [
        *("--port", "--bind", "--unix-socket", "--fd", "--ssl-certfile", "--ssl-keyfile"),
        *("--http-timeout", "--websocket-timeout", "--websocket-connect-timeout"),
        *("--ping-interval", "--ping-timeout", "--ws-protocol", "--root-path"),
        *("--proxy-headers", "--access-log", "--verbosity"),
    ],
)
def test_the_help_of_the_server_explains_each_option(name):
    output = CliRunner().invoke(cli.main, ["server", "--help"]).output
    [option] = [each for each in re.split(r"\n  (?=-)", output) if f"{name} " in each]
    assert re.search(rf"{name} [A-Z ]+  +(0: |[A-Z]).+", " ".join(option.split("\n")))


@pytest.mark.parametrize(
    "default", ["default: 8000", "default: 127.0.0.1", "default: 120", "default: 5", "default: 20"]
)
def test_the_help_of_the_server_tells_the_defaults(default):
    assert default in CliRunner().invoke(cli.main, ["server", "--help"], terminal_width=200).output


# What is served -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["layer", "wrapper"])
def test_a_layer_is_served(started, name):
    option(started, path=f"tests.test_cli:{name}")
    assert started.application.channel_layer is layer


def test_an_attribute_may_be_deeper(started):
    option(started, path="tests.test_cli:wrapper.channel_layer")
    assert started.application.channel_layer is layer


def test_an_interface_server_is_served_as_it_is(started, application):
    option(started, path="tests.test_cli:application")
    assert started.application is application


def test_an_interface_server_keeps_its_own_options(started, application):
    options = option(started, path="tests.test_cli:application")
    assert (options.max_body, options.http_timeout, options.websocket_timeout) == (10, 7, 99)


def test_an_option_that_is_given_wins_over_the_servers_own(started, application):
    options = option(started, "--http-timeout", "3", path="tests.test_cli:application")
    assert (options.http_timeout, options.max_body) == (3, 10)


def test_the_folder_of_the_project_can_be_imported_from(started, module):
    module("from tests.test_cli import layer")
    option(started, path="broken:layer")
    assert started.application.channel_layer is layer


# Options --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        ([], "http_timeout", 120),
        (["--http-timeout", "2.5"], "http_timeout", 2.5),
        (["-t", "3"], "http_timeout", 3),
        ([], "websocket_connect_timeout", 5),
        (["--websocket-connect-timeout", "9"], "websocket_connect_timeout", 9),
        ([], "websocket_timeout", None),
        (["--websocket-timeout", "0"], "websocket_timeout", None),
        (["--websocket-timeout", "60"], "websocket_timeout", 60),
        (["--websocket-timeout", "-1"], "websocket_timeout", None),
        ([], "ws_protocols", ()),
        (["--ws-protocol", "a", "--ws-protocol", "b"], "ws_protocols", ("a", "b")),
        (["--root-path", "/app"], "root_path", "/app"),
        (
            ["--proxy-headers", "127.0.0.1, 10.0.0.0/8", "--proxy-headers", "::1"],
            "trusted_proxies",
            ["127.0.0.1", "10.0.0.0/8", "::1"],
        ),
        ([], "trusted_proxies", ()),
    ],
)
def test_an_option_of_the_server(started, arguments, name, value):
    assert getattr(option(started, *arguments), name) == value


def test_protocols_may_stand_before_the_layer(started):
    result = CliRunner().invoke(
        cli.main, ["server", "--ws-protocol", "chat", "tests.test_cli:layer"]
    )
    assert result.exit_code == 0
    assert started.application.options.ws_protocols == ("chat",)


@pytest.mark.parametrize(
    ("arguments", "host", "port"),
    [
        ([], "127.0.0.1", 8000),
        (["--port", "9000"], "127.0.0.1", 9000),
        (["-p", "0"], "127.0.0.1", 0),
        (["--bind", "0.0.0.0"], "0.0.0.0", 8000),
        (["-b", "::1", "-p", "9000"], "::1", 9000),
        (["--unix-socket", "/run/a.sock"], "127.0.0.1", None),
        (["--fd", "3"], "127.0.0.1", None),
        (["-u", "/run/a.sock", "--port", "9000"], "127.0.0.1", 9000),
        (["-u", "/run/a.sock", "--bind", "0.0.0.0"], "0.0.0.0", 8000),
    ],
)
def test_what_is_not_given_of_an_address_has_a_default(started, arguments, host, port):
    option(started, *arguments)
    assert (started.listen.host, started.listen.port) == (host, port)


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["-u", "/run/a.sock"], "unix_socket", "/run/a.sock"),
        (["--fd", "3"], "fd", 3),
        (["--ssl-certfile", __file__], "ssl_certfile", __file__),
        (["--ssl-keyfile", __file__], "ssl_keyfile", __file__),
    ],
)
def test_how_to_listen(started, arguments, name, value):
    option(started, *arguments)
    assert getattr(started.listen, name) == value


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--ping-interval", "7"], "ping_interval", 7),
        (["--ping-interval", "0"], "ping_interval", 0),
        (["--ping-timeout", "8"], "ping_timeout", 8),
        (["--deflate"], "deflate", True),
        ([], "deflate", False),
        (["--max-connections", "0"], "max_connections", 0),
    ],
)
def test_how_connections_are_treated(started, arguments, name, value):
    option(started, *arguments)
    assert getattr(started.limits, name) == value


def test_the_access_log_is_on_the_standard_output(started):
    logger = option(started).action_logger
    assert isinstance(logger, cli_server.AccessLog)


def test_with_verbosity_0_there_is_no_access_log(started):
    assert option(started, "-v", "0").action_logger is None


def test_the_access_log_may_go_to_a_file(tmp_path, monkeypatch):
    path = tmp_path / "access.log"
    path.write_text("before\n")
    details = {"path": "/chat", "client": None}

    def run_server(application, listen, limits, *, on_ready, inheritance):
        application.options.action_logger("websocket", "connected", details)

    monkeypatch.setattr(cli_server, "run_server", run_server)
    assert run("--access-log", str(path), "-v", "0").exit_code == 0
    before, line = path.read_text().splitlines()
    assert before == "before"
    assert line.endswith('"WSCONNECT /chat" - -')


def test_the_start_says_what_listens_where(started, caplog):
    with caplog.at_level("INFO", "channels_classic.server"):
        option(started)
    assert caplog.messages == [
        f"Interface server {channels_classic.__version__}, process {os.getpid()}",
        f"Channel layer: {layer}",
        (
            "Workers of other processes cannot reach this layer: use RedisChannelLayer, "
            "or manage.py runserver, which has workers of its own"
        ),
        "Listening on http://127.0.0.1:8000",
        "Listening on unix:/run/site.sock",
    ]


# Bad input: one line that says what is wrong, and a status that says so too ---------------------


def refused(*arguments, path="tests.test_cli:layer"):
    """The one line and the exit status of a command that fails."""
    result = run(*arguments, path=path)
    assert isinstance(result.exception, SystemExit), result.exception
    error = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert len(error) == 1, result.output
    return error[0], result.exit_code


def test_without_a_layer_the_usage_is_shown():
    line, status = refused(path=None)
    assert (line, status) == ("Error: Missing argument 'MODULE:ATTRIBUTE'.", 2)


@pytest.mark.parametrize("path", ["tests.test_cli", "tests.test_cli:", ":layer", ""])
def test_a_path_of_another_form_is_refused_with_an_example(path):
    line, status = refused(path, path=None)
    assert "is not of the form MODULE:ATTRIBUTE, as in project.asgi:channel_layer" in line
    assert status == 2


def test_a_module_that_does_not_exist_is_named():
    assert refused(path="no.such.module:layer") == (
        "Error: cannot import no.such.module: No module named 'no'",
        1,
    )


def test_an_attribute_that_does_not_exist_is_named():
    assert refused(path="tests.test_cli:layr") == (
        "Error: tests.test_cli has no 'layr': 'layr' is missing",
        1,
    )


def test_a_deeper_attribute_that_does_not_exist_is_named():
    assert refused(path="tests.test_cli:wrapper.channel_layer.nope")[0] == (
        "Error: tests.test_cli has no 'wrapper.channel_layer.nope': 'nope' is missing"
    )


def test_what_is_no_layer_is_refused_with_what_to_write():
    assert refused(path="tests.test_cli:not_a_layer") == (
        (
            "Error: tests.test_cli:not_a_layer is a dict, not a channel layer: "
            "in asgi.py write channel_layer = get_channel_layer()"
        ),
        1,
    )


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", "No module named 'no_such_module'"),
        ("layer = (", "SyntaxError: '(' was never closed"),
        ("import os\nos.environ['NO_SUCH_KEY']", "KeyError: NO_SUCH_KEY (-v 2 shows where)"),
        ("1 / 0", "ZeroDivisionError: division by zero (-v 2 shows where)"),
        (
            "from channels_classic.asgi import get_channel_layer\nget_channel_layer('nope')",
            "CHANNEL_LAYERS has no layer 'nope'; it has: 'default'",
        ),
    ],
)
def test_a_module_that_cannot_be_read_is_refused_with_the_reason(module, source, reason):
    module(source)
    line, status = refused(path="broken:layer")
    assert line.startswith("Error: cannot import broken: ")
    assert reason in line
    assert status == 1


def test_where_an_import_failed_is_in_the_log(module, caplog):
    module("def fail():\n    1 / 0\nfail()")
    with caplog.at_level("DEBUG", "channels_classic.cli"):
        refused("-v", "2", path="broken:layer")
    assert 'broken.py", line 2, in fail' in caplog.text


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--port", "http"], "'http' is not a valid integer range"),
        (["--port", "65536"], "65536 is not in the range 0<=x<=65535"),
        (["--port", "-1"], "-1 is not in the range 0<=x<=65535"),
        (["--fd", "-1"], "-1 is not in the range x>=0"),
        (["--http-timeout", "soon"], "'soon' is not a valid float"),
        (["--max-fields", "1.5"], "'1.5' is not a valid integer"),
        (["--verbosity", "3"], "3 is not in the range 0<=x<=2"),
        (["--ssl-certfile", "/no/such/file"], "'/no/such/file' does not exist"),
        (["--prot", "8000"], "No such option"),
    ],
)
def test_an_option_out_of_range_is_refused(arguments, reason):
    line, status = refused(*arguments)
    assert reason in line
    assert status == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--http-timeout", "0"], "http_timeout must be above 0, not 0.0"),
        (["--websocket-connect-timeout", "-1"], "websocket_connect_timeout must be above 0"),
        (["--message-rate", "-1"], "message_rate must be 0 or more, not -1.0"),
        (["--keep-alive", "0"], "keep_alive must be above 0, not 0.0"),
        (["--ping-interval", "-1"], "ping_interval must be 0 or more, not -1.0"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(arguments, sentence):
    line, status = refused(*arguments)
    assert line.startswith(f"Error: {sentence}")
    assert status == 1


def test_a_bad_root_path_is_refused():
    assert refused("--root-path", "app") == ("Error: root_path must begin with '/', not 'app'", 1)


def test_an_access_log_that_cannot_be_written_is_refused():
    assert refused("--access-log", "/no/such/folder/access.log") == (
        "Error: cannot write /no/such/folder/access.log: No such file or directory",
        1,
    )


def test_a_port_in_use_is_refused_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line, status = refused("--port", str(port))
    assert (line, status) == (
        (
            f"Error: cannot listen on 127.0.0.1:{port} (Address already in use): "
            "stop what uses it, or choose another address"
        ),
        1,
    )


def test_whatever_cannot_be_listened_on_is_refused(monkeypatch):
    def run_server(*arguments, **options):
        raise CannotListen("no such address")

    monkeypatch.setattr(cli_server, "run_server", run_server)
    assert refused() == ("Error: no such address", 1)


# As a process -----------------------------------------------------------------------------------


def call(*arguments, **environment):
    return subprocess.run(
        [COMMAND, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


def test_the_command_is_installed():
    done = call("--version")
    assert (done.returncode, done.stdout.strip()) == (
        0,
        f"channels-classic, version {channels_classic.__version__}",
    )


def test_a_process_that_fails_says_one_line_without_a_traceback():
    done = call("server", "no.such.module:layer")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: cannot import no.such.module: No module named 'no'\n"


def test_settings_that_are_missing_are_said_in_one_line(tmp_path):
    (tmp_path / "asgi.py").write_text(
        "from channels_classic.asgi import get_channel_layer\nlayer = get_channel_layer()\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [COMMAND, "server", "asgi:layer"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: cannot import asgi: Requested setting")
    assert len(done.stderr.splitlines()) == 1


def test_a_server_says_where_it_listens_and_logs_what_it_serves(tmp_path):
    port = free_port()
    command = [COMMAND, "server", "tests.server.site:channel_layer", "--port", str(port)]
    with Process(command, log=tmp_path / "server.log", cwd=ROOT) as process:
        process.wait_for_line(rf"INFO Listening on http://127\.0\.0\.1:{port}$")
        with contextlib.closing(socket.create_connection(("127.0.0.1", port), 10)) as client:
            client.sendall(b"GET /hello?a=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            process.wait_for_line(r'^127\.0\.0\.1:\d+ - - \[.+\] "GET /hello\?a=1" 200 5$')
        assert process.terminate() == 0
    assert "Traceback" not in process.output()


def test_two_servers_cannot_have_one_port(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = call("server", "tests.server.site:channel_layer", "--port", str(port))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"Error: cannot listen on 127.0.0.1:{port} ")
    assert "Traceback" not in done.stderr
