"""What a person must look at in Python code: said where it is so, and not where it is not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from channels_classic.migrate import accepts, advice
from channels_classic.migrate.scan import Module


def module(source: str, name: str = "chat.consumers") -> Module:
    return Module(Path(f"{name.replace('.', '/')}.py"), ast.parse(source), name)


def said(source: str) -> list[tuple[int, str]]:
    return [(note.line, note.text) for note in advice.advise(module(source))]


def silent(*modules: Module) -> list[tuple[str, int, str]]:
    """Module, line and name of each connect consumer that does not accept."""
    by_name = {each.name: each for each in modules}
    found = (pair for each in modules for pair in accepts.silent_consumers(each, by_name.get))
    return sorted((there.name, note.line, note.subject) for there, note in found)


# Connect consumers ------------------------------------------------------------------------------

SILENT = "def connect(message):\n    Group('x').add(message.reply_channel)\n"


@pytest.mark.parametrize(
    ("imports", "routing"),
    [
        ("from channels import route\nfrom chat.consumers import connect", "connect"),
        ("from channels.routing import Route as route\nfrom .consumers import connect as c", "c"),
        ("from channels import route\nfrom . import consumers", "consumers.connect"),
        ("from channels_classic import route\nimport chat.consumers", "chat.consumers.connect"),
        ("from channels import route", "'chat.consumers.connect'"),
    ],
)
def test_a_routed_function_that_does_not_accept_is_named_in_its_module(imports, routing):
    routes = f"{imports}\nr = [route(['websocket.connect', 'x'], {routing}, path='^/')]"
    found = silent(module(SILENT), module(routes, "chat.routing"))
    assert found == [("chat.consumers", 1, "connect")]


@pytest.mark.parametrize(
    "routing",
    [
        "r = {'websocket.connect': 'chat.consumers.connect'}",
        "from .consumers import connect\nr = {'websocket.connect': connect}",
    ],
)
def test_so_is_one_in_a_dict_of_routes(routing):
    found = silent(module(SILENT), module(routing, "chat.routing"))
    assert found == [("chat.consumers", 1, "connect")]


@pytest.mark.parametrize(
    "body",
    [
        "message.reply_channel.send({'accept': True})",
        "message.reply_channel.send(dict(accept=allowed(message)))",
        "message.reply_channel.send({'text': 'welcome'})",
        "helper(message)",
    ],
)
def test_a_function_that_answers_is_not_named(body):
    source = (
        f"def connect(message):\n    {body}\ndef helper(m):\n    m.reply_channel.send(x('accept'))"
    )
    assert silent(module(f"{source}\nr = {{'websocket.connect': connect}}")) == []


def test_functions_for_other_channels_are_not_named():
    assert silent(module(f"{SILENT}\nr = {{'websocket.receive': connect}}")) == []


def test_functions_that_call_each_other_do_not_hang_it():
    source = "def a(m):\n    b(m)\ndef b(m):\n    a(m)\nr = {'websocket.connect': a}"
    assert silent(module(source)) == [("chat.consumers", 1, "a")]


CLASS = "from channels.generic.websockets import JsonWebsocketConsumer as Base\nclass Chat(Base):\n"


def test_a_class_whose_connect_does_not_accept_is_named():
    source = (
        f"{CLASS}    def connect(self, message, **kwargs):\n        self.group_send('x', {{}})\n"
    )
    assert silent(module(source)) == [("chat.consumers", 3, "Chat.connect")]


@pytest.mark.parametrize(
    "body",
    [
        "super(Chat, self).connect(message)",
        "super().connect(message)",
        "Base.connect(self, message)",
        "self.message.reply_channel.send({'accept': True})",
        "self.send({'hello': 1})",
        "self.welcome()",
    ],
)
def test_a_class_whose_connect_answers_is_not_named(body):
    source = (
        f"{CLASS}    def connect(self, message):\n        {body}\n"
        "    def welcome(self):\n        self.send({})\n"
    )
    assert silent(module(source)) == []


@pytest.mark.parametrize(
    "source", [f"{CLASS}    pass", "class Chat(Other):\n    def connect(self, m): pass"]
)
def test_a_class_that_does_not_override_connect_is_not_named(source):
    assert silent(module(source)) == []


# All else ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "line", "text"),
    [
        ("from channels.sessions import enforce_ordering\n@enforce_ordering\ndef f(m): pass", 3,
         advice.ORDERING_TEXT),
        ("from channels_classic.sessions import enforce_ordering as e\n@e()\ndef f(m): pass", 2,
         advice.ORDERING_TEXT),
        ("import channels.sessions as s\n@s.enforce_ordering(slight=True)\ndef f(m): pass", 2,
         advice.SLIGHT_TEXT),
        ("class A(B):\n    strict_ordering = True", 2, advice.ORDERING_TEXT),
        ("class A(B):\n    slight_ordering = True", 2, advice.SLIGHT_TEXT),
        ("from channels import route\nroute('http.disconnect', f)", 2, advice.HTTP_DISCONNECT_TEXT),
        ("x = {'http.disconnect': f}", 1, advice.HTTP_DISCONNECT_TEXT),
        ("from channels.worker import Worker\nclass W(Worker): pass", 2,
         advice.WORKER_TEXT.format(name="Worker")),
        ("from channels.management.commands.runworker import Command as C\nclass Command(C): pass",
         2, advice.COMMAND_TEXT.format(name="runworker")),
        ("from channels.management.commands import runserver\nclass C(runserver.Command): pass",
         2, advice.COMMAND_TEXT.format(name="runserver")),
        ("from channels.log import setup_logger", 1, advice.LOG_TEXT),
        ("from daphne.server import Server", 1, advice.DAPHNE_TEXT),
        ("CHANNEL_SESSION_ENGINE = 'x'", 1, advice.ENGINE_TEXT),
        ("CHANNELS_WS_PROTOCOLS = ['x']", 1, advice.PROTOCOLS_TEXT),
        ("layer.receive_many(['x'], block=True)", 1, advice.RECEIVE_TEXT),
    ],
)  # fmt: skip
def test_what_is_different_now_is_told(source, line, text):
    assert said(source) == [(line, text)]


@pytest.mark.parametrize(
    "source",
    [
        "class A(B):\n    strict_ordering = False",
        "@enforce_ordering\ndef f(m): pass",
        "from celery import Worker\nclass W(Worker): pass",
        "from channels import route\nroute('http.request', f)",
        "message.content['text']",
    ],
)
def test_what_works_as_before_is_not_told(source):
    assert said(source) == []


def test_requirements_in_a_setup_script_are_told():
    tree = ast.parse("setup(\n    install_requires=['channels>=1.1,<2', 'Django', 'channels>=3'])")
    notes = list(advice.advise(Module(Path("setup.py"), tree, "setup")))
    assert [(note.line, note.text) for note in notes] == [(2, advice.PACKAGE_TEXT)]
