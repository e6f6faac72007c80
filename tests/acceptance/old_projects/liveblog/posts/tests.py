from channels.test import ChannelTestCase, WSClient
from django.contrib.auth.models import User

from .models import Liveblog, Post

PATH = '/liveblog/elections/stream/'


class BindingTests(ChannelTestCase):

    def setUp(self):
        self.blog = Liveblog.objects.create(title='Elections', slug='elections')
        self.client = WSClient()

    def test_new_posts_are_announced(self):
        self.client.send_and_consume('websocket.connect', path=PATH)
        post = Post.objects.create(liveblog=self.blog, body='Polls are open')
        received = self.client.receive()
        self.assertEqual(received['stream'], 'posts')
        self.assertEqual(received['payload']['action'], 'create')
        self.assertEqual(received['payload']['pk'], post.pk)
        self.assertEqual(received['payload']['data']['body'], 'Polls are open')

    def test_a_post_taken_back_is_deleted_in_the_browser(self):
        post = Post.objects.create(liveblog=self.blog, body='Wrong')
        self.client.send_and_consume('websocket.connect', path=PATH)
        post.published = False
        post.save()
        self.assertEqual(self.client.receive()['payload']['action'], 'delete')

    def write(self, **payload):
        self.client.send_and_consume(
            'websocket.receive', path=PATH, text={'stream': 'posts', 'payload': payload})

    def test_staff_may_write(self):
        user = User.objects.create_user('ann', is_staff=True)
        self.client.force_login(user)
        self.client.send_and_consume('websocket.connect', path=PATH)
        self.write(action='create', data={'liveblog': self.blog.pk, 'body': 'From a browser'})
        self.assertEqual(Post.objects.get().body, 'From a browser')

    def test_others_may_not(self):
        self.client.send_and_consume('websocket.connect', path=PATH)
        self.write(action='create', data={'liveblog': self.blog.pk, 'body': 'From a browser'})
        self.assertFalse(Post.objects.exists())

    def test_another_stream(self):
        self.client.send_and_consume('websocket.connect', path=PATH)
        self.client.send_and_consume(
            'websocket.receive', path=PATH, text={'stream': 'ping', 'payload': {'ping': 3}})
        self.assertEqual(
            self.client.receive(),
            {'stream': 'ping', 'payload': {'pong': 3, 'blog': 'elections'}})
