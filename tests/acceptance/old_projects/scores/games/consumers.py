from django.db.models import F

from channels.generic import websockets
from channels.exceptions import DenyConnection, WebsocketCloseException
from channels.security.websockets import allowed_hosts_only

from .models import Score


@allowed_hosts_only
class Guarded(websockets.JsonWebsocketConsumer):
    """Not routed: shows the decorator on a class."""


class ScoreConsumer(websockets.JsonWebsocketConsumer):
    channel_session_user = True
    strict_ordering = True

    def connect(self, message, game, **kwargs):
        if int(game) > 100:
            raise DenyConnection()
        self.message.channel_session['game'] = int(game)
        self.message.reply_channel.send({'accept': True})

    def receive(self, content, **kwargs):
        if content['points'] < 0:
            raise WebsocketCloseException(4001)
        score, _ = Score.objects.get_or_create(
            game=self.message.channel_session['game'], team=content['team'])
        Score.objects.filter(pk=score.pk).update(points=F('points') + content['points'])
        score.refresh_from_db()
        answer = {'team': score.team, 'points': score.points}
        self.send(answer)
        self.group_send('game-%s' % kwargs['game'], answer)


class WatchConsumer(websockets.JsonWebsocketConsumer):
    greeting = None

    def connection_groups(self, **kwargs):
        return ['game-%s' % kwargs['game']]

    def connect(self, message, **kwargs):
        self.message.reply_channel.send({'accept': True})
        self.send({'greeting': self.greeting})
