"""Connect consumers that do not accept: since 1.0 the socket then waits until it is refused."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping

from channels_classic.migrate.advice import channels_of, is_route
from channels_classic.migrate.findings import Note
from channels_classic.migrate.scan import Module, constant, dotted, pairs

CONNECT = "websocket.connect"
_CONSUMERS = frozenset({"WebsocketConsumer", "JsonWebsocketConsumer", "WebsocketDemultiplexer"})
TEXT = (
    "connect consumers that do not seem to accept the connection: send {'accept': True} to "
    "message.reply_channel, or call super().connect(…); or let all such consumers accept, with "
    'CHANNELS_CLASSIC = {"IMPLICIT_ACCEPT": True} in the settings'
)

Function = ast.FunctionDef | ast.AsyncFunctionDef
Found = tuple[Module, Note]
#: From a dotted name to its module.
Find = Callable[[str], Module | None]


def silent_consumers(module: Module, find: Find) -> Iterator[Found]:
    """The functions that ``module`` routes connects to, and its classes, that do not accept."""
    for consumer in _routed(module):
        path = constant(consumer)
        path = path if isinstance(path, str) else module.path_of(consumer)
        home, _, name = path.rpartition(".")
        if (there := find(home)) is not None:
            yield from _check(there, name, _functions(there.tree))
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef) and _is_consumer(module, node):
            methods = _functions(node)
            for found, note in _check(module, "connect", methods):
                yield found, note._replace(subject=f"{node.name}.connect")


def _routed(module: Module) -> Iterator[ast.expr]:
    """What takes ``websocket.connect``, in calls of ``route`` and in dicts."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and is_route(module.path_of(node.func)):
            arguments = dict(zip(("channels", "consumer"), node.args, strict=False))
            if len(arguments) > 1 and CONNECT in channels_of(arguments["channels"]):
                yield arguments["consumer"]
    for key, value in pairs(module.tree):
        if key == CONNECT:
            yield value


def _is_consumer(module: Module, node: ast.ClassDef) -> bool:
    """Whether its direct base is a generic consumer of Channels."""
    paths = [module.path_of(base) for base in node.bases]
    return any(
        path.startswith("channels.generic.websockets.") and path.rpartition(".")[2] in _CONSUMERS
        for path in paths
    )


def _functions(tree: ast.Module | ast.ClassDef) -> dict[str, Function]:
    return {
        node.name: node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }


def _check(module: Module, name: str, functions: Mapping[str, Function]) -> Iterator[Found]:
    function = functions.get(name)
    if function is not None and not _accepts(function, functions, set()):
        yield module, Note(function.lineno, TEXT, name)


def _accepts(function: Function, functions: Mapping[str, Function], seen: set[str]) -> bool:
    """Whether it, or what it calls beside it, answers the handshake."""
    seen.add(function.name)
    for node in ast.walk(function):
        if constant(node) == "accept" or (isinstance(node, ast.keyword) and node.arg == "accept"):
            return True
        if isinstance(node, ast.Call):
            called = dotted(node.func).removeprefix("self.")
            if _answers(node) or (
                called in functions
                and called not in seen
                and _accepts(functions[called], functions, seen)
            ):
                return True
    return False


def _answers(node: ast.Call) -> bool:
    """Calls the connect of a base class, or sends the client a text, which accepts."""
    if not isinstance(node.func, ast.Attribute):
        return False
    if node.func.attr == "connect":
        return True
    owner = dotted(node.func.value)
    if node.func.attr != "send":
        return False
    keys = {constant(key) for each in node.args if isinstance(each, ast.Dict) for key in each.keys}
    return owner == "self" or (owner.endswith("reply_channel") and bool(keys & {"text", "bytes"}))
