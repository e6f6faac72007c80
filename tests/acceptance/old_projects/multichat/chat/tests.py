from channels.tests import ChannelTestCase, WSClient
from django.contrib.auth.models import User

from .models import Room


class ChatTests(ChannelTestCase):

    def setUp(self):
        self.room = Room.objects.create(title='Lobby')
        User.objects.create_user('ann', 'ann@example.com', 'secret')

    def connected(self, username):
        client = WSClient()
        client.login(username=username, password='secret')
        client.send_and_consume('websocket.connect', path='/chat/stream/')
        return client

    def command(self, client, **payload):
        client.send_and_consume('websocket.receive', path='/chat/stream/', text=payload)
        client.consume('chat.receive')

    def test_join_and_send(self):
        client = self.connected('ann')
        self.command(client, command='join', room=self.room.pk)
        self.assertEqual(client.receive()['msg_type'], 4)
        self.assertEqual(client.receive(), {'join': str(self.room.pk), 'title': 'Lobby'})
        self.command(client, command='send', room=self.room.pk, message='hi')
        self.assertEqual(client.receive()['message'], 'hi')

    def test_a_stranger_is_told_to_login(self):
        client = WSClient()
        client.send_and_consume('websocket.connect', path='/chat/stream/')
        self.command(client, command='join', room=self.room.pk)
        self.assertEqual(client.receive(), {'error': 'USER_HAS_TO_LOGIN'})

    def test_no_message_without_join(self):
        client = self.connected('ann')
        self.command(client, command='send', room=self.room.pk, message='hi')
        self.assertEqual(client.receive(), {'error': 'ROOM_ACCESS_DENIED'})
