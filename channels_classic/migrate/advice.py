"""What a person must look at in a module: what works differently, or needs nothing any more."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from channels_classic.migrate.findings import Note
from channels_classic.migrate.requirements import is_outdated
from channels_classic.migrate.scan import Module, constant, dotted, pairs

ORDERING_TEXT = (
    "the messages of a connection always come in order, one at a time: enforce_ordering and "
    "strict_ordering only give a channel_session; say channel_session, or leave them out"
)
SLIGHT_TEXT = "there is no slight ordering: remove it, each connection has its messages in order"
HTTP_DISCONNECT_TEXT = (
    "http.disconnect comes only when the client leaves before its answer is complete, and not "
    "after each request"
)
COMMAND_TEXT = (
    "a command of your own on top of {name}: it is another one inside; check what you override"
)
WORKER_TEXT = "a subclass of {name}: its loop is another one; check what you override"
LOG_TEXT = (
    "setup_logger sets up the loggers 'channels_classic', 'django.channels' and 'uvicorn.error'; "
    "those of daphne are no more"
)
DAPHNE_TEXT = (
    "daphne is replaced by `channels-classic server` and channels_classic.server.InterfaceServer"
)
ENGINE_TEXT = (
    "CHANNEL_SESSION_ENGINE still works; without it channel sessions are on the bus, and leave no "
    "rows in the database"
)
PROTOCOLS_TEXT = (
    "CHANNELS_WS_PROTOCOLS is for runserver; give `channels-classic server` one --ws-protocol each"
)
PACKAGE_TEXT = "a package of Channels 1: require channels-classic in the place of all of them"
RECEIVE_TEXT = "layers have no receive_many: it is receive(channels, block=…)"
SETTINGS = {
    "CHANNEL_SESSION_ENGINE": ENGINE_TEXT,
    "CHANNELS_WS_PROTOCOLS": PROTOCOLS_TEXT,
}


def advise(module: Module) -> Iterator[Note]:
    """All notes about ``module`` that need no other module."""
    for node in ast.walk(module.tree):
        for text in _about(module, node):
            yield Note(getattr(node, "lineno", 1), text)
        if _is_requirement(module, node):
            yield Note(getattr(node, "lineno", 1), PACKAGE_TEXT)
    for key, value in pairs(module.tree):
        if key == "http.disconnect":
            yield Note(value.lineno, HTTP_DISCONNECT_TEXT)


def _about(module: Module, node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=aliases):
            yield from (text for alias in aliases for text in _imported(alias.name))
        case ast.ImportFrom(module=str() as name, level=0):
            yield from _imported(name)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from _decorated(module, node)
        case ast.ClassDef():
            yield from _subclassed(module, node)
        case ast.Assign(targets=[target]):
            yield from _assigned(dotted(target), node.value)
        case ast.Call():
            yield from _called(module, node)


def _is_requirement(module: Module, node: ast.AST) -> bool:
    """Whether it is a package of Channels 1 in a ``setup.py``."""
    value = constant(node) if module.path.name == "setup.py" else None
    return isinstance(value, str) and is_outdated(value)


def _imported(name: str) -> Iterator[str]:
    if name.partition(".")[0] == "daphne":
        yield DAPHNE_TEXT
    if name in ("channels.log", "channels_classic.log"):
        yield LOG_TEXT


def _decorated(module: Module, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for decorator in node.decorator_list:
        function = decorator.func if isinstance(decorator, ast.Call) else decorator
        if _is_ordering(module.path_of(function)) and function is decorator:
            yield ORDERING_TEXT


def _subclassed(module: Module, node: ast.ClassDef) -> Iterator[str]:
    for base in node.bases:
        match module.path_of(base).split("."):
            case ["channels", *_, "commands", name, "Command"]:
                yield COMMAND_TEXT.format(name=name)
            case ["channels", *_, "worker", "Worker" | "WorkerGroup" as name]:
                yield WORKER_TEXT.format(name=name)


def _assigned(name: str, value: ast.expr) -> Iterator[str]:
    if name in SETTINGS:
        yield SETTINGS[name]
    if name == "strict_ordering" and constant(value):
        yield ORDERING_TEXT
    if name == "slight_ordering":
        yield SLIGHT_TEXT


def _called(module: Module, node: ast.Call) -> Iterator[str]:
    path = module.path_of(node.func)
    if _is_ordering(path):
        slight = any(keyword.arg == "slight" for keyword in node.keywords)
        yield SLIGHT_TEXT if slight else ORDERING_TEXT
    if is_route(path) and node.args and "http.disconnect" in channels_of(node.args[0]):
        yield HTTP_DISCONNECT_TEXT
    if isinstance(node.func, ast.Attribute) and node.func.attr == "receive_many":
        yield RECEIVE_TEXT


def _is_ordering(path: str) -> bool:
    return path in ("channels.sessions.enforce_ordering", "channels.auth.enforce_ordering")


def is_route(path: str) -> bool:
    """Whether it is Channels' ``route``."""
    return path in ("channels.route", "channels.routing.route", "channels.routing.Route")


def channels_of(node: ast.expr) -> list[object]:
    """The names in the first argument of ``route``."""
    elements = node.elts if isinstance(node, (ast.List, ast.Tuple, ast.Set)) else [node]
    return [constant(element) for element in elements]
