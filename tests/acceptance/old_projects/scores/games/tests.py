from channels import route
from channels.tests import ChannelTestCase, WSClient, apply_routes

from .consumers import ScoreConsumer
from .models import Score


class ScoreTests(ChannelTestCase):

    def test_points_add_up(self):
        client = WSClient()
        client.send_and_consume('websocket.connect', path='/games/7/score')
        for points in (1, 2, 3):
            client.send_and_consume(
                'websocket.receive', path='/games/7/score', text={'team': 'A', 'points': points})
        self.assertEqual([client.receive()['points'] for _ in range(3)], [1, 3, 6])
        self.assertEqual(Score.objects.get(game=7).points, 6)

    def test_watchers_see_it(self):
        watcher, client = WSClient(), WSClient()
        watcher.send_and_consume('websocket.connect', path='/games/7/watch', check_accept=False)
        self.assertEqual(watcher.receive(json=False), {'accept': True})
        self.assertEqual(watcher.receive(), {'greeting': 'watching'})
        client.send_and_consume('websocket.connect', path='/games/7/score')
        client.send_and_consume(
            'websocket.receive', path='/games/7/score', text={'team': 'A', 'points': 1})
        self.assertEqual(watcher.receive(), {'team': 'A', 'points': 1})

    @apply_routes([route('websocket.receive', ScoreConsumer, path='^/(?P<game>9)$')])
    def test_with_routes_of_its_own(self):
        client = WSClient()
        client.send_and_consume(
            'websocket.receive', path='/9', text={'team': 'A', 'points': -1}, fail_on_none=True)
        self.assertEqual(client.receive(json=False), {'close': 4001})
