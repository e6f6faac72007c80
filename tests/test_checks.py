"""System checks: each bad setting has an id, a message and a hint."""

from __future__ import annotations

import socket
import sys
from types import ModuleType

import pytest
from django.core.checks import run_checks
from django.core.checks.registry import registry
from django.core.management import CommandError, call_command
from django.test import override_settings

from channels_classic import checks
from channels_classic.asgi import REPLACED_BACKENDS
from channels_classic.routing import include, route

MEMORY = "channels_classic.layers.memory.InMemoryChannelLayer"
REDIS = "channels_classic.layers.redis.RedisChannelLayer"

CONFIGURED = {"BACKEND": MEMORY, "ROUTING": []}


def consumer(message):
    pass


def found(configs, *, deploy=False):
    """What Django finds with these CHANNEL_LAYERS, by the last part of the id."""
    with override_settings(CHANNEL_LAYERS=configs):
        messages = run_checks(tags=["channels_classic"], include_deployment_checks=deploy)
    return {message.id.removeprefix("channels_classic."): message for message in messages}


def only(configs, number, **options):
    """The message with this number, which has to be the only one."""
    messages = found(configs, **options)
    assert list(messages) == [number]
    return messages[number]


def entry(**changes):
    return {"default": {**CONFIGURED, **changes}}


@pytest.fixture
def module(monkeypatch):
    """A module that can be imported as ``shop``."""
    made = ModuleType("shop")
    monkeypatch.setitem(sys.modules, "shop", made)
    return made


