"""A Django project as people wrote them in 2016 to 2018, in every style of routing."""

from __future__ import annotations

FILES = {
    "manage.py": """\
#!/usr/bin/env python
import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
""",
    "shop/__init__.py": "",
    "shop/settings.py": """\
import os

INSTALLED_APPS = [
    'django.contrib.auth',
    'channels',          # must come first?
    'channels.delay',
    'chat',
]

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "asgi_redis.RedisChannelLayer",
        "CONFIG": {
            "hosts": [os.environ.get('REDIS_URL', 'redis://localhost:6379')],
            "stats_prefix": "shop-meta:",
            "capacity": 500,
        },
        "ROUTING": "shop.routing.channel_routing",
        "TEST_CONFIG": {
            "hosts": [("localhost", 6379)],
        },
    },
    "local": {
        "BACKEND": "asgi_ipc.IPCChannelLayer",
        "CONFIG": {"prefix": "shop", "message_memory": 200 * 1024 * 1024},
        "ROUTING": {
            "websocket.connect": "channels.routing.connect_consumer",
            "http.request": "channels.handler.ViewConsumer",
        },
    },
}

LOGGING = {
    'version': 1,
    'loggers': {
        'django.channels': {'level': 'DEBUG'},
        'daphne.http_protocol': {'level': 'DEBUG'},
    },
}
""",
    "shop/asgi.py": """\
import os
import channels.asgi

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
channel_layer = channels.asgi.get_channel_layer()
""",
    "shop/routing.py": """\
from channels import include
from channels.routing import route, route_class

from chat.consumers import ws_connect, Room

channel_routing = [
    include("chat.routing.routes", path=r"^/chat"),
    route("websocket.connect", ws_connect, path=r"^/plain/$"),
    route("http.disconnect", "chat.consumers.gone"),
    route_class(Room, path=r"^/room/(?P<room>\\w+)/$"),
    Room.as_route(path=r'^/again/'),
]
""",
    "chat/__init__.py": "",
    "chat/routing.py": """\
from . import consumers

routes = {
    'websocket.connect': consumers.ws_open,
    'websocket.receive': 'chat.consumers.ws_receive',
    'websocket.disconnect': 'channels.routing.null_consumer',
}
""",
    "chat/consumers.py": """\
from channels import Channel, Group
from channels.sessions import channel_session, enforce_ordering
from channels.auth import (
    channel_session_user,   # for the others
    channel_session_user_from_http,
)
from channels.generic.websockets import WebsocketConsumer, JsonWebsocketConsumer


@channel_session_user_from_http
def ws_connect(message):
    Group('chat').add(message.reply_channel)


def ws_open(message):
    message.reply_channel.send({'accept': True})


@enforce_ordering(slight=True)
@channel_session
def ws_receive(message):
    Channel('log').send({'text': message.content['text']})


def gone(message):
    pass


class Room(JsonWebsocketConsumer):
    strict_ordering = True

    def connect(self, message, **kwargs):
        self.group_send('x', {})


class Polite(WebsocketConsumer):
    slight_ordering = True

    def connect(self, message, **kwargs):
        super(Polite, self).connect(message, **kwargs)
""",
    "chat/management/commands/runworker.py": """\
from channels.management.commands.runworker import Command as RunWorker


class Command(RunWorker):
    pass
""",
    "chat/migrations/0002_delay.py": """\
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [('chat', '0001_initial'), ('channels.delay', '0001_initial')]
""",
    "chat/tests.py": """\
from unittest import mock

from channels import route
from channels.tests import ChannelTestCase, HttpClient, apply_routes


class ChatTests(ChannelTestCase):

    @mock.patch('channels.channel.Group.send')
    @apply_routes([route('websocket.receive', 'chat.consumers.ws_receive')])
    def test_it(self, send):
        client = HttpClient()
        client.send_and_consume(u'websocket.receive', text={})
""",
    "chat/templates/chat/index.html": """\
{% load staticfiles %}
<script src="{% static 'channels/js/websocketbridge.js' %}"></script>
<script>new channels.WebSocketBridge().connect('/chat/?session_key={{ key }}');</script>
""",
    "requirements.txt": """\
Django==1.11.4
channels==1.1.8  # sockets
asgi_redis[cryptography]==1.4.3
daphne==1.3.0
asgiref==1.1.2
requests
""",
    "Procfile": """\
web: daphne shop.asgi:channel_layer --port $PORT --bind 0.0.0.0 -v2
worker: python manage.py runworker -v2
""",
    "Dockerfile": """\
FROM python:3
CMD ["daphne", "-b", "0.0.0.0", "--websocket_timeout", "3600", "shop.asgi:channel_layer"]
""",
    "deploy/shop.service": """\
[Service]
ExecStart=/srv/venv/bin/daphne -e ssl:443:privateKey=k.pem:certKey=c.pem shop.asgi:channel_layer
""",
    "setup.py": """\
from setuptools import setup

setup(name='shop', install_requires=['Django', 'channels>=1.1,<2', 'asgi-redis'])
""",
    "pyproject.toml": """\
[tool.poetry.dependencies]
channels = "^1.1"
requests = "^2"
""",
    "legacy/old.py": "from channels import Group\nprint 'Python 2'\n",
}
