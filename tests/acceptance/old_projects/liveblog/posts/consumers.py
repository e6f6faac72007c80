from channels.generic.websockets import JsonWebsocketConsumer, WebsocketDemultiplexer

from .bindings import PostBinding
from .models import Liveblog


class PingConsumer(JsonWebsocketConsumer):

    def receive(self, content, multiplexer=None, **kwargs):
        multiplexer.send({"pong": content["ping"], "blog": kwargs["slug"]})


class Demultiplexer(WebsocketDemultiplexer):

    http_user = True

    consumers = {
        "posts": PostBinding.consumer,
        "ping": PingConsumer,
    }

    def connection_groups(self, slug=None, **kwargs):
        blog = Liveblog.objects.get(slug=slug)
        return [blog.group_name]
