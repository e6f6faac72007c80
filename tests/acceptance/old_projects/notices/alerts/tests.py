from channels.test import ChannelTestCase, HttpClient
from django.contrib.auth.models import User

from .models import Alert


class AlertTests(ChannelTestCase):

    def setUp(self):
        self.user = User.objects.create_user('ann', password='secret')

    def test_alert_reaches_its_user_alone(self):
        ann, bob = HttpClient(), HttpClient()
        ann.force_login(self.user)
        bob.force_login(User.objects.create_user('bob'))
        ann.send_and_consume('websocket.connect', path='/alerts/')
        bob.send_and_consume('websocket.connect', path='/alerts/')
        alert = Alert.objects.create(user=self.user, text='Tea is ready')
        self.assertEqual(ann.receive(), {'id': alert.pk, 'text': 'Tea is ready'})
        self.assertIsNone(bob.receive())

    def test_seen(self):
        client = HttpClient()
        client.force_login(self.user)
        client.send_and_consume('websocket.connect', path='/alerts/')
        alert = Alert.objects.create(user=self.user, text='Tea is ready')
        client.receive()
        client.send_and_consume('websocket.receive', path='/alerts/', text={'seen': alert.pk})
        self.assertEqual(client.receive(), {'left': 0})

    def test_strangers_are_sent_away(self):
        client = HttpClient()
        client.send_and_consume('websocket.connect', path='/alerts/', check_accept=False)
        self.assertEqual(client.receive(json=False), {'close': True})
