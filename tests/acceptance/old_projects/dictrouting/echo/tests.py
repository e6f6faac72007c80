from channels import Group
from channels.tests import ChannelTestCase, WSClient


class EchoTests(ChannelTestCase):

    def test_rooms(self):
        client = WSClient()
        client.send_and_consume('websocket.connect', path='/chat/lobby/')
        client.send_and_consume('websocket.receive', path='/chat/lobby/', text='hi')
        self.assertEqual(client.receive(json=False), '[lobby] hi')
        client.send_and_consume('websocket.disconnect', path='/chat/lobby/')
        Group('chat-lobby').send({'text': 'anybody?'})
        self.assertIsNone(client.receive())
