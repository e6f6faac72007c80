from channels.routing import route

channel_routing = [
    route('websocket.connect', 'alerts.consumers.connect', path=r'^/alerts/'),
    route('websocket.disconnect', 'alerts.consumers.disconnect', path=r'^/alerts/'),
    route('websocket.receive', 'alerts.consumers.receive', path=r'^/alerts/'),
]
