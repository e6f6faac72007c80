from channels.staticfiles import StaticFilesConsumer
from echo import consumers

channel_routing = {
    # This makes Django serve static files from settings.STATIC_URL, similar to
    # django.views.static.serve. It is for debug servers only.
    'http.request': StaticFilesConsumer(),

    'websocket.connect': consumers.ws_connect,
    'websocket.receive': consumers.ws_receive,
    'websocket.disconnect': 'echo.consumers.ws_disconnect',
}