@pytest.fixture
def failing_module(monkeypatch, tmp_path):
    """Writes the module ``failing_shop``, with the given source."""

    def write(source):
        (tmp_path / "failing_shop.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "failing_shop", raising=False)

    return write


# The setting and its entries ----------------------------------------------------------------


@pytest.mark.parametrize("configs", [None, {}, entry()])
def test_good_settings_pass(configs):
    assert found(configs) == {}


def test_good_settings_of_a_redis_layer_pass():
    assert found(entry(BACKEND=REDIS, CONFIG={"hosts": [("localhost", 6379)]})) == {}


def test_channel_layers_that_are_no_dict():
    message = only([CONFIGURED], "E001")
    assert message.msg == "CHANNEL_LAYERS is not a dict but a list."
    assert "'default'" in message.hint


def test_an_entry_that_is_no_dict():
    message = only({"default": MEMORY}, "E002")
    assert message.msg == "CHANNEL_LAYERS['default'] is not a dict but a str."
    assert "'BACKEND'" in message.hint


def test_an_entry_that_is_no_dict_does_not_hide_the_others():
    assert set(found({"default": None, "other": {"BACKEND": MEMORY}})) == {"E002", "E007"}


def test_an_unknown_key_is_a_warning_with_the_key_that_was_meant():
    message = only(entry(CONFGI={}), "W001")
    assert "the unknown key 'CONFGI'" in message.msg
    assert message.hint == "Did you mean 'CONFIG'?"
    assert not message.is_serious()


def test_an_unknown_key_in_small_letters_is_recognised():
    assert only(entry(routing=[]), "W001").hint == "Did you mean 'ROUTING'?"


def test_an_unknown_key_like_no_other_has_the_known_ones_in_its_hint():
    message = only(entry(zzz=1), "W001")
    assert message.hint == "Known: BACKEND, CONFIG, ROUTING, TEST_CONFIG."


def test_test_config_is_a_known_key():
    assert found(entry(TEST_CONFIG={})) == {}


# BACKEND and CONFIG -------------------------------------------------------------------------


@pytest.mark.parametrize("backend", [{}, {"BACKEND": None}, {"BACKEND": ""}])
def test_a_missing_backend(backend):
    message = only({"default": {"ROUTING": [], **backend}}, "E003")
    assert message.msg == "CHANNEL_LAYERS['default'] has no BACKEND."
    assert REDIS in message.hint


@pytest.mark.parametrize("path", REPLACED_BACKENDS)
def test_the_layer_of_another_package(path):
    message = only(entry(BACKEND=path), "E004")
    assert repr(path) in message.msg
    assert message.hint == f"Use {REPLACED_BACKENDS[path]!r}."


def test_a_backend_that_cannot_be_imported():
    message = only(entry(BACKEND="nowhere.Layer"), "E005")
    assert "cannot import the BACKEND 'nowhere.Layer': No module named 'nowhere'" in message.msg
    assert REDIS in message.hint


def test_a_backend_that_is_no_class():
    message = only(entry(BACKEND="channels_classic.layers.memory"), "E005")
    assert "is not a class" in message.msg


@pytest.mark.parametrize("backend", [7, ["list"], object()])
def test_a_backend_that_is_no_text(backend):
    assert "BACKEND" in only(entry(BACKEND=backend), "E005").msg


def test_a_backend_whose_module_fails(failing_module):
    failing_module("1 / 0")
    message = only(entry(BACKEND="failing_shop.Layer"), "E005")
    assert message.msg == "ZeroDivisionError: division by zero"


def test_an_unknown_option():
    message = only(entry(CONFIG={"capasity": 7}), "E006")
    assert "no option 'capasity'; did you mean 'capacity'?" in message.msg
    assert MEMORY in message.hint


def test_a_bad_value_of_an_option():
    message = only(entry(CONFIG={"capacity": 0}), "E006")
    assert "['CONFIG'] does not suit its layer: capacity must be a number above 0" in message.msg


def test_a_config_that_is_no_dict():
    assert "must be a dict of options" in only(entry(CONFIG=["hosts"]), "E006").msg


def test_a_layer_that_fails_in_another_way(module):
    def fail(self):
        raise OSError("no such\nfile")

    module.Layer = type("Layer", (), {"__init__": fail})
    assert only(entry(BACKEND="shop.Layer"), "E006").msg == "OSError: no such file"


def test_the_checks_connect_to_nothing(monkeypatch):
    def refuse(*args):
        raise AssertionError("a check opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    assert found(entry(BACKEND=REDIS, CONFIG={"hosts": [("localhost", 1)]}), deploy=True) == {}


# ROUTING --------------------------------------------------------------------------------------


def test_a_missing_routing():
    message = only({"default": {"BACKEND": MEMORY}}, "E007")
    assert message.msg == "CHANNEL_LAYERS['default'] has no ROUTING."
    assert "project.routing.channel_routing" in message.hint


def test_a_routing_that_cannot_be_imported():
    message = only(entry(ROUTING="nowhere.routing"), "E008")
    assert "cannot import the ROUTING 'nowhere.routing': No module named" in message.msg
    assert "dotted path" in message.hint


def test_a_routing_that_its_module_does_not_have(module):
    assert "'shop.routing'" in only(entry(ROUTING="shop.routing"), "E008").msg


def test_a_routing_that_is_no_dotted_path():
    assert "'routing'" in only(entry(ROUTING="routing"), "E008").msg


@pytest.mark.parametrize("routing", [None, 7, route("a", consumer)])
def test_a_routing_that_is_no_list(routing):
    message = only(entry(ROUTING=routing), "E009")
    assert f"is not a list or dict but a {type(routing).__name__}" in message.msg


def test_a_dotted_path_to_what_is_no_list(module):
    module.routing = ModuleType("shop.routing")
    assert "but a module" in only(entry(ROUTING="shop.routing"), "E009").msg


def test_a_routing_that_is_a_tuple_passes():
    assert found(entry(ROUTING=(route("a", consumer),))) == {}


def test_a_consumer_that_cannot_be_imported():
    message = only(entry(ROUTING={"a": "nowhere.consumer"}), "E010")
    assert "cannot import the consumer 'nowhere.consumer'" in message.msg
    assert message.hint


def test_an_entry_that_is_no_route():
    assert "is not a route" in only(entry(ROUTING=[consumer]), "E010").msg


def test_a_positional_group_in_a_routing_module(failing_module):
    failing_module(
        "from channels_classic.routing import route\n"
        "def consumer(message): pass\n"
        "routing = [route('a', consumer, path='^/(chat)/')]\n"
    )
    message = only(entry(ROUTING="failing_shop.routing"), "E010")
    assert "has a positional group" in message.msg
    assert "failing_shop.consumer" in message.msg


def test_a_consumer_that_does_not_take_its_routes_groups(failing_module):
    failing_module(
        "from channels_classic.routing import route\n"
        "def consumer(message): pass\n"
        "routing = [route('a', consumer, path='^/(?P<room>.)/')]\n"
    )
    message = only(entry(ROUTING="failing_shop.routing"), "E010")
    assert "consumer failing_shop.consumer does not fit route(['a']" in message.msg


def test_an_include_that_cannot_be_imported(failing_module):
    failing_module(
        "from channels_classic.routing import include\nrouting = [include('nowhere.routing')]\n"
    )
    assert "'nowhere.routing'" in only(entry(ROUTING="failing_shop.routing"), "E010").msg


@pytest.mark.parametrize(
    "statement", ["from channels.routing import route", "from channels import Group"]
)
def test_a_module_that_still_imports_channels_1_is_told_where_it_is_now(
    failing_module, monkeypatch, statement
):
    monkeypatch.setitem(sys.modules, "channels", None)  # whatever is installed here
    failing_module(f"{statement}\nrouting = []\n")
    message = only(entry(ROUTING="failing_shop.routing"), "E008")
    assert "is in channels_classic, under the same names" in message.hint


def test_consumers_that_still_import_channels_1_are_told_where_it_is_now(
    failing_module, monkeypatch
):
    monkeypatch.setitem(sys.modules, "channels", None)
    failing_module("from channels.auth import channel_session_user")
    message = only(entry(ROUTING={"a": "failing_shop.consumer"}), "E010")
    assert "is in channels_classic, under the same names" in message.hint


def test_a_routing_module_that_fails_in_any_way(failing_module):
    failing_module("def broken(:\n")
    message = only(entry(ROUTING="failing_shop.routing"), "E010")
    assert "SyntaxError" in message.msg
    assert "\n" not in message.msg


def test_a_consumer_that_does_not_take_its_includes_groups():
    routing = [include([route("a", consumer)], path="^/(?P<room>.)")]
    message = only(entry(ROUTING=routing), "E011")
    assert message.msg.startswith("CHANNEL_LAYERS['default']: consumer ")
    assert "unexpected keyword argument 'room'" in message.msg
    assert "**kwargs" in message.hint


def test_every_layer_is_checked():
    bad = {"BACKEND": "nowhere.Layer", "ROUTING": []}
    assert "['other']" in only({"default": CONFIGURED, "other": bad}, "E005").msg


# One process ------------------------------------------------------------------------------------


def test_a_layer_of_one_process_in_production_is_a_warning():
    with override_settings(DEBUG=False):
        message = only(entry(), "W002", deploy=True)
    assert "carries messages within one process" in message.msg
    assert REDIS in message.hint


def test_a_layer_of_one_process_in_development_passes():
    with override_settings(DEBUG=True):
        assert found(entry(), deploy=True) == {}


def test_a_layer_of_several_processes_in_production_passes():
    with override_settings(DEBUG=False):
        assert found(entry(BACKEND=REDIS), deploy=True) == {}


def test_a_test_run_is_not_warned_of_the_layer_of_one_process():
    with override_settings(DEBUG=False):
        assert found(entry(), deploy=False) == {}


# Origins ----------------------------------------------------------------------------------------


def found_for_origins(settings, options):
    settings.CHANNELS_CLASSIC = options
    return list(found(entry()).items())


@pytest.mark.parametrize(
    "options",
    [
        None,
        {},
        *(
            {"ALLOWED_ORIGINS": patterns}
            for patterns in (None, [], ["*"], ("https://a.org", "null"), {"https://*.a.org:8000"})
        ),
    ],
)
def test_good_origins_pass(settings, options):
    assert found_for_origins(settings, options) == []


@pytest.mark.parametrize("pattern", ["https://a.org/", "a*.org", "wss://a.org", "", 7, None])
def test_what_no_page_has_as_its_origin_is_a_warning(settings, pattern):
    [(number, message)] = found_for_origins(
        settings, {"ALLOWED_ORIGINS": ["https://b.org", pattern]}
    )
    assert number == "W003"
    assert f"no page has the origin {pattern!r}." in message.msg
    assert "'https://example.com'" in message.hint


@pytest.mark.parametrize("patterns", ["https://a.org", 7, {"https://a.org": True}])
def test_origins_that_are_no_list_are_a_warning(settings, patterns):
    [(number, message)] = found_for_origins(settings, {"ALLOWED_ORIGINS": patterns})
    assert number == "W003"
    assert f"is not a list but a {type(patterns).__name__}" in message.msg


@pytest.mark.parametrize("options", [["ALLOWED_ORIGINS"], "ALLOWED_ORIGINS", 7])
def test_options_that_are_no_dict_are_a_warning(settings, options):
    [(number, message)] = found_for_origins(settings, options)
    assert number == "W003"
    assert message.msg.startswith("CHANNELS_CLASSIC is not a dict of options: ")


# Options of the server --------------------------------------------------------------------------


def found_for_server(settings, options):
    settings.CHANNELS_CLASSIC = {"SERVER": options}
    return [each for each in run_checks(tags=["channels_classic"]) if each.id.endswith(".W004")]


@pytest.mark.parametrize(
    "options", [{}, {"http_timeout": 5}, {"keep_alive": 1.5, "websocket_timeout": None}]
)
def test_good_options_of_the_server_pass(settings, options):
    assert found_for_server(settings, options) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"htp_timeout": 5}, "CHANNELS_CLASSIC['SERVER'] has no option 'htp_timeout': it has "),
        ({"http_timeout": 0}, "http_timeout must be above 0, not 0."),
        ({"http_timeout": "5"}, "http_timeout must be a number, not '5'."),
        ({"websocket_timeout": -1}, "websocket_timeout must be above 0, not -1."),
        ({"deflate": 1}, "deflate must be True or False, not 1."),
        ({"allowed_origins": "https://a.org"}, "allowed_origins must be a list, not "),
        ({"root_path": "app"}, "root_path must begin with '/', not 'app'."),
        ({"live_path": None}, "live_path must be a text, not None."),
        (["http_timeout"], "CHANNELS_CLASSIC['SERVER'] is not a dict but a list."),
    ],
)
def test_an_option_that_the_server_would_refuse_is_a_warning(settings, options, sentence):
    [warning] = found_for_server(settings, options)
    assert warning.msg.startswith(sentence)
    assert "channels-classic server --help" in warning.hint


