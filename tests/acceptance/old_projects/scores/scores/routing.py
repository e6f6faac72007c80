from channels.routing import include
from games.consumers import ScoreConsumer, WatchConsumer

game_routing = [
    ScoreConsumer.as_route(path=r'^/(?P<game>\d+)/score$'),
    WatchConsumer.as_route(path=r'^/(?P<game>\d+)/watch$', attrs={'greeting': 'watching'}),
]

channel_routing = [include(game_routing, path=r'^/games')]
