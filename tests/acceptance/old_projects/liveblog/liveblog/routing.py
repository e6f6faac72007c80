from channels import route_class
from posts.consumers import Demultiplexer

channel_routing = [
    route_class(Demultiplexer, path=r'^/liveblog/(?P<slug>[^/]+)/stream/$'),
]