# All of them ------------------------------------------------------------------------------------


def test_the_check_command_fails_with_id_message_and_hint():
    with (
        override_settings(CHANNEL_LAYERS={"default": {"BACKEND": MEMORY}}),
        pytest.raises(CommandError) as caught,
    ):
        call_command("check", "--tag=channels_classic")
    assert "(channels_classic.E007) CHANNEL_LAYERS['default'] has no ROUTING." in str(caught.value)
    assert "HINT: " in str(caught.value)


def test_every_check_is_registered():
    mine = {value for name, value in vars(checks).items() if name.startswith("check_")}
    mine -= {checks.check_routing}  # of the module routing
    assert mine <= registry.registered_checks | registry.deployment_checks


@pytest.mark.parametrize(
    "configs",
    [
        7,
        "default",
        {1: None},
        {None: {None: None}},
        {"default": {"BACKEND": {}, "ROUTING": object(), "CONFIG": 7}},
        {"default": {"BACKEND": "..", "ROUTING": "..", "CONFIG": {"": 1}}},
        {"default": {"BACKEND": MEMORY, "ROUTING": {None: None}, "CONFIG": {1: 1}}},
        {"default": {"BACKEND": "builtins.int", "ROUTING": [[]], "CONFIG": {"x": 1}}},
    ],
)
def test_no_setting_makes_a_check_raise(configs):
    messages = found(configs, deploy=True)
    assert messages
    assert all(message.msg and message.hint for message in messages.values())
