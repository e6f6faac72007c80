"""A site for any ASGI server: the layer, and worker threads beside it, in the process of the host.

``uvicorn tests.hosts.site:application`` serves it, and so does any other. What consumers are told
of the end of a client they write to the standard output. With the URL of a Redis in ``HOSTS_REDIS``
the messages go through that one.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.hosts.settings")
django.setup()

from django.http import (  # noqa: E402 - after the setup
    Http404,
    HttpResponse,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import path  # noqa: E402

from channels_classic.asgi import ChannelLayerWrapper  # noqa: E402
from channels_classic.handler import ViewConsumer  # noqa: E402
from channels_classic.layers.memory import InMemoryChannelLayer  # noqa: E402
from channels_classic.layers.redis import RedisChannelLayer  # noqa: E402
from channels_classic.routing import route  # noqa: E402
from channels_classic.server import InterfaceServer  # noqa: E402
from channels_classic.worker import WorkerGroup  # noqa: E402

GO_ON = threading.Event()


# Views --------------------------------------------------------------------------------------------


def hello(request):
    return HttpResponse("hello", content_type="text/plain")


def seen(request):
    """What the view sees of the request."""
    response = JsonResponse(
        {
            "method": request.method,
            "path": request.path,
            "script_name": request.META["SCRIPT_NAME"],
            "query": request.META["QUERY_STRING"],
            "scheme": request.scheme,
            "client": request.META["REMOTE_ADDR"],
            "cookies": request.COOKIES,
            "many": request.headers.get("X-Many"),
            "length": len(request.body),
            "body": request.body[:20].decode(),
        }
    )
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


def status(request, code):
    return HttpResponse(status=code)


def missing(request):
    raise Http404


def broken(request):
    raise RuntimeError("a view that fails")


def long(request, parts):
    """An answer of so many parts; it is written as fast as the client reads it."""
    return StreamingHttpResponse((b"x" * 100_000 for _ in parts), content_type="text/plain")


urlpatterns = [
    path("hello", hello),
    path("big", lambda request: long(request, range(32))),
    path("endless", lambda request: long(request, itertools.count())),
    path("seen", seen),
    path("seen/<path:rest>", lambda request, rest: seen(request)),
    path("status/<int:code>", status),
    path("missing", missing),
    path("broken", broken),
]


# Consumers ----------------------------------------------------------------------------------------

view = ViewConsumer()


def http(message):
    where = message["path"]
    if where == "/stream":
        stream(message)
    elif where == "/go-on":
        GO_ON.set()
        answer(message, b"")
    elif where.endswith("/cut"):  # and the rest never comes
        answer(message, b"the start", more_content=True)
    elif where.endswith("/never"):
        say("asked", where)
    else:
        view(message)


def answer(message, content, *, more_content=False, first=True):
    start = {"status": 200, "headers": [(b"content-type", b"text/plain")]} if first else {}
    message.reply_channel.send(
        {**start, "content": content, "more_content": more_content}, immediately=True
    )


def stream(message):
    """One part, and the other when somebody has asked for ``/go-on``."""
    GO_ON.clear()
    answer(message, b"one", more_content=True)
    part = b"two" if GO_ON.wait(10) else b"nobody came"
    answer(message, part, first=False)


def http_disconnect(message):
    say("left", message["path"])


def connect(message):
    message.reply_channel.send({"accept": message["path"] != "/refused"})


def receive(message):
    text = message.get("text")
    if text is not None and text.startswith("close "):
        message.reply_channel.send({"close": int(text.removeprefix("close "))})
    elif text is not None and text.startswith("join "):
        message.channel_layer.group_add(text.removeprefix("join "), message.reply_channel.name)
        message.reply_channel.send({"text": "joined"})
    elif text is not None and text.startswith("tell "):
        _, group, words = text.split(" ", 2)
        message.channel_layer.send_group(group, {"text": words})
    else:
        message.reply_channel.send(
            {key: message[key] for key in ("text", "bytes") if key in message}
        )


def disconnect(message):
    say("disconnected", message["path"], message["code"])


def say(*words):
    """A line, in one go: the access log writes there, too."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


# The application ----------------------------------------------------------------------------------


def new_layer():
    options = {"max_message_size": 4 * 1024**2}
    if url := os.environ.get("HOSTS_REDIS"):
        return RedisChannelLayer(hosts=[url], prefix=os.environ["HOSTS_PREFIX"], **options)
    return InMemoryChannelLayer(**options)


channel_layer = new_layer()
routes = [
    route("http.request", http),
    route("http.disconnect", http_disconnect),
    route("websocket.connect", connect),
    route("websocket.receive", receive),
    route("websocket.disconnect", disconnect),
]
interface = InterfaceServer(channel_layer, ws_protocols=["b", "c"])
#: At these paths the same, but mounted, impatient, or without a worker.
others = {
    "/mounted/": InterfaceServer(channel_layer, root_path="/mounted"),
    "/hasty/": InterfaceServer(channel_layer, http_timeout=0.3),
    "/alone/": InterfaceServer(InMemoryChannelLayer()),
}


async def application(scope, receive, send):
    for prefix, each in others.items():
        if scope["type"] != "lifespan" and scope["path"].startswith(prefix):
            return await each(scope, receive, send)
    return await interface(scope, receive, send)


_workers = WorkerGroup(
    ChannelLayerWrapper(channel_layer, "default", routes), signal_handlers=False, n_threads=4
)
threading.Thread(target=_workers.run, daemon=True).start()
